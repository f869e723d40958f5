import type { Cluster } from '../model/cluster.js';
import type { TcpTunnel } from '../model/tcp-proxy.js';
import type { Unsubscribe } from '../runtime/abort.js';
import type { Clock } from '../runtime/clock.js';
import { type Random, randomInt } from '../runtime/random.js';
import type { Request, Response } from '../service/service.js';
import { type Breakers, createBreakers } from './breaker.js';
import type { ClusterRuntime } from './cluster-runtime.js';
import { type ClusterStats, limitStats } from './cluster-stats.js';
import { ConnectionCount } from './connection-permits.js';
import type { Host } from './host.js';
import type { HostSet } from './host-set.js';
import type { PickContext } from './lb/load-balancer.js';
import { choosePriority, type PriorityLoad, type PriorityShares, priorityLoadOf } from './priority.js';
import type { DialDone } from './transport.js';

/** gRFC A37: clusters of clusters nest so deep at most. */
const MAX_DEPTH = 16;

export interface AggregateTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly lookup: (name: string) => ClusterRuntime | undefined;
}

/** One priority of one member. */
interface Level {
  readonly member: ClusterRuntime;
  /** Makes the member choose in this priority, among its healthy or its degraded hosts. */
  readonly only: readonly [healthy: PriorityLoadOverride, degraded: PriorityLoadOverride];
}

type PriorityLoadOverride = (load: PriorityLoad) => PriorityShares;

/**
 * An aggregate cluster: the priorities of its members, one after the other, are its own. It chooses the priority; the
 * member whose it is chooses the host, by its own policy, and keeps the counts (Envoy).
 */
export class AggregateCluster implements ClusterRuntime {
  readonly config: Cluster;
  readonly breakers: Breakers;
  /** Its members count their own. */
  readonly connections = new ConnectionCount(Number.POSITIVE_INFINITY);
  readonly #tools: AggregateTools;
  /** What the levels below were made of. */
  #members: readonly ClusterRuntime[] = [];
  #sets: readonly (readonly HostSet[])[] = [];
  #levels: readonly Level[] = [];
  #load: PriorityLoad = priorityLoadOf([], 0);

  constructor(config: Cluster, tools: AggregateTools) {
    this.config = config;
    this.#tools = tools;
    this.breakers = createBreakers(config.circuitBreakers, { clock: tools.clock, multiplexes: false });
  }

  get name(): string {
    return this.config.name;
  }

  get ready(): Promise<void> {
    return Promise.all(this.#leaves().map(({ ready }) => ready)).then(() => {});
  }

  get hosts(): ReadonlyMap<string, Host> {
    return new Map(this.#leaves().flatMap(({ hosts }) => [...hosts]));
  }

  get hostSets(): readonly HostSet[] {
    return this.#leaves().flatMap(({ hostSets }) => hostSets);
  }

  pick(context: PickContext): Host | undefined {
    this.#refresh();
    const shares = context.priorityLoad?.(this.#load) ?? this.#load;
    const target = choosePriority(shares, randomInt(this.#tools.random, 100) + 1);
    const level = this.#levels[target >> 1];
    if (level === undefined) return undefined;
    return level.member.pick({ ...context, priorityLoad: level.only[target % 2 === 0 ? 0 : 1] });
  }

  memberOf(host: Host): ClusterRuntime {
    return this.#members.find(({ hosts }) => hosts.get(host.address) === host) ?? this;
  }

  shed(): undefined {
    return undefined;
  }

  overflowed(): void {}

  send(host: Host, request: Request): Promise<Response> {
    const member = this.memberOf(host);
    if (member === this) return Promise.reject(new Error(`${host.address} left the cluster ${this.name}`));
    return member.send(host, request);
  }

  dial(host: Host, done: DialDone, tunnel?: TcpTunnel): Unsubscribe | undefined {
    const member = this.memberOf(host);
    return member === this ? undefined : member.dial(host, done, tunnel);
  }

  reportTimeout(host: Host): void {
    const member = this.memberOf(host);
    if (member !== this) member.reportTimeout(host);
  }

  update(): void {}

  stats(): ClusterStats {
    return {
      ...limitStats(this),
      hosts: [],
      outliers: undefined,
      healthChecks: undefined,
      drops: {},
    };
  }

  async close(): Promise<void> {}

  /** Members come, go and change; their host sets are new objects whenever they do. */
  #refresh(): void {
    const members = this.#leaves();
    const isSame =
      members.length === this.#members.length &&
      members.every((one, i) => one === this.#members[i] && one.hostSets === this.#sets[i]);
    if (isSame) return;
    this.#members = members;
    this.#sets = members.map(({ hostSets }) => hostSets);
    this.#levels = members.flatMap((member) =>
      member.hostSets.map((_, priority) => ({
        member,
        only: [onlyPriority(priority, 'healthy'), onlyPriority(priority, 'degraded')] as const,
      })),
    );
    this.#load = priorityLoadOf(this.#sets.flat(), Math.round(this.config.panicThresholdPercent));
  }

  /** The members that have hosts, in order, each once (gRFC A37); those that do not exist are left out. */
  #leaves(): readonly ClusterRuntime[] {
    const leaves = new Set<ClusterRuntime>();
    const seen = new Set<string>([this.name]);
    const add = ({ discovery }: Cluster, depth: number) => {
      for (const name of discovery.kind === 'aggregate' ? discovery.clusters : []) {
        const member = this.#tools.lookup(name);
        if (member === undefined) continue;
        if (member.config.discovery.kind !== 'aggregate') leaves.add(member);
        else if (depth < MAX_DEPTH && !seen.has(name)) {
          seen.add(name);
          add(member.config, depth + 1);
        }
      }
    };
    add(this.config, 1);
    return [...leaves];
  }
}

/** All load to one priority, for its healthy or its degraded hosts. */
function onlyPriority(priority: number, kind: 'healthy' | 'degraded'): PriorityLoadOverride {
  return ({ healthy }) => {
    const none = healthy.map(() => 0);
    const all = healthy.map((_, index) => (index === priority ? 100 : 0));
    return kind === 'healthy' ? { healthy: all, degraded: none } : { healthy: none, degraded: all };
  };
}
