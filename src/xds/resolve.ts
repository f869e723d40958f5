import type { Cluster } from '../model/cluster.js';
import { secretsOf } from '../model/cluster-secrets.js';
import type { ClusterLoadAssignment } from '../model/endpoint.js';
import { inboundChains } from '../model/inbound-chains.js';
import type { InboundListener, Listener, OutboundListener, OutboundTcpListener } from '../model/listener.js';
import { secretsOfListener } from '../model/listener-secrets.js';
import type { RouteConfiguration } from '../model/route.js';
import {
  NO_RUNTIME,
  type Runtime,
  type RuntimeLayer,
  type RuntimeLayerSource,
  type RuntimeValue,
} from '../model/runtime.js';
import type { Secret } from '../model/secret.js';
import {
  EMPTY_SNAPSHOT,
  type ResolvedCluster,
  type ResolvedOutbound,
  type Snapshot,
} from '../model/snapshot.js';
import { discoveredOf, fillIn } from './discovered-filters.js';
import type { Found } from './found.js';
import { tablesOf, withTables } from './inbound-routes.js';
import {
  closedOutbound,
  type FollowedNames,
  isSameMap,
  isSameRuntime,
  type MissingResource,
  type ReferenceKind,
  type Resolution,
  type ResourceView,
} from './resolution.js';
import { targetsOfInbound, targetsOfListener, targetsOfTcp } from './targets.js';
import { withHosts } from './virtual-hosts.js';
import { withRuntime } from './with-runtime.js';

/** Follows the references LDS, RDS, CDS, EDS from the given listeners, and from clusters that no listener needs. Objects of `previous` that still hold are kept. */
export function resolve(
  view: ResourceView,
  roots: Iterable<string>,
  previous: Snapshot = EMPTY_SNAPSHOT,
  { clusters = [], secrets = [], runtime = [] }: FollowedNames = {},
): Resolution {
  const walk = new Walk(view, previous);
  walk.runtimeOf(runtime);
  for (const root of roots) walk.root(root);
  for (const name of clusters) walk.clusterRoot(name);
  for (const name of secrets) walk.secretRoot(name);
  return walk.finish();
}

/** Outcome for one cluster: what to serve (undefined: it does not exist), and whether a listener may rely on it. */
interface ClusterOutcome {
  readonly resolved: ResolvedCluster | undefined;
  readonly isReady: boolean;
}

class Walk {
  readonly #view: ResourceView;
  readonly #previous: Snapshot;
  readonly #routes = new Set<string>();
  readonly #tables = new Set<string>();
  readonly #runtimes = new Set<string>();
  #runtime: Runtime = NO_RUNTIME;
  readonly #clusters = new Map<string, ClusterOutcome>();
  readonly #assignments = new Set<string>();
  readonly #extensions = new Set<string>();
  readonly #missing = new Map<string, MissingResource>();
  readonly #outbound = new Map<string, ResolvedOutbound>();
  readonly #tcp = new Map<string, OutboundTcpListener>();
  readonly #inbound = new Map<string, InboundListener>();
  readonly #serving = new Map<string, ResolvedCluster>();
  /** Names of secrets asked for, with those that are there. */
  readonly #secrets = new Map<string, Secret | undefined>();

  constructor(view: ResourceView, previous: Snapshot) {
    this.#view = view;
    this.#previous = previous;
  }

  /** Envoy: nothing begins before the layers of the runtime are there, or known not to come. */
  runtimeOf(layers: readonly RuntimeLayerSource[]): void {
    if (layers.length === 0) return;
    const values = new Map<string, RuntimeValue>();
    for (const layer of layers) {
      const found = layer.kind === 'static' ? layer : this.#runtimeLayer(layer.name);
      if (typeof found !== 'object') continue;
      for (const [key, value] of found.values) values.set(key, value);
    }
    const { runtime = NO_RUNTIME } = this.#previous;
    this.#runtime = isSameRuntime(values, runtime) ? runtime : values;
  }

  #runtimeLayer(name: string): Found<RuntimeLayer> {
    this.#runtimes.add(name);
    const found = this.#view.runtime(name);
    if (found === 'pending') this.#miss('runtime', name);
    return found;
  }

  root(name: string): void {
    const found = this.#view.listener(name);
    if (found === 'absent') return;
    if (found === 'pending') {
      this.#miss('listener', name);
      this.#keep(name);
    } else if (found === 'refused') {
      this.#keep(name);
      // Fails closed: the mesh owns the host, and without routes it answers locally.
      if (!this.#outbound.has(name) && !this.#tcp.has(name)) this.#outbound.set(name, closedOutbound(name));
    } else {
      const filled = this.#fillIn(found);
      if (filled === 'pending') this.#keep(name);
      else this.#listenerRoot(name, withRuntime(filled, this.#runtime));
    }
  }

  #listenerRoot(name: string, listener: Listener): void {
    if (listener.kind === 'inbound') this.#inboundRoot(name, listener);
    else if (listener.kind === 'outbound') this.#outboundRoot(name, listener);
    else if (this.#serve(name, targetsOfTcp(listener))) this.#tcp.set(name, listener);
  }

  /** The listener with the configuration of its filters; Envoy: it warms until that is there. */
  #fillIn(listener: Listener): Listener | 'pending' {
    for (const name of discoveredOf(listener)) {
      this.#extensions.add(name);
      if (this.#view.extension(name) === 'pending') this.#miss('extension', name);
    }
    return fillIn(listener, (name) => this.#view.extension(name));
  }

  clusterRoot(name: string): void {
    const { resolved } = this.#cluster(name);
    if (resolved !== undefined) this.#serving.set(name, resolved);
  }

  secretRoot(name: string): void {
    const found = this.#view.secret(name);
    const present = found === 'pending' || found === 'refused' ? this.#previous.secrets?.get(name) : found;
    this.#secrets.set(name, typeof present === 'object' ? present : undefined);
  }

  finish(): Resolution {
    const wanted = {
      routes: this.#routes,
      clusters: new Set(this.#clusters.keys()),
      assignments: this.#assignments,
      secrets: new Set(this.#secrets.keys()),
      extensions: this.#extensions,
      runtimes: this.#runtimes,
      tables: this.#tables,
    };
    const { outbound, tcp = NO_TCP, inbound, clusters } = this.#previous;
    const secrets = new Map([...this.#secrets].flatMap(([name, one]) => (one ? [[name, one] as const] : [])));
    const isUnchanged =
      isSameMap(this.#outbound, outbound) &&
      isSameMap(this.#tcp, tcp) &&
      isSameMap(this.#inbound, inbound) &&
      isSameMap(this.#serving, clusters) &&
      this.#runtime === (this.#previous.runtime ?? NO_RUNTIME) &&
      isSameMap(secrets, this.#previous.secrets ?? NO_SECRETS);
    const snapshot = isUnchanged
      ? this.#previous
      : {
          outbound: this.#outbound,
          ...(this.#tcp.size > 0 && { tcp: this.#tcp }),
          inbound: this.#inbound,
          clusters: this.#serving,
          ...(secrets.size > 0 && { secrets }),
          ...(this.#runtime !== NO_RUNTIME && { runtime: this.#runtime }),
        };
    return { wanted, missing: [...this.#missing.values()], snapshot };
  }

  #inboundRoot(name: string, listener: InboundListener): void {
    const tables = new Map(tablesOf(listener).map((table) => [table, this.#table(table)] as const));
    const filled = withTables(listener, (table) => tables.get(table) ?? 'absent');
    // Envoy: a listener warms until the secrets of its connections are there.
    const isReady = this.#secretsAreReady(secretsOfListener(listener));
    if (filled === 'pending' || !isReady) this.#keep(name);
    else if (this.#serve(name, inboundChains(filled).flatMap(targetsOfInbound)))
      this.#inbound.set(name, filled);
  }

  #outboundRoot(name: string, listener: OutboundListener): void {
    const routes = this.#routesOf(listener);
    if (routes === 'pending') {
      this.#keep(name);
      return;
    }
    if (!this.#serve(name, targetsOfListener(listener, routes))) return;
    const previous = this.#previous.outbound.get(name);
    const isSame = previous?.listener === listener && previous.routes === routes;
    this.#outbound.set(name, isSame ? previous : { listener, routes });
  }

  /**
   * Serves the clusters of a listener; false when one is not there yet. A new reference waits until its target is
   * there; the listener's old form stays in force meanwhile.
   */
  #serve(name: string, targets: readonly string[]): boolean {
    const outcomes = targets.map((target) => [target, this.#cluster(target)] as const);
    if (outcomes.some(([, outcome]) => !outcome.isReady)) {
      this.#keep(name);
      return false;
    }
    for (const [target, { resolved }] of outcomes) this.#serveCluster(target, resolved);
    return true;
  }

  #routesOf({ http }: OutboundListener): RouteConfiguration | undefined | 'pending' {
    if (http.routes.kind === 'inline') return http.routes.config;
    const found = this.#table(http.routes.name);
    return found === 'absent' || found === 'refused' ? undefined : found;
  }

  /** A table that comes by RDS, with all that belongs into it. */
  #table(name: string): Found<RouteConfiguration> {
    this.#routes.add(name);
    const found = this.#view.routes(name);
    if (found === 'pending') this.#miss('routes', name);
    if (typeof found !== 'object') return found;
    const whole = found.virtualHostDiscovery === true ? this.#withHosts(name, found) : found;
    return whole === 'pending' ? whole : withRuntime(whole, this.#runtime);
  }

  /** Envoy: a table warms until it is known which virtual hosts it begins with. */
  #withHosts(name: string, table: RouteConfiguration): RouteConfiguration | 'pending' {
    this.#tables.add(name);
    const { hosts, isPending } = this.#view.virtualHosts(name);
    if (!isPending)
      return withHosts(table, hosts, (host, domain) => this.#view.onTaken?.(name, host, domain));
    this.#miss('virtual-hosts', name);
    return 'pending';
  }

  /** Keeps a listener as it was, with all that it refers to, also in the subscriptions. */
  #keep(name: string): void {
    const inbound = this.#previous.inbound.get(name);
    if (inbound !== undefined) {
      this.#inbound.set(name, inbound);
      for (const filter of discoveredOf(inbound)) this.#extensions.add(filter);
      this.#secretsAreReady(secretsOfListener(inbound));
      for (const chain of inboundChains(inbound)) this.#keepClusters(targetsOfInbound(chain));
    }
    const tcp = this.#previous.tcp?.get(name);
    if (tcp !== undefined) {
      this.#tcp.set(name, tcp);
      this.#keepClusters(targetsOfTcp(tcp));
    }
    const outbound = this.#previous.outbound.get(name);
    if (outbound === undefined) return;
    this.#outbound.set(name, outbound);
    const { listener, routes } = outbound;
    for (const filter of discoveredOf(listener)) this.#extensions.add(filter);
    if (listener.http.routes.kind === 'rds') this.#keepRoutes(listener.http.routes.name, routes);
    this.#keepClusters(targetsOfListener(listener, routes));
  }

  #keepRoutes(name: string, routes: RouteConfiguration | undefined): void {
    this.#routes.add(name);
    if (routes?.virtualHostDiscovery === true) this.#tables.add(name);
  }

  #keepClusters(targets: readonly string[]): void {
    for (const target of targets) {
      this.#serveCluster(target, this.#cluster(target).resolved ?? this.#previous.clusters.get(target));
    }
  }

  /** A cluster, and the members of an aggregate with it. */
  #serveCluster(name: string, resolved: ResolvedCluster | undefined): void {
    if (resolved === undefined || this.#serving.get(name) === resolved) return;
    this.#serving.set(name, resolved);
    this.#secretsAreReady(secretsOf(resolved.cluster));
    const { discovery } = resolved.cluster;
    if (discovery.kind === 'aggregate') this.#keepClusters(discovery.clusters);
  }

  /** Whether every member of an aggregate is there, or known not to exist; all of them are asked for. */
  #membersAreReady({ discovery }: Cluster): boolean {
    if (discovery.kind !== 'aggregate') return true;
    return discovery.clusters.map((name) => this.#cluster(name)).every(({ isReady }) => isReady);
  }

  #cluster(name: string): ClusterOutcome {
    let outcome = this.#clusters.get(name);
    if (outcome === undefined) {
      // Aggregates may go round in circles: what leads back to itself is not there.
      this.#clusters.set(name, { resolved: undefined, isReady: true });
      outcome = this.#resolveCluster(name);
      this.#clusters.set(name, outcome);
    }
    return outcome;
  }

  #resolveCluster(name: string): ClusterOutcome {
    const previous = this.#previous.clusters.get(name);
    const waiting = { resolved: previous, isReady: previous !== undefined };
    const cluster = this.#view.cluster(name);
    if (cluster === 'absent' || cluster === 'refused') return { resolved: undefined, isReady: true };
    if (cluster === 'pending') {
      this.#miss('cluster', name);
      if (previous?.cluster.discovery.kind === 'eds')
        this.#assignments.add(previous.cluster.discovery.serviceName);
      return waiting;
    }
    const assignment = this.#assignmentOf(cluster);
    const isReady = this.#membersAreReady(cluster);
    // Envoy: a cluster warms until the secrets of its connections are there.
    if (!this.#secretsAreReady(secretsOf(cluster)) || assignment === 'pending' || !isReady) return waiting;
    const isSame = previous?.cluster === cluster && previous.assignment === assignment;
    return { resolved: isSame ? previous : { cluster, assignment }, isReady: true };
  }

  #assignmentOf({ discovery }: Cluster): ClusterLoadAssignment | undefined | 'pending' {
    if (discovery.kind !== 'eds') return 'assignment' in discovery ? discovery.assignment : undefined;
    this.#assignments.add(discovery.serviceName);
    const found = this.#view.assignment(discovery.serviceName);
    if (found === 'pending') this.#miss('assignment', discovery.serviceName);
    return found === 'absent' || found === 'refused' ? undefined : found;
  }

  /** Whether every one of the secrets is there, or known not to come; all of them are asked for. */
  #secretsAreReady(names: Iterable<string>): boolean {
    let isReady = true;
    for (const name of names) {
      const found = this.#view.secret(name);
      const present = found === 'pending' ? this.#previous.secrets?.get(name) : found;
      this.#secrets.set(name, typeof present === 'object' ? present : undefined);
      if (found !== 'pending') continue;
      isReady = false;
      this.#miss('secret', name);
    }
    return isReady;
  }

  #miss(kind: ReferenceKind, name: string): void {
    this.#missing.set(`${kind} ${name}`, { kind, name });
  }
}

const NO_SECRETS: ReadonlyMap<string, Secret> = new Map();

const NO_TCP: ReadonlyMap<string, OutboundTcpListener> = new Map();
