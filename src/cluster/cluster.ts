import type { Cluster, ClusterDiscovery } from '../model/cluster.js';
import type { ClusterLoadAssignment, Endpoint } from '../model/endpoint.js';
import type { ResolvedCluster } from '../model/snapshot.js';
import type { TcpTunnel } from '../model/tcp-proxy.js';
import type { Unsubscribe } from '../runtime/abort.js';
import { type Agenda, createAgenda } from '../runtime/agenda.js';
import { isEqual } from '../runtime/equal.js';
import { messageOf } from '../runtime/errors.js';
import type { Request, Response } from '../service/service.js';
import { type Breakers, createBreakers } from './breaker.js';
import type { ClusterRuntime, ClusterTools } from './cluster-runtime.js';
import { type ClusterStats, hostStats, limitStats } from './cluster-stats.js';
import { ConnectionCount } from './connection-permits.js';
import { destinationOf } from './destination.js';
import { type DialTools, dialHost, streamPermits } from './dial-host.js';
import { createDnsCaches } from './dns-caches.js';
import { OverloadDrops, type Shed } from './drop-overload.js';
import { ForwardProxyHosts } from './forward-proxy.js';
import { keepsPassingHosts, startChecks } from './health/checks.js';
import { type HealthMonitor, handOver } from './health/monitor.js';
import { keepPassing, withoutHost } from './health/removal.js';
import type { Host } from './host.js';
import {
  type HostSet,
  type Membership,
  membershipOf,
  NO_MEMBERS,
  partition,
  reconcileHosts,
} from './host-set.js';
import { createLbCounts } from './lb/lb-counts.js';
import type { Balancer, PickContext, Picker } from './lb/load-balancer.js';
import { createBalancer } from './lb/policies.js';
import type { ClusterLoads } from './load/cluster-loads.js';
import { countLoad } from './load/count-load.js';
import { OnDemandHosts } from './on-demand.js';
import { askForLoad, hearLoad } from './orca/hear-load.js';
import { type ReportSessions, reportSessions } from './orca/report-sessions.js';
import { createOutlierMonitor, type OutlierMonitor } from './outlier/monitor.js';
import { endsWithStatus, statusForOutliers, statusOfTrailers } from './outlier/status.js';
import { overrideHost } from './override-host.js';
import { isOwnLimit } from './own-limit.js';
import { Rebuilds } from './rebuilds.js';
import { type DnsWatch, watchDns } from './resolve-dns.js';
import { createNameResolver } from './resolve-name.js';

import { StaleEndpoints } from './stale-endpoints.js';
import { type DialDone, type EndpointTransport, TransportError } from './transport.js';
import { transportOptions } from './transport-options.js';

export type { ClusterRuntime, ClusterTools } from './cluster-runtime.js';

/** Makes a cluster. Hosts of `inherited` that are still wanted, with the same transport, are taken over with all they carry. */
export function createCluster(
  resolved: ResolvedCluster,
  tools: ClusterTools,
  inherited?: ClusterRuntime,
): ClusterRuntime {
  return new RunningCluster(resolved, tools, inherited);
}

class RunningCluster implements ClusterRuntime {
  readonly config: Cluster;
  readonly breakers: Breakers;
  readonly connections: ConnectionCount;
  readonly ready: Promise<void>;
  hostSets: readonly HostSet[] = [];
  readonly #tools: ClusterTools;
  readonly #balancer: Balancer;
  readonly #lbCounts = createLbCounts();
  readonly #outliers: OutlierMonitor | undefined;
  readonly #detectsDegraded: boolean;
  readonly #dns: DnsWatch | undefined;
  readonly #demand: OnDemandHosts | undefined;
  readonly forwardProxy: ForwardProxyHosts | undefined;
  readonly #retiring = new Set<Promise<void>>();
  readonly #drops: OverloadDrops;
  readonly #reports: ReportSessions | undefined;
  readonly #loads: ClusterLoads | undefined;
  readonly #stale: StaleEndpoints;
  #assignment: ClusterLoadAssignment | undefined;
  #members: Membership = NO_MEMBERS;
  #picker: Picker;
  #checks: HealthMonitor | undefined;
  /** Envoy: a cluster serves nothing before its hosts were checked once. */
  #isWarm: boolean;
  #hasTraffic: boolean;
  readonly #rebuilds: Rebuilds;

  constructor(resolved: ResolvedCluster, tools: ClusterTools, inherited: ClusterRuntime | undefined) {
    const { cluster } = resolved;
    if (cluster.discovery.kind === 'aggregate')
      throw new TypeError(`${cluster.name} has no hosts of its own`);
    this.config = cluster;
    this.#tools = tools;
    const { clock, random, agenda = createAgenda(clock) } = tools;
    this.breakers = createBreakers(cluster.circuitBreakers, {
      clock,
      multiplexes: cluster.protocol !== undefined,
    });
    // Hosts that are taken over keep their connections, and so these are still counted.
    this.connections = inherited?.connections ?? new ConnectionCount(0);
    this.connections.limit = cluster.circuitBreakers.default.maxConnections;
    // Envoy takes the percentage as a whole number.
    const panicThresholdPercent = Math.round(cluster.panicThresholdPercent);
    this.#balancer = createBalancer(cluster.lbPolicy, {
      clock,
      agenda,
      random,
      panicThresholdPercent,
      // Envoy: the local cluster itself is not routed by zone.
      zone: tools.zone?.clusterName === cluster.name ? undefined : tools.zone,
      compileHash: tools.compileHash,
      counts: this.#lbCounts,
      activeRequests: () => this.breakers.default.requests.active + this.breakers.high.requests.active,
    });
    this.#picker = () => undefined;
    this.#loads = tools.loads?.open(cluster);
    this.#drops = new OverloadDrops(random, (category) => this.#loads?.drop(category));
    this.#reports = reportSessions(cluster, { ...tools, agenda });
    this.#stale = new StaleEndpoints(agenda, (without) => this.#apply(without));
    const rebuild = () => this.#rebuild();
    this.#rebuilds = new Rebuilds(cluster.updateMergeWindowMs ?? 0, { clock, agenda, rebuild });
    const waits = cluster.waitsForWarmUp !== false;
    this.#isWarm = !waits || cluster.healthCheck === undefined || (inherited?.hosts.size ?? 0) > 0;
    this.#hasTraffic = hadTraffic(inherited);
    if (inherited !== undefined) this.#inherit(inherited);
    this.#outliers = this.#createOutliers();
    this.#detectsDegraded = cluster.outlierDetection?.detectDegradedHosts ?? false;
    const { discovery } = cluster;
    this.#demand = this.#demandOf(discovery, agenda);
    this.forwardProxy = this.#proxyOf(discovery);
    const asked = this.#demand ?? this.forwardProxy;
    if (asked !== undefined) {
      this.#members = { ...NO_MEMBERS, hosts: asked.hosts };
      this.ready = Promise.resolve();
    } else if (discovery.kind === 'strict-dns' || discovery.kind === 'logical-dns') {
      this.#rebuild();
      const { logger, resolveName = createNameResolver() } = tools;
      this.#dns = watchDns(discovery, { clock, random, logger, resolve: resolveName }, (found) =>
        this.#apply(found),
      );
      this.ready = this.#warmUp(waits ? this.#dns.ready : Promise.resolve());
    } else {
      if (discovery.kind === 'static') this.#apply(discovery.assignment);
      else this.update(resolved);
      this.ready = this.#warmUp(Promise.resolve());
    }
  }

  memberOf(): ClusterRuntime {
    return this;
  }

  get name(): string {
    return this.config.name;
  }

  get hosts(): ReadonlyMap<string, Host> {
    return this.#members.hosts;
  }

  pick(context: PickContext): Host | undefined {
    if (this.forwardProxy !== undefined) return context.request && this.forwardProxy.pick(context.request);
    if (this.#demand !== undefined) return this.#pickOnDemand(this.#demand, context);
    const override = overrideHost(context, this.#members.hosts, this.config.overrideHostStatuses);
    if (override !== undefined) return override === 'none' ? undefined : override;
    return this.#picker(context, 0);
  }

  /** Envoy: the destination has the only say. */
  #pickOnDemand(demand: OnDemandHosts, { request }: PickContext): Host | undefined {
    const { discovery } = this.config;
    if (request === undefined || discovery.kind !== 'original-dst') return undefined;
    const address = destinationOf(request, discovery);
    return address && demand.find(address);
  }

  shed(): Shed | undefined {
    return this.#drops.shed();
  }

  overflowed(): void {
    this.#loads?.drop();
  }

  send(host: Host, request: Request): Promise<Response> {
    const loads = this.#loads;
    if (loads === undefined) return this.#send(host, request);
    return countLoad(loads, host, request, () => this.#send(host, request), this.#tools.readLoad);
  }

  #send(host: Host, request: Request): Promise<Response> {
    const stalls = this.#outliers === undefined ? undefined : this.#tools.stalls;
    const mark = stalls?.watch() ?? 0;
    this.#hasTraffic = true;
    if (host.load?.readsResponses === true) askForLoad(request);
    this.#reports?.use(host);
    return host
      .enter()(request)
      .then(
        (response) => {
          stalls?.unwatch();
          return this.#answered(host, request, response);
        },
        (error: unknown) => {
          host.leave();
          host.tally.errors++;
          // A connection that timed out or was closed while nobody here looked at it says nothing about the host.
          if (stalls === undefined || stalls.since(mark) === 0) this.#reportError(host, error);
          stalls?.unwatch();
          throw error;
        },
      );
  }

  #answered(host: Host, request: Request, response: Response): Response {
    const { load } = host;
    if (load?.readsResponses === true && this.#tools.readLoad !== undefined) {
      hearLoad(response, this.#tools.readLoad, (report) => load.take(report, this.#tools.clock.now()));
    }
    if (this.#checks !== undefined && response.headers.has('x-envoy-immediate-health-check-fail')) {
      this.#checks.failNow(host);
    }
    const outliers = this.#outliers;
    const isOpen = endsWithStatus(request, response);
    if (outliers === undefined && !isOpen) {
      const isCall = request.context.grpcMessages !== undefined;
      host.count(isCall ? statusForOutliers(request, response) : response.status);
      response.completion.onEnd(host.leave);
      return response;
    }
    outliers?.reportLocalOrigin(host, 'connect-success');
    const status = statusForOutliers(request, response);
    if (this.#detectsDegraded && status < 500 && response.headers.has('x-envoy-degraded')) {
      outliers?.reportDegraded(host);
    }
    if (!isOpen) this.#judge(host, status, response.status);
    response.completion.onEnd(({ trailers, error }) => {
      host.leave();
      if (error !== undefined) this.#reportError(host, error);
      else if (isOpen) this.#judge(host, statusOfTrailers(trailers), response.status);
    });
    return response;
  }

  /** `answered` is the status of HTTP, which `status` may be another one than for gRPC. */
  #judge(host: Host, status: number, answered: number): void {
    host.count(status);
    const errors = this.config.outlierStatuses;
    // Envoy: what is counted by its status alone is a 500 or a 200 to all detectors.
    const judged = errors === undefined ? status : errors.includes(answered) ? 500 : 200;
    this.#outliers?.reportStatus(host, judged);
  }

  dial(host: Host, done: DialDone, tunnel?: TcpTunnel): Unsubscribe | undefined {
    this.#hasTraffic = true;
    const outliers = this.#outliers;
    const stalls = outliers && this.#tools.stalls;
    return dialHost(host, { ...this.#permitsFor(tunnel), outliers, stalls, tunnel }, done);
  }

  /** Tunnels over HTTP/2 share connections: they count as the requests that they are. */
  #permitsFor(tunnel: TcpTunnel | undefined): Pick<DialTools, 'permits' | 'maxPerHost'> {
    const { protocol, circuitBreakers } = this.config;
    if (tunnel !== undefined && protocol?.kind === 'http2') {
      return { permits: streamPermits(this.breakers.default.requests), maxPerHost: Number.POSITIVE_INFINITY };
    }
    const maxPerHost = circuitBreakers.perHost?.maxConnections ?? Number.POSITIVE_INFINITY;
    return { permits: this.connections, maxPerHost };
  }

  reportTimeout(host: Host): void {
    this.#outliers?.reportLocalOrigin(host, 'timeout');
  }

  update(resolved: ResolvedCluster): void {
    if (this.config.discovery.kind !== 'eds') return;
    this.#stale.received(resolved.assignment);
    this.#apply(resolved.assignment);
  }

  stats(): ClusterStats {
    return {
      ...limitStats(this),
      hosts: [...this.#members.hosts.values()].map((host) => hostStats(host, this.#outliers !== undefined)),
      loadBalancing: { ...this.#lbCounts },
      subsets: this.#balancer.subsets?.(),
      loadStreams: this.#reports?.stats(),
      outliers: this.#outliers?.stats(),
      healthChecks: this.#checks?.stats(),
      drops: { ...this.#drops.counts },
    };
  }

  async close(kept?: ReadonlyMap<string, Host>): Promise<void> {
    this.#outliers?.close();
    this.#dns?.close();
    this.#stale.close();
    this.#demand?.close();
    this.forwardProxy?.close();
    this.#checks?.close();
    this.#rebuilds.close();
    this.#reports?.close();
    this.#closeLoads();
    this.#balancer.close?.();
    for (const host of this.#members.hosts.values()) {
      if (kept?.get(host.address) !== host) this.#retire(host);
    }
    await Promise.all(this.#retiring);
  }

  #closeLoads(): void {
    if (this.#loads !== undefined) this.#tools.loads?.close(this.#loads);
  }

  #demandOf(discovery: ClusterDiscovery, agenda: Agenda): OnDemandHosts | undefined {
    if (discovery.kind !== 'original-dst') return undefined;
    return new OnDemandHosts(this.#members.hosts, discovery.cleanupIntervalMs, {
      agenda,
      open: this.#open,
      retire: (host) => this.#retire(host),
    });
  }

  #proxyOf(discovery: ClusterDiscovery): ForwardProxyHosts | undefined {
    if (discovery.kind !== 'forward-proxy') return undefined;
    return new ForwardProxyHosts(discovery, {
      caches: this.#tools.dnsCaches ?? createDnsCaches(this.#tools),
      defaultPort: this.config.tls === undefined ? 80 : 443,
      open: this.#open,
      retire: (host) => this.#retire(host),
    });
  }

  /** Takes over the hosts whose connections would be made the same way. */
  #inherit(old: ClusterRuntime): void {
    const same = [...old.hosts].filter(([, { endpoint }]) =>
      isEqual(transportOptions(old.config, endpoint), transportOptions(this.config, endpoint)),
    );
    this.#members = membershipOf(new Map(same));
    for (const [, host] of same) handOver(host, this.config.healthCheck !== undefined);
    // Nobody would take these back.
    if (this.config.outlierDetection !== undefined) return;
    for (const [, host] of same) {
      host.ejected = false;
      host.outlierDegraded = false;
    }
  }

  #createOutliers(): OutlierMonitor | undefined {
    const { outlierDetection: config } = this.config;
    if (config === undefined) return undefined;
    const { clock, random, observer } = this.#tools;
    return createOutlierMonitor(config, {
      clock,
      random,
      hosts: () => this.#members.hosts,
      onChange: () => this.#rebuild(),
      onEvent: (event) => observer.ejected?.({ cluster: this.name, ...event }),
    });
  }

  readonly #open = (endpoint: Endpoint): EndpointTransport =>
    this.#tools.transport(endpoint, transportOptions(this.config, endpoint), this.connections);

  #apply(assignment: ClusterLoadAssignment | undefined): void {
    if (this.#assignment !== undefined && isEqual(assignment, this.#assignment)) return;
    this.#assignment = assignment;
    this.#drops.update(assignment?.dropOverloads);
    const next = reconcileHosts(this.#members.hosts, assignment, this.#open);
    const keeps = assignment !== undefined && keepsPassingHosts(this.config);
    const { membership, removed } = keeps ? keepPassing(next.membership, next.removed) : next;
    if (this.config.closeConnectionsOnHostSetChange === true) this.#renewAll(membership, removed);
    const isMergeable = removed.length === 0 && membership.hosts.size === this.#members.hosts.size;
    this.#members = membership;
    this.#check();
    if (isMergeable && this.#rebuilds.merges) this.#rebuilds.soon();
    else this.#rebuilds.now();
    for (const host of removed) this.#retire(host);
  }

  /** Waits for the first results of the checks. */
  #warmUp(known: Promise<void>): Promise<void> {
    if (this.#isWarm) return known;
    return known
      .then(() => this.#checks?.firstRound)
      .then(() => {
        this.#isWarm = true;
        this.#rebuild();
      });
  }

  /** The hosts that are checked are those of the cluster. */
  #check(): void {
    if (this.#checks !== undefined) {
      this.#checks.update(this.#members.hosts);
      return;
    }
    this.#checks = startChecks(this.config, this.#members.hosts, this.#tools, {
      hasTraffic: () => this.#hasTraffic,
      onPassed: (host) => this.#outliers?.reportPassedCheck(host),
      onChange: (host) => this.#checked(host),
    });
  }

  /** A check changed the health of a host. */
  #checked(host: Host): void {
    if (host.check?.failed === true) {
      // Envoy: what comes back starts slowly again.
      host.healthySinceMs = undefined;
      if (host.check.pendingRemoval) {
        this.#members = withoutHost(this.#members, host);
        this.#checks?.update(this.#members.hosts);
        this.#retire(host);
      } else {
        // Envoy: other connections may fare better than those that it had.
        this.#closing(host, host.renew());
      }
    }
    this.#rebuilds.soon();
  }

  #rebuild(): void {
    if (!this.#isWarm) return;
    this.hostSets = partition(this.#members);
    this.#picker = this.#balancer.picker(this.hostSets);
    const { zone } = this.#tools;
    if (zone?.clusterName === this.name) zone.publish(this.hostSets[0]);
  }

  /** Envoy: with every change of membership the hosts that stay get new connections, too. */
  #renewAll(next: Membership, removed: readonly Host[]): void {
    const before = this.#members.hosts;
    if (removed.length === 0 && next.hosts.size === before.size) return;
    for (const host of next.hosts.values()) this.#closing(host, host.renew());
  }

  #retire(host: Host): void {
    this.#reports?.drop(host);
    this.#loads?.retire(host);
    const closed = host.retire();
    if (closed !== undefined) this.#closing(host, closed);
  }

  #closing(host: Host, closed: Promise<void>): void {
    this.#reports?.drop(host);
    const closing: Promise<void> = closed
      .catch((error: unknown) => {
        const facts = { cluster: this.name, host: host.address, error: messageOf(error) };
        this.#tools.logger.warn(facts, 'closing a host failed');
      })
      .finally(() => this.#retiring.delete(closing));
    this.#retiring.add(closing);
  }

  #reportError(host: Host, error: unknown): void {
    // Timeouts are reported by whoever keeps the time; a caller that gives up says nothing about the host.
    if (!TransportError.is(error) || isOwnLimit(error)) return;
    if (error.failure === 'connect') {
      this.#balancer.unreachable?.(host);
      this.#reports?.unreachable(host);
    }
    // Envoy: a reset counts as a connect failure too.
    this.#outliers?.reportLocalOrigin(host, 'connect-failure');
  }
}

function hadTraffic(cluster: ClusterRuntime | undefined): boolean {
  return cluster?.stats().hosts.some(({ requests }) => requests > 0) ?? false;
}
