import { createClusters } from '../cluster/clusters.js';
import { type SecretLookup, SecretTable } from '../cluster/secret-table.js';
import type { Transport } from '../cluster/transport.js';
import { localZone } from '../cluster/zone.js';
import type { FailureRateBreakers } from '../filters/failure-rate-breaker.js';
import type { CustomFilters, LocalNode } from '../filters/filter.js';
import { createFilterMemory, type FilterMemory } from '../filters/filter-memory.js';
import type { CaSource } from '../identity/ca-source.js';
import type { IdentitySource } from '../identity/source.js';
import type { AccessLog } from '../model/access-log.js';
import type { InboundListener } from '../model/listener.js';
import type { Metadata } from '../model/metadata.js';
import type { Snapshot } from '../model/snapshot.js';
import { compileHashPolicies } from '../routing/hash-policy.js';
import { HostTable, isLoopback, looksMeshed } from '../routing/host-table.js';
import type { Clock } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import { createStalls, patientClock } from '../runtime/stalls.js';
import type { ConnectionLogger, ExchangeLogger } from '../service/exchange-logger.js';
import { combineObservers, type Observer } from '../service/observer.js';
import type { Filter, Service } from '../service/service.js';
import type { WorkloadInfo } from '../service/workload.js';
import { AccessLogs } from '../telemetry/access-log.js';
import { channelObserver } from '../telemetry/channels.js';
import { createMetrics, type Metrics } from '../telemetry/metrics.js';
import { propagate } from '../telemetry/propagation.js';
import type { XdsClient } from '../xds/client-api.js';
import type { PublishedSnapshot } from '../xds/synchronizer.js';
import { MeshAdmin } from './admin/mesh-admin.js';
import { Applier } from './apply.js';
import { callOut } from './call-out.js';
import { ClusterBreakers } from './cluster-breakers.js';
import type { MeshCore, OutboundTarget } from './core.js';
import { FirstConfiguration } from './first-configuration.js';
import { createProbes } from './health/open-probe.js';
import { hostTools } from './host-tools.js';
import type { InboundScope } from './inbound-scope.js';
import type { LoadReporting } from './load-reporting.js';
import { describeNode, describeWorkload } from './node.js';
import { OnDemandRoutes } from './on-demand.js';
import type { ResolvedMeshOptions } from './options.js';
import { certificateWithin, renewOnReturn } from './own-certificate.js';
import { createPeerExchange, type PeerExchange } from './peer-exchange.js';
import { PlaintextCallers } from './plaintext-callers.js';
import { Readiness, readinessIn } from './readiness.js';
import { closed, refuse, unconfigured } from './refusals.js';
import { type ServedPort, ServedPorts } from './served-ports.js';
import { serverStatuses } from './server-statuses.js';
import { createIdentity, createLoadReporting, createXds, waitForFresh } from './sources.js';
import type { MeshStatus } from './status.js';
import { type TcpCore, tcpOrigin } from './tcp/core.js';
import type { TcpListener } from './tcp/listener.js';
import { TcpTable } from './tcp/table.js';
import type { TracedPlace, Tracing } from './tracing.js';
import { TrustFollower } from './trust-follower.js';

/** What a running mesh is made of besides its options. */
export interface MeshTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Makes the transport; the bindings know how. */
  readonly transport: (identity: IdentitySource, secrets: SecretLookup) => Transport;
}

/** What is loaded only when it is asked for. */
export interface MeshParts {
  readonly breakers: FailureRateBreakers;
  readonly scope: InboundScope;
  readonly tracing: Tracing;
}

/** A mesh at work: identity, configuration, clusters, and the table of outbound stacks that it swaps. */
export class RunningMesh implements MeshCore, TcpCore {
  readonly clock: Clock;
  readonly random: Random;
  readonly identity: CaSource;
  readonly metrics: Metrics;
  readonly observer: Observer;
  readonly node: LocalNode;
  readonly peers: PeerExchange;
  /** Runs the application's part of an inbound request. */
  readonly scope: InboundScope;
  /** The filter that traces the inbound requests of a route. */
  readonly trace: (place: TracedPlace) => Filter | undefined;
  /** This process as telemetry names it. */
  readonly workload: WorkloadInfo;
  readonly upstream: (clusterName: string) => Service | undefined;
  readonly filterMemory: FilterMemory = createFilterMemory();
  /** Who calls without TLS; the control plane hears of it. */
  readonly plaintextCallers = new PlaintextCallers(this, () => this.#tellNode());
  readonly custom: CustomFilters;
  /** The logger of a listener's access logs; undefined when it has none. */
  readonly accessLog = (logs: readonly AccessLog[] | undefined): ExchangeLogger | undefined =>
    this.#accessLogs.logger(logs);
  readonly #accessLogs: AccessLogs;
  readonly #options: ResolvedMeshOptions;
  readonly logger: Logger;
  /** Address under which others reach this process. */
  readonly address: string;
  readonly #xds: XdsClient;
  readonly #loads: LoadReporting;
  #admin: MeshAdmin | undefined;
  readonly #clusters: ReturnType<typeof createClusters>;
  readonly #applier: Applier;
  /** What SDS brings, as it is now. */
  readonly secrets = new SecretTable();
  readonly #trust = new TrustFollower(this);
  readonly #breakers: ClusterBreakers;
  readonly #first: FirstConfiguration;
  readonly #ports: ServedPorts;
  #readiness: Readiness | undefined;
  #table = new HostTable([]);
  /** Made when it is first asked for. */
  #tcpTable: TcpTable | undefined;
  #published: PublishedSnapshot;
  #closing: Promise<void> | undefined;

  constructor(options: ResolvedMeshOptions, tools: MeshTools, { breakers, scope, tracing }: MeshParts) {
    const { clock, random, logger } = tools;
    this.#options = options;
    [this.logger, this.address] = [logger, options.address];
    this.#breakers = new ClusterBreakers(breakers, options.failureRateBreakers, this.#metadataOf);
    [this.clock, this.random] = [clock, random];
    this.identity = createIdentity(options, tools);
    this.workload = describeWorkload(options);
    this.metrics = createMetrics({
      workload: this.workload,
      principal: () => this.identity.svid()?.id.toString(),
    });
    this.observer = combineObservers([this.metrics, channelObserver(), ...options.observers], (error) =>
      logger.error({ error: messageOf(error) }, 'an observer failed'),
    );
    const stalls = createStalls(clock);
    const timeouts = patientClock(clock, stalls);
    this.#clusters = createClusters({
      clock,
      stalls,
      random,
      logger,
      observer: this.observer,
      ...hostTools(clock),
      zone: localZone(options),
      compileHash: (policies) => compileHashPolicies(policies, options.address),
      transport: this.#openTransport(tools),
    });
    this.node = { id: options.nodeId, cluster: options.nodeCluster };
    this.custom = options.custom;
    this.peers = createPeerExchange(this.workload, options.nodeId);
    [this.scope, this.trace] = [scope, tracing.inbound];
    this.upstream = callOut((name) => this.#clusters.get(name), { clock, timeouts, observer: this.observer });
    this.#accessLogs = new AccessLogs(options.accessLog, { clock, random, logger });
    this.#applier = new Applier(this.#clusters, {
      accessLog: this.accessLog,
      clock,
      timeouts,
      random,
      observer: this.observer,
      node: this.node,
      sourceAddress: options.address,
      upstream: this.upstream,
      filterMemory: this.filterMemory,
      custom: this.custom,
      localMembers: this.localMembers,
      peers: this.peers,
      prepare: options.propagation ? propagate : undefined,
      isTrusted: (resource) => this.#xds.isTrusted(resource),
      onDemand: new OnDemandRoutes((...asked) => this.#xds.wantVirtualHost(...asked)),
      filters: options.filters,
      trace: tracing.outbound,
      failureRateBreaker: this.#breakers.filter,
      hostBreakers: this.#breakers.hosts,
    });
    this.#xds = createXds(options, { ...tools, identity: this.identity }, this.observer);
    this.#first = new FirstConfiguration(this.#xds, clock, options.configurationTimeoutMs);
    this.#ports = new ServedPorts(options, this.#xds, clock, () => this.#tellNode());
    this.#loads = createLoadReporting(options, tools, this.#clusters.loads, this.#xds);
    this.#published = this.#xds.published.value;
    this.#apply(this.#published);
    this.#xds.published.subscribe((published) => this.#apply(published));
    renewOnReturn(this.identity, this.#xds, logger);
  }

  /** How hosts are reached; so does this process ask itself for its health. */
  #openTransport(tools: MeshTools): Transport {
    const transport = tools.transport(this.identity, this.secrets);
    const { clock, logger } = tools;
    const onChange = () => this.#tellNode();
    this.#readiness = new Readiness({ clock, logger, transport, open: createProbes(clock), onChange });
    return transport;
  }

  readonly #metadataOf = (clusterName: string): Metadata | undefined =>
    this.#published.snapshot.clusters.get(clusterName)?.cluster.metadata;

  /** How many hosts the cluster has that this process belongs to. */
  readonly localMembers = (): number => {
    const { localCluster } = this.#options;
    return localCluster === undefined ? 0 : (this.#clusters.get(localCluster)?.hosts.size ?? 0);
  };

  /** What it shows of itself. */
  get admin(): MeshAdmin {
    const node = () => describeNode(this.#options, this.#ports.workloads);
    this.#admin ??= new MeshAdmin(this.#xds, this.#clusters, node, this.#options.runtime);
    return this.#admin;
  }

  lookup(origin: string | URL): OutboundTarget | 'unknown' | undefined {
    const target = this.#table.lookup(origin);
    if (target !== undefined) return this.#closing === undefined ? target : { ...target, service: refuse };
    return this.#first.isAwaitedBy(origin) ? 'unknown' : undefined;
  }

  tcpListener(host: string, port: number): TcpListener | 'unknown' | 'blocked' | undefined {
    if (this.#closing !== undefined) throw closed(`${host}:${port}`);
    const table = this.#tcpListeners();
    const listener = table.lookup(host, port);
    if (listener !== undefined) return listener;
    if (this.#first.isInForce) return table.isClosed && !isLoopback(host) ? 'blocked' : undefined;
    return this.#first.isAwaitedBy(tcpOrigin(host)) ? 'unknown' : undefined;
  }

  /** The logger of a chain's access logs for connections; undefined when it has none. */
  readonly connectionLog = (logs: readonly AccessLog[] | undefined): ConnectionLogger | undefined =>
    this.#accessLogs.connectionLogger(logs);

  get ownConnectionLog(): ConnectionLogger | undefined {
    return this.#accessLogs.connectionLogger(undefined);
  }

  async whenConfigured(origin?: string | URL): Promise<void> {
    await this.#first.wait(origin);
    if (this.#first.isInForce) return;
    if (this.#closing !== undefined) throw closed(`service ${this.#options.service}`);
    if (origin === undefined || looksMeshed(origin)) throw this.#unconfigured();
  }

  /** Waits for the first configuration and identity, at most the given time; false when it did not come. */
  async waitAtMost(waitMs: number): Promise<boolean> {
    if (waitMs <= 0) return this.#first.isInForce;
    const came = await this.#first.within(waitMs);
    if (!came) this.logger.error({}, this.#unconfigured().message);
    else await waitForFresh(this.#xds, waitMs, this.clock);
    return came;
  }

  /** Announces a served port: the control plane registers it while this process is connected. */
  announce(port: ServedPort): Promise<void> {
    return this.#ports.announce(port);
  }

  /** Takes a served port back; settles when callers have had the time to hear of it. */
  withdraw(port: ServedPort): Promise<void> {
    return this.#ports.withdraw(port);
  }

  /** The inbound listener of a served port. */
  inbound(port: ServedPort): InboundListener | undefined {
    return this.#ports.inbound(port);
  }

  #tellNode(): void {
    const callers = this.plaintextCallers.list();
    this.#xds.setNode(describeNode(this.#options, this.#ports.workloads, callers, this.#readiness?.state));
  }

  /** Calls the listener after each change of configuration. */
  onApplied(listener: () => void): () => void {
    return this.#xds.published.subscribe(listener);
  }

  status(): MeshStatus {
    const connection = this.#xds.connected.value;
    const svid = this.identity.svid();
    const { service, namespace, version, nodeId, controlPlane } = this.#options;
    return {
      service,
      namespace,
      version,
      nodeId,
      controlPlane: {
        target: controlPlane,
        state: connection.state,
        lastError: connection.lastError?.message,
        servers: serverStatuses(this.#xds),
      },
      configuration: this.#published.source,
      savedAtMs: this.#published.savedAt,
      listeners: this.#published.snapshot.outbound.size,
      clusters: [...this.#clusters.values()].map((cluster) => cluster.stats()),
      identity: svid && { spiffeId: svid.id.toString(), notAfterMs: svid.notAfterMs },
    };
  }

  /** Leaves the mesh: takes the served ports back, lets running exchanges finish, closes everything. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#first.giveUp();
    await this.#xds.close();
    await this.#loads.close();
    this.plaintextCallers.close();
    this.#readiness?.close();
    this.identity.close();
    await this.#clusters.close();
    await this.#accessLogs.close();
    this.#breakers.close();
  }

  #tcpListeners(): TcpTable {
    this.#tcpTable ??= new TcpTable(this.#published.snapshot, this.#options.namespace, {
      clock: this.clock,
      random: this.random,
      observer: this.observer,
      cluster: (name) => this.#clusters.get(name),
      connectionLog: this.connectionLog,
      sourceAddress: this.address,
      peers: this.peers,
    });
    return this.#tcpTable;
  }

  #apply(published: PublishedSnapshot): void {
    const { outbound, tcp, clusters } = published.snapshot;
    const old = this.#published.snapshot;
    if (outbound !== old.outbound || tcp !== old.tcp) this.#tcpTable = undefined;
    this.#published = published;
    this.secrets.replace(published.snapshot.secrets ?? new Map());
    this.#trust.follow(published.snapshot.secrets);
    this.#table = this.#applier.apply(published.snapshot);
    if (published.snapshot.inbound !== old.inbound) this.#readiness?.follow(readinessIn(published.snapshot));
    this.observer.applied?.({
      atMs: this.clock.now(),
      listeners: outbound.size,
      clusters: clusters.size,
      // Counted when somebody asks: an update of one cluster is no reason to look at all.
      get endpoints() {
        return countEndpoints(clusters);
      },
      stale: published.source === 'cache',
    });
    if (published.source === 'none' || this.#first.isInForce) return;
    // The first requests need our certificate, too; without one they fail with a clear error of their own.
    const { configurationTimeoutMs } = this.#options;
    void certificateWithin(this.identity, this.clock, configurationTimeoutMs).then(() => this.#first.enter());
  }

  #unconfigured(): Error {
    return unconfigured(this.#options, this.#xds.connected.value.lastError);
  }
}

function countEndpoints(clusters: Snapshot['clusters']): number {
  let count = 0;
  for (const { assignment } of clusters.values()) {
    for (const { endpoints } of assignment?.localities ?? []) count += endpoints.length;
  }
  return count;
}
