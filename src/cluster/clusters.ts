import type { ResolvedCluster } from '../model/snapshot.js';
import { createAgenda } from '../runtime/agenda.js';
import { isEqual } from '../runtime/equal.js';
import { messageOf } from '../runtime/errors.js';
import { AggregateCluster } from './aggregate.js';
import { type ClusterRuntime, type ClusterTools, createCluster } from './cluster.js';
import { createDnsCaches } from './dns-caches.js';
import { LoadLedger } from './load/load-ledger.js';

/** Every cluster of a process. */
export interface Clusters {
  /** What went to those whose load is reported. */
  readonly loads: LoadLedger;
  get(name: string): ClusterRuntime | undefined;
  /**
   * Makes the running clusters those of a snapshot. Equal configuration keeps the object, and with it connections,
   * ejections and breakers; a changed one makes a new object that takes over the hosts whose transport is the same.
   */
  reconcile(next: ReadonlyMap<string, ResolvedCluster>): void;
  values(): Iterable<ClusterRuntime>;
  /** Lets running exchanges finish and closes every connection. Idempotent. */
  close(): Promise<void>;
}

interface Running {
  readonly resolved: ResolvedCluster;
  readonly runtime: ClusterRuntime;
}

/** Makes an empty set of clusters. */
export function createClusters(given: ClusterTools): Clusters {
  const tools = {
    ...given,
    agenda: given.agenda ?? createAgenda(given.clock),
    dnsCaches: given.dnsCaches ?? createDnsCaches(given),
    loads: given.loads ?? new LoadLedger(given.clock),
  };
  const lookup = (name: string) => running.get(name)?.runtime;
  const running = new Map<string, Running>();
  const draining = new Set<Promise<void>>();

  const drain = (runtime: ClusterRuntime, successor?: ClusterRuntime) => {
    const done: Promise<void> = runtime
      .close(successor?.hosts)
      .catch((error: unknown) => {
        tools.logger.warn({ cluster: runtime.name, error: messageOf(error) }, 'draining a cluster failed');
      })
      .finally(() => draining.delete(done));
    draining.add(done);
  };

  return {
    loads: tools.loads,
    get: lookup,
    reconcile(next) {
      for (const [name, resolved] of next) {
        const old = running.get(name);
        if (old?.resolved === resolved) continue;
        const runtime = successorOf(old, resolved, tools, lookup);
        running.set(name, { resolved, runtime });
        if (old !== undefined && runtime !== old.runtime) drain(old.runtime, runtime);
      }
      for (const [name, { runtime }] of running) {
        if (next.has(name)) continue;
        running.delete(name);
        drain(runtime);
      }
    },
    values: () => [...running.values()].map(({ runtime }) => runtime),
    async close() {
      for (const { runtime } of running.values()) drain(runtime);
      running.clear();
      await Promise.all(draining);
    },
  };
}

function successorOf(
  old: Running | undefined,
  resolved: ResolvedCluster,
  tools: ClusterTools,
  lookup: (name: string) => ClusterRuntime | undefined,
): ClusterRuntime {
  if (old === undefined || !isEqual(old.resolved.cluster, resolved.cluster)) {
    return resolved.cluster.discovery.kind === 'aggregate'
      ? new AggregateCluster(resolved.cluster, { ...tools, lookup })
      : createCluster(resolved, tools, inheritable(old?.runtime));
  }
  if (old.resolved.assignment !== resolved.assignment) old.runtime.update(resolved);
  return old.runtime;
}

/** The hosts of an aggregate belong to its members, those of a forward proxy go by names. */
function inheritable(old: ClusterRuntime | undefined): ClusterRuntime | undefined {
  const kind = old?.config.discovery.kind;
  return kind === 'aggregate' || kind === 'forward-proxy' ? undefined : old;
}
