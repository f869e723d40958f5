import { parseSpiffeId } from '../identity/spiffe-id.js';
import { createMeshTls } from '../identity/tls-options.js';
import { createWebFetch } from '../identity/web-fetch.js';
import type { Node } from '../model/node.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/log.js';
import { systemRandom } from '../runtime/random.js';
import { runSteps, type Steps } from '../runtime/steps.js';
import { version } from '../runtime/version.js';
import type { CreatedJoinToken } from './access/join-tokens.js';
import type { PlaneAccess } from './access/plane-access.js';
import { type AdminServer, startAdminServer } from './admin/admin-server.js';
import { renderMetrics } from './admin/metrics.js';
import { startMetricsServer } from './admin/metrics-server.js';
import type { AdminStatus } from './admin/status.js';
import { WorkBudget } from './admin/work-budget.js';
import { type BundleEndpoint, startBundleEndpoint } from './bundle-endpoint.js';
import type { CertificateAuthority } from './ca/certificate-authority.js';
import { isLoopbackPeer } from './ca/peer-address.js';
import type { CaDriver } from './ca-driver.js';
import { type AuthorityServing, federateAuthority, serveAuthority } from './ca-parts.js';
import { createCompiler } from './compile/compile.js';
import { createLossReport, createRefusalReport } from './compile/grpc/report-losses.js';
import { meshConfigOf } from './compile/mesh-document.js';
import { ConfigService } from './config/config-service.js';
import { SentDocumentsService } from './files/sent-documents.js';
import { type MtlsReport, mtlsReport } from './insight/mtls-report.js';
import { type FollowedKeys, followIssuerKeys } from './issuer-keys.js';
import { createMeshConfig, type MeshConfig } from './mesh/mesh-config.js';
import type { OpenedStore } from './open-store.js';
import type { ControlPlaneOptions } from './options.js';
import type { OwnIdentity } from './own-identity.js';
import type { ControlPlane, ControlPlaneStatus } from './plane.js';
import type { WorkloadRegistry } from './registry/registry.js';
import { countWorkloads } from './registry/snapshot.js';
import type { ResourceSet } from './resources/resource-set.js';
import { type RuntimeLayers, ServedRuntime } from './runtime-layers.js';
import type { AppliedReport } from './serve/applied.js';
import { createCaService } from './serve/ca-service.js';
import { type CallerIdentity, CallerTable } from './serve/caller.js';
import { type RunningGrpcServer, startGrpcServer } from './serve/grpc-server.js';
import type { LoadSummary } from './serve/load-reports.js';
import { SocketTable } from './serve/socket-table.js';
import { createXdsServer, type XdsServer } from './serve/xds-server.js';
import type { ConfigStore } from './store/config-store.js';

/** What it is made of; it closes all of it but the store. */
export interface PlaneParts {
  readonly options: ControlPlaneOptions;
  readonly opened: OpenedStore;
  readonly store: ConfigStore;
  readonly authority: CertificateAuthority;
  readonly own: OwnIdentity;
  readonly access: PlaneAccess;
  readonly registry: WorkloadRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A control plane whose parts are there; `start` has them serve. */
export class RunningControlPlane implements ControlPlane {
  readonly #parts: PlaneParts;
  readonly #xds: XdsServer;
  readonly #callers = new CallerTable();
  readonly #sockets = new SocketTable();
  readonly #config: MeshConfig;
  readonly #authority: AuthorityServing;
  #driver: CaDriver | undefined;
  #bundles: BundleEndpoint | undefined;
  readonly #keys: FollowedKeys;
  readonly #runtime: ServedRuntime;
  readonly #unsubscribe: (() => void)[] = [];
  readonly #stopSources: () => Promise<void>;
  #grpc: RunningGrpcServer | undefined;
  #admin: AdminServer | undefined;
  #metrics: AdminServer | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: PlaneParts, stopSources: () => Promise<void>) {
    const { options, store, authority, registry, clock, logger } = parts;
    this.#parts = parts;
    this.#stopSources = stopSources;
    this.#config = meshConfigOfOptions(options, authority.trustDomain);
    this.#authority = serveAuthority(authority, {
      clock,
      logger,
      audit: parts.access.audit,
      changed: () => this.#xds.changed(),
    });
    this.#keys = followIssuerKeys(store.current, options.issuerKeys ?? {}, {
      fetch: createWebFetch(clock),
      clock,
      random: systemRandom,
      logger,
      changed: () => this.#xds.changed(),
    });
    this.#runtime = new ServedRuntime(options.runtime);
    const compiler = createCompiler(this.#config, {
      servesGrpc: createLossReport(logger),
      refusesPatch: createRefusalReport(logger),
      keys: this.#keys,
    });
    this.#xds = createXdsServer({
      state: () => {
        const view = store.current.value;
        const workloads = registry.current.value;
        const runtimes = this.#runtime.layers;
        const authority = this.#authority;
        function* stepsFor(node: Node, caller: CallerIdentity | undefined): Steps<ResourceSet> {
          const set = { ...(yield* compiler.steps(view, workloads, node)), runtimes };
          return authority.withSecrets(set, node, caller);
        }
        return {
          revision: view.revision,
          resourcesFor: (node, caller) => runSteps(stepsFor(node, caller)),
          stepsFor,
        };
      },
      registry,
      clock,
      logger,
      callerOf: this.#callers.of,
      disconnect: (peer) => this.#sockets.destroy(peer),
      ...(options.limits !== undefined && { limits: options.limits }),
      ...(options.resourceTtl !== undefined && { resourceTtl: options.resourceTtl }),
      ...(options.loadReportIntervalMs !== undefined && {
        loadReportIntervalMs: options.loadReportIntervalMs,
      }),
      ...(options.limits?.transfers !== undefined && { maxTransfers: options.limits.transfers }),
      ...(options.limits?.sendTimeoutMs !== undefined && { sendTimeoutMs: options.limits.sendTimeoutMs }),
      ...(options.debounceMs !== undefined && { debounceMs: options.debounceMs }),
      ...(options.settleMs !== undefined && { settleMs: options.settleMs }),
    });
    this.#unsubscribe.push(
      store.current.subscribe(() => this.#xds.changed()),
      registry.current.subscribe(() => this.#xds.changed()),
    );
  }

  get certificateAuthority(): CertificateAuthority {
    return this.#parts.authority;
  }

  get trustDomain(): string {
    return this.#parts.authority.trustDomain;
  }

  rootsPem(): string {
    return this.#parts.authority.bundle().authorities.join('');
  }

  get addresses(): ControlPlane['addresses'] {
    return {
      xds: this.#grpc?.address ?? '',
      secureXds: this.#grpc?.secureAddress ?? '',
      http: this.#admin?.address ?? '',
      metrics: this.#metrics?.address ?? '',
      ...(this.#bundles !== undefined && { bundles: this.#bundles.address }),
    };
  }

  async start(): Promise<void> {
    const { options, authority, own, access, clock, logger } = this.#parts;
    const { host = '127.0.0.1', ports = {} } = options;
    const { audit, callers, trustsLoopback } = access;
    const callerOf = (peer: string) => this.#callers.find(peer);
    const authenticate = callers.forCertificates;
    const local = isLoopbackPeer(host) ? host : '127.0.0.1';
    const tls = createMeshTls(own.source, { clock });
    this.#unsubscribe.push(() => tls.close());
    this.#grpc = await startGrpcServer({
      host,
      local,
      port: ports.xds ?? (trustsLoopback ? 15_010 : false),
      securePort: ports.secureXds ?? 15_012,
      services: [
        ...this.#xds.services,
        createCaService({ authority, authenticate, callerOf, audit, logger }),
      ],
      access: { authenticate: callers.forCalls, trustsLoopback, audit },
      clock,
      tls,
      callers: this.#callers,
      sockets: this.#sockets,
      ...(options.limits !== undefined && { limits: options.limits }),
      logger,
    });
    this.#driver = this.#authority.drive(() => this.#xds.live(), options.certificateAuthority?.settleMs);
    this.#unsubscribe.push(federateAuthority(authority, options.federation ?? []));
    if (options.bundleEndpoint !== undefined)
      this.#bundles = await startBundleEndpoint(options.bundleEndpoint, { authority, tls, clock, logger });
    this.#admin = await startAdminServer({
      host: options.admin?.host ?? local,
      port: ports.http ?? 15_014,
      tls: isLoopbackPeer(options.admin?.host ?? local) ? undefined : tls,
      operators: access.operators,
      hosts: options.admin?.hosts ?? [],
      audit,
      joinTokens: access.joinTokens,
      trustDomain: this.trustDomain,
      status: () => this.#adminStatus(),
      waitApplied: (revision, timeoutMs) => this.waitApplied(revision, { timeoutMs }),
      loadByClient: () => this.#xds.load.byClient(),
      mtls: (namespace) => this.mtls(namespace),
      store: this.#parts.store,
      config: this.#configService(),
      documents: this.#sentDocuments(),
      work: new WorkBudget(clock),
      clientConfig: (id, type) => this.#xds.configOf(id, type),
      clientSync: (id) => this.#xds.syncOf(id),
      registry: this.#parts.registry,
      clock,
      logger,
    });
    if (ports.metrics === undefined) return;
    this.#metrics = await startMetricsServer(host, ports.metrics, () => renderMetrics(this.#adminStatus()));
  }

  #configService(): ConfigService {
    const { opened, registry, clock } = this.#parts;
    return new ConfigService({
      ...opened,
      registry: () => registry.current.value,
      config: this.#config,
      clock,
    });
  }

  #sentDocuments(): SentDocumentsService {
    const { store, registry, clock } = this.#parts;
    return new SentDocumentsService({
      store,
      registry: () => registry.current.value,
      config: this.#config,
      clock,
    });
  }

  mtls(namespace?: string): MtlsReport {
    const { store, registry } = this.#parts;
    return mtlsReport({
      view: store.current.value,
      config: meshConfigOf(store.current.value, this.#config),
      registry: registry.current.value,
      nodes: this.#xds.nodes(),
      namespace,
    });
  }

  status(): ControlPlaneStatus {
    const { store, registry } = this.#parts;
    return {
      version,
      trustDomain: this.trustDomain,
      addresses: this.addresses,
      revision: store.current.value.revision,
      store: this.#parts.opened.role(),
      rejected: store.lastRejected.value,
      held: store.held.value,
      warnings: store.warnings.value,
      clients: this.#xds.clients(),
      workloads: countWorkloads(registry.current.value),
      registrationsHeld: registry.held.value,
    };
  }

  #adminStatus(): AdminStatus {
    const ca = this.#driver && { authority: this.#parts.authority, clients: this.#driver.clients };
    return { ...this.status(), load: this.#xds.load.summary(), ca };
  }

  load(): LoadSummary {
    return this.#xds.load.summary();
  }

  createJoinToken(id: string, { ttlMs }: { readonly ttlMs?: number } = {}): Promise<CreatedJoinToken> {
    return this.#parts.access.joinTokens.create(parseSpiffeId(id), ttlMs);
  }

  setRuntime(layers: RuntimeLayers): void {
    this.#runtime.set(layers);
    this.#xds.changed();
  }

  onConfigChange(listener: (event: 'accepted' | 'rejected') => void): () => void {
    const { store } = this.#parts;
    const accepted = store.current.subscribe(() => listener('accepted'));
    const rejected = store.lastRejected.subscribe((value) => {
      if (value !== undefined) listener('rejected');
    });
    return () => {
      accepted();
      rejected();
    };
  }

  waitApplied(
    revision = this.#parts.store.current.value.revision,
    { timeoutMs = 10_000 }: { readonly timeoutMs?: number } = {},
  ): Promise<AppliedReport> {
    return this.#xds.waitApplied(revision, timeoutMs);
  }

  close({ drainMs = 0 }: { readonly drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    if (drainMs > 0) await this.#xds.drain(drainMs);
    await this.#stopSources();
    this.#xds.close();
    await Promise.all([
      this.#grpc?.close(),
      this.#admin?.close(),
      this.#metrics?.close(),
      this.#bundles?.close(),
    ]);
    this.#parts.registry.close();
    this.#driver?.close();
    this.#authority.close();
    this.#keys.close();
    this.#parts.own.close();
    await this.#parts.access.close();
  }
}

/** The settings of the mesh that do not stand in documents. */
function meshConfigOfOptions(options: ControlPlaneOptions, trustDomain: string): MeshConfig {
  const { outboundTrafficPolicy, localityLbSetting, zoneAwareLbSetting } = options;
  const { trustDomainAliases, extensionProviders, pathNormalization } = options;
  const { severalAuthorizationProviders } = options;
  return createMeshConfig({
    hasOwnTrustDomain: true,
    trustDomain,
    ...(trustDomainAliases !== undefined && { trustDomainAliases }),
    ...(extensionProviders !== undefined && { extensionProviders }),
    ...(severalAuthorizationProviders !== undefined && { severalAuthorizationProviders }),
    ...(outboundTrafficPolicy !== undefined && { outboundTrafficPolicy }),
    ...(pathNormalization !== undefined && { pathNormalization }),
    ...(localityLbSetting !== undefined && { localityLbSetting }),
    ...(zoneAwareLbSetting !== undefined && { zoneAwareLbSetting }),
    reportsLoad: options.loadReportIntervalMs !== undefined,
  });
}
