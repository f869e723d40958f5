import type { LoadLedger } from '../cluster/load/load-ledger.js';
import { type CaSource, createCaSource } from '../identity/ca-source.js';
import { createIdentityCache } from '../identity/identity-cache.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import type { Observer } from '../service/observer.js';
import { createSnapshotCache } from '../xds/cache.js';
import { createXdsClient, type XdsClient } from '../xds/client.js';
import { xdsServer } from '../xds/server.js';
import { LoadReporting } from './load-reporting.js';
import { describeNode } from './node.js';
import type { ResolvedMeshOptions } from './options.js';

/** What the sources of a mesh work with. */
export interface SourceTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The source of this workload's certificate: the mesh's authority, with what it issued last on disk. */
export function createIdentity(
  options: ResolvedMeshOptions,
  { clock, random, logger }: SourceTools,
): CaSource {
  const { namespace, serviceAccount, cacheDir } = options;
  return createCaSource({
    target: options.certificateAuthority,
    identity: { namespace, serviceAccount },
    clock,
    random,
    logger,
    ...(cacheDir !== undefined && {
      // Two meshes on one machine must not take each other's: the address of the authority tells them apart.
      cache: createIdentityCache({
        dir: cacheDir,
        key: `${options.certificateAuthority}.${namespace}.${serviceAccount}`,
      }),
    }),
  });
}

/** The source of configuration: the control plane, with what it sent last on disk. */
export function createXds(options: ResolvedMeshOptions, tools: SourceTools, observer: Observer): XdsClient {
  const { cacheDir, namespace, service, version } = options;
  return createXdsClient({
    node: describeNode(options, []),
    servers: [xdsServer({ target: options.controlPlane, protocol: options.xdsProtocol })],
    // Whoever awaits the configuration keeps the process alive, not the wait for it.
    holdsProcess: false,
    clusterNames: [
      ...(options.localCluster === undefined ? [] : [options.localCluster]),
      ...options.custom.clusters,
    ],
    customFilters: options.custom,
    clock: tools.clock,
    random: tools.random,
    logger: tools.logger,
    observer,
    ...(cacheDir !== undefined && {
      cache: createSnapshotCache({
        dir: cacheDir,
        key: `${options.controlPlane} ${namespace}.${service}.${version}`,
        clock: tools.clock,
      }),
    }),
  });
}

/** Reports what is counted to the control planes that sent the clusters, where clusters ask for it. */
export function createLoadReporting(
  options: ResolvedMeshOptions,
  { clock, random, logger }: SourceTools,
  ledger: LoadLedger,
  xds: XdsClient,
): LoadReporting {
  return new LoadReporting(ledger, xds, { node: describeNode(options, []), clock, random, logger });
}

/** How long a start with a cached configuration waits for the control plane's, in milliseconds. */
const FRESH_WAIT_MS = 1_000;

/**
 * With a configuration from the cache, waits for the control plane's own: the endpoints of a cache are those of before.
 * A control plane that does not answer ends the wait at once.
 */
export function waitForFresh(xds: XdsClient, waitMs: number, clock: Clock): Promise<void> {
  const isFresh = () =>
    xds.published.value.source !== 'cache' || xds.connected.value.state === 'disconnected';
  if (isFresh()) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      timer.cancel();
      for (const unsubscribe of unsubscribes) unsubscribe();
      resolve();
    };
    const check = () => isFresh() && finish();
    const timer = clock.schedule(Math.min(waitMs, FRESH_WAIT_MS), finish, true);
    const unsubscribes = [xds.published.subscribe(check), xds.connected.subscribe(check)];
  });
}
