import { createClusters } from '../cluster/clusters.js';
import { type SecretLookup, SecretTable } from '../cluster/secret-table.js';
import type { Transport } from '../cluster/transport.js';
import { localZone } from '../cluster/zone.js';
import type {
  FailureRateBreakerOptions,
  FailureRateBreakers,
  HostBreakers,
} from '../filters/failure-rate-breaker.js';
import type { CustomFilters, LocalNode } from '../filters/filter.js';
import { createFilterMemory, type FilterMemory } from '../filters/filter-memory.js';
import type { CaSource } from '../identity/ca-source.js';
import type { IdentitySource } from '../identity/source.js';
import type { AccessLog } from '../model/access-log.js';
import type { InboundListener } from '../model/listener.js';
import type { NodeWorkload } from '../model/node.js';
import type { Snapshot } from '../model/snapshot.js';
import { compileHashPolicies } from '../routing/hash-policy.js';
import { HostTable, isLoopback, looksMeshed } from '../routing/host-table.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import { createStalls, patientClock } from '../runtime/stalls.js';
import type { ConnectionLogger, ExchangeLogger } from '../service/exchange-logger.js';
import { combineObservers, type Observer } from '../service/observer.js';
import type { Filter, Request, Service } from '../service/service.js';
import type { WorkloadInfo } from '../service/workload.js';
import { AccessLogs } from '../telemetry/access-log.js';
import { channelObserver } from '../telemetry/channels.js';
import { createMetrics, type Metrics } from '../telemetry/metrics.js';
import { propagate } from '../telemetry/propagation.js';
import type { XdsClient } from '../xds/client-api.js';
import type { PublishedSnapshot } from '../xds/synchronizer.js';
import { MeshAdmin } from './admin/mesh-admin.js';
import { Applier } from './apply.js';
import { breakerInMetadata } from './breaker-metadata.js';
import { callOut } from './call-out.js';
import type { MeshCore, OutboundTarget } from './core.js';
import { FirstConfiguration } from './first-configuration.js';
import { createProbes } from './health/open-probe.js';
import { hostTools } from './host-tools.js';
import type { InboundScope } from './inbound-scope.js';
import type { LoadReporting } from './load-reporting.js';
import { describeNode, describeWorkload, inboundListenerName } from './node.js';
import { OnDemandRoutes } from './on-demand.js';
import type { ResolvedMeshOptions } from './options.js';
import { createPeerExchange, type PeerExchange } from './peer-exchange.js';
import { PlaintextCallers } from './plaintext-callers.js';
import { Readiness, readinessIn } from './readiness.js';
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

/** A served port, as it is announced to the control plane. */
export interface ServedPort {
  readonly address: string;
  readonly port: number;
  readonly portName: string;
  /** What it speaks, when it is not HTTP of any kind. */
  readonly protocol?: NonNullable<NodeWorkload['protocol']>;
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
  readonly #breakers: FailureRateBreakers;
  readonly #first: FirstConfiguration;
  #readiness: Readiness | undefined;
  #table = new HostTable([]);
  /** Made when it is first asked for. */
  #tcpTable: TcpTable | undefined;
  #published: PublishedSnapshot;
  #workloads: readonly NodeWorkload[] = [];
  #closing: Promise<void> | undefined;

  constructor(options: ResolvedMeshOptions, tools: MeshTools, { breakers, scope, tracing }: MeshParts) {
    const { clock, random, logger } = tools;
    this.#options = options;
    [this.logger, this.address] = [logger, options.address];
    this.#breakers = breakers;
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
      failureRateBreaker: (name) => this.#failureRateBreaker(name),
      hostBreakers: (name) => this.#hostBreakers(name),
    });
    this.#xds = createXds(options, { ...tools, identity: this.identity }, this.observer);
    this.#first = new FirstConfiguration(this.#xds, clock, options.configurationTimeoutMs);
    this.#loads = createLoadReporting(options, tools, this.#clusters.loads, this.#xds);
    this.#published = this.#xds.published.value;
    this.#apply(this.#published);
    this.#xds.published.subscribe((published) => this.#apply(published));
    this.#renewOnReturn();
  }

  /** How hosts are reached; so does this process ask itself for its health. */
  #openTransport(tools: MeshTools): Transport {
    const transport = tools.transport(this.identity, this.secrets);
    const { clock, logger } = tools;
    const onChange = () => this.#tellNode();
    this.#readiness = new Readiness({ clock, logger, transport, open: createProbes(clock), onChange });
    return transport;
  }

  /** How many hosts the cluster has that this process belongs to. */
  readonly localMembers = (): number => {
    const { localCluster } = this.#options;
    return localCluster === undefined ? 0 : (this.#clusters.get(localCluster)?.hosts.size ?? 0);
  };

  /** What it shows of itself. */
  get admin(): MeshAdmin {
    const node = () => describeNode(this.#options, this.#workloads);
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
    if (origin === undefined || looksMeshed(origin)) throw this.#unavailable();
  }

  /** Waits for the first configuration and identity, at most the given time; false when it did not come. */
  async waitAtMost(waitMs: number): Promise<boolean> {
    if (waitMs <= 0) return this.#first.isInForce;
    const came = await this.#first.within(waitMs);
    if (!came) this.logger.error({}, this.#unavailable().message);
    else await waitForFresh(this.#xds, waitMs, this.clock);
    return came;
  }

  /** Announces a served port: the control plane registers it while this process is connected. */
  async announce(port: ServedPort): Promise<void> {
    this.#workloads = [...this.#workloads, { service: this.#options.service, tlsMode: 'istio', ...port }];
    this.#xds.setInboundNames(this.#workloads.map((one) => this.#inboundName(one)));
    this.#tellNode();
    await this.#inboundWithin(port, this.#options.startupTimeoutMs);
  }

  #tellNode(): void {
    const callers = this.plaintextCallers.list();
    this.#xds.setNode(describeNode(this.#options, this.#workloads, callers, this.#readiness?.state));
  }

  /** Takes a served port back; settles when callers have had the time to hear of it. */
  withdraw(port: ServedPort): Promise<void> {
    this.#workloads = this.#workloads.filter((one) => one.port !== port.port || one.address !== port.address);
    this.#tellNode();
    if (this.#xds.connected.value.state !== 'connected') return Promise.resolve();
    return new Promise((resolve) => {
      this.clock.schedule(this.#options.leaveDelayMs, resolve, true);
    });
  }

  /**
   * The inbound listener of a served port. A service that restarts on another port while the control plane is away
   * finds only the listener of its old port in the cache: its policy holds for the new one.
   */
  inbound(port: ServedPort): InboundListener | undefined {
    const { inbound } = this.#published.snapshot;
    const own = inbound.get(this.#inboundName(port));
    if (own !== undefined || this.#published.source !== 'cache') return own;
    return inbound.values().next().value;
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
    void this.#identityOrTimeout().then(() => this.#first.enter());
  }

  /** A control plane that comes back may have another root: ask for a certificate at once, not at half of its life. */
  #renewOnReturn(): void {
    let wasLost = false;
    this.#xds.connected.subscribe(({ state }) => {
      if (state === 'disconnected') wasLost = true;
      else if (state === 'connected' && wasLost) {
        wasLost = false;
        this.identity.renewNow().catch((error: unknown) => {
          this.logger.debug(
            { error: messageOf(error) },
            'renewal after the return of the control plane failed',
          );
        });
      }
    });
  }

  #identityOrTimeout(): Promise<void> {
    if (this.identity.svid() !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.clock.schedule(this.#options.configurationTimeoutMs, resolve);
      this.identity.ready.then(
        () => {
          timer.cancel();
          resolve();
        },
        () => resolve(),
      );
    });
  }

  #inboundWithin(port: ServedPort, waitMs: number): Promise<void> {
    if (this.inbound(port) !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        timer.cancel();
        unsubscribe();
        resolve();
      };
      const timer = this.clock.schedule(waitMs, finish, true);
      const unsubscribe = this.#xds.published.subscribe(() => {
        if (this.inbound(port) !== undefined) finish();
      });
    });
  }

  #inboundName(port: { readonly address: string; readonly port: number }): string {
    return inboundListenerName(this.#options.inboundTemplate, port.address, port.port);
  }

  #failureRateBreaker(clusterName: string): Filter | undefined {
    const options = this.#breakerOptions(clusterName);
    return options?.scope === 'host' ? undefined : options && this.#breakers.filter(clusterName, options);
  }

  #hostBreakers(clusterName: string): HostBreakers | undefined {
    const options = this.#breakerOptions(clusterName);
    return options?.scope === 'host' ? this.#breakers.hosts(clusterName, options) : undefined;
  }

  #breakerOptions(clusterName: string): FailureRateBreakerOptions | undefined {
    const table = this.#options.failureRateBreakers;
    // Istio's cluster names end in the host: `outbound|port|subset|host`.
    const host = clusterName.split('|')[3] ?? clusterName;
    const key = [clusterName, host, host.split('.')[0] ?? host, '*'].find((name) =>
      Object.hasOwn(table, name),
    );
    // What code says goes before what the control plane says.
    if (key !== undefined) return table[key];
    return breakerInMetadata(this.#published.snapshot.clusters.get(clusterName)?.cluster.metadata);
  }

  #unavailable(): MeshError {
    const { lastError } = this.#xds.connected.value;
    return new MeshError(
      'INMESH_CONTROL_PLANE_UNAVAILABLE',
      `no configuration came from the control plane at ${this.#options.controlPlane}, and none is cached`,
      {
        resource: `service ${this.#options.service}`,
        cause: lastError,
        hint: 'Start it (npx inmesh dev) or set INMESH_CONTROL_PLANE=host:port; this process keeps trying',
      },
    );
  }
}

/** Answers for the mesh once it is closed. */
async function refuse(request: Request): Promise<never> {
  throw closed(request.authority);
}

function countEndpoints(clusters: Snapshot['clusters']): number {
  let count = 0;
  for (const { assignment } of clusters.values()) {
    for (const { endpoints } of assignment?.localities ?? []) count += endpoints.length;
  }
  return count;
}

function closed(resource: string): MeshError {
  return new MeshError('INMESH_CLOSED', 'the mesh is closed', {
    resource,
    hint: 'Send requests before close(), or join the mesh again with createMesh()',
  });
}
