import { parseSpiffeId } from '../identity/spiffe-id.js';
import { createMeshTls } from '../identity/tls-options.js';
import { createWebFetch } from '../identity/web-fetch.js';
import { type Clock, systemClock } from '../runtime/clock.js';
import { type Logger, silentLogger } from '../runtime/log.js';
import { systemRandom } from '../runtime/random.js';
import { version } from '../runtime/version.js';
import type { CallerOptions } from './access/callers.js';
import type { CreatedJoinToken } from './access/join-tokens.js';
import { createPlaneAccess, type PlaneAccess } from './access/plane-access.js';
import { type AdminServer, startAdminServer } from './admin/admin-server.js';
import { renderMetrics } from './admin/metrics.js';
import { startMetricsServer } from './admin/metrics-server.js';
import type { AdminAccess } from './admin/roles.js';
import type { AdminStatus } from './admin/status.js';
import { type BundleEndpoint, type BundleEndpointOptions, startBundleEndpoint } from './bundle-endpoint.js';
import type { CertificateAuthority } from './ca/certificate-authority.js';
import { isLoopbackPeer } from './ca/peer-address.js';
import type { CaDriver } from './ca-driver.js';
import {
  type AuthorityServing,
  type ControlPlaneCaOptions,
  type FederatedSource,
  federateAuthority,
  openAuthority,
  serveAuthority,
} from './ca-parts.js';
import type { ExtensionProviderInput } from './compile/authorization/extension-provider.js';
import { createCompiler } from './compile/compile.js';
import { createLossReport, createRefusalReport } from './compile/grpc/report-losses.js';
import {
  createMeshConfig,
  DEFAULT_MESH_CONFIG,
  type LocalityLbSetting,
  type MeshConfig,
  type PathNormalization,
  type ZoneAwareLbSetting,
} from './compile/mesh-config.js';
import { meshConfigOf } from './compile/mesh-document.js';
import { ConfigService } from './config/config-service.js';
import { type MtlsReport, mtlsReport } from './insight/mtls-report.js';
import { type FollowedKeys, followIssuerKeys, type IssuerKeysOptions } from './issuer-keys.js';
import { type OpenedStore, openStore } from './open-store.js';
import { createOwnIdentity, type OwnIdentity } from './own-identity.js';
import { keepRegistry } from './registry/keep-registry.js';
import { createRegistry, type WorkloadRegistry } from './registry/registry.js';
import { countWorkloads } from './registry/snapshot.js';
import { type RuntimeLayers, ServedRuntime } from './runtime-layers.js';
import type { Violation } from './schema/violation.js';
import type { StreamLimits } from './serve/admission.js';
import type { AppliedReport } from './serve/applied.js';
import { createCaService } from './serve/ca-service.js';
import { CallerTable } from './serve/caller.js';
import {
  type AccessLimits,
  type ConnectionLimits,
  type RunningGrpcServer,
  startGrpcServer,
} from './serve/grpc-server.js';
import type { LoadSummary } from './serve/load-reports.js';
import type { ResourceTtlOptions } from './serve/resource-ttls.js';
import { SocketTable } from './serve/socket-table.js';
import type { ClientStatus } from './serve/status.js';
import { createXdsServer, type XdsServer } from './serve/xds-server.js';
import { createFileSource } from './sources/file-source.js';
import type { ConfigSource } from './sources/source.js';
import type { ConfigStore, HeldChange } from './store/config-store.js';
import type { MassRemovalOptions } from './store/mass-removal.js';

/** What `createControlPlane` takes; everything has a default. */
export interface ControlPlaneOptions {
  /** Files and folders of YAML, watched. */
  readonly config?: readonly string[];
  /** Further sources of configuration. */
  readonly sources?: readonly ConfigSource[];
  /** Folder for what outlives the process: the root certificate with its key, and who is registered. In memory by default. */
  readonly dataDir?: string;
  /**
   * IP address that the secure port listens on, e.g. `0.0.0.0`; the other ports stay on loopback. Default 127.0.0.1.
   * On other addresses than loopback every caller has to prove who it is (`callers`).
   */
  readonly host?: string;
  /** Names and IP addresses that clients call the control plane by, besides `localhost` and `host`: they go into its certificate. */
  readonly names?: readonly string[];
  /** By what workloads prove who they are, besides certificates of this mesh and join tokens. */
  readonly callers?: CallerOptions;
  /**
   * Who may use the status API. Where loopback is not trusted and there is a `dataDir`, its file `admin.token` (mode 0600)
   * is the bearer token of an admin.
   */
  readonly admin?: AdminAccess;
  /**
   * Istio's ports by default (15010, 15012, 15014); 0 takes any free one. `xds` is plaintext on loopback: false = none,
   * which is the default where loopback is not trusted. `metrics` serves `/metrics` and health, and nothing else, on `host`.
   */
  readonly ports?: {
    readonly xds?: number | false;
    readonly secureXds?: number;
    readonly http?: number;
    readonly metrics?: number;
  };
  /** SPIFFE trust domain. Default `cluster.local`. */
  readonly trustDomain?: string;
  /** Istio's `trustDomainAliases`: to policies their members are those of the trust domain. Default none. */
  readonly trustDomainAliases?: readonly string[];
  /** Istio's `extensionProviders`, as far as they authorize: what policies of action CUSTOM ask. Default none. */
  readonly extensionProviders?: readonly ExtensionProviderInput[];
  /**
   * Whether a workload may have several of them, each asked about what its policies match (Istio:
   * PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS). Default false: then such a workload refuses what they match.
   */
  readonly severalAuthorizationProviders?: boolean;
  /**
   * Istio's `outboundTrafficPolicy.mode`: whether hosts that the mesh does not know are let through, or answered with
   * 502. Default `ALLOW_ANY`.
   */
  readonly outboundTrafficPolicy?: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  /**
   * Istio's mesh-wide `localityLbSetting`, for destinations whose DestinationRule says nothing of localities. Default:
   * enabled, so that clients prefer near endpoints wherever there is outlier detection.
   */
  readonly localityLbSetting?: LocalityLbSetting;
  /** Istio's mesh-wide `zoneAwareLbSetting`; where it is enabled it replaces `localityLbSetting`. Default: none. */
  readonly zoneAwareLbSetting?: ZoneAwareLbSetting;
  /**
   * Istio's mesh-wide `pathNormalization`: what is done to the paths of requests before routes and policies look at them.
   * Default `BASE`.
   */
  readonly pathNormalization?: PathNormalization;
  /** Life of workload certificates in milliseconds. Default 24 hours. */
  readonly workloadCertificateLifeMs?: number;
  /** The certificate authority: plugged in or external, its keys, roots and intermediates. */
  readonly certificateAuthority?: ControlPlaneCaOptions;
  /** Publishes the trust domain's bundle for others (SPIFFE federation). Default: not at all. */
  readonly bundleEndpoint?: BundleEndpointOptions;
  /** Other trust domains whose workloads are trusted, each by its bundle; ended with the control plane. */
  readonly federation?: readonly FederatedSource[];
  /**
   * Changes that would remove more than a share of the services, endpoints or documents at once are held back until they
   * are confirmed; false = never. Default: more than half, of at least 10.
   */
  readonly massRemoval?: MassRemovalOptions | false;
  /** How long endpoints outlive the stream that registered them, so that a reconnect is no outage. Default 2000 ms. */
  readonly registrationGraceMs?: number;
  /** Istio's PILOT_DEBOUNCE_AFTER and PILOT_DEBOUNCE_MAX in milliseconds. Default 100 and 10 000. */
  readonly debounceMs?: { readonly quietMs: number; readonly maxMs: number };
  /**
   * After a start, how long clients that had configuration before keep it, so that workloads can register again: until
   * nothing registered for `quietMs`, `maxMs` at most. Default 1000 and 5000.
   */
  readonly settleMs?: { readonly quietMs: number; readonly maxMs: number };
  /**
   * Clients are to report the load of their clusters (LRS) so often, in milliseconds. By default clusters do not say so,
   * and only clients that report by themselves do, every 10 s.
   */
  readonly loadReportIntervalMs?: number;
  /** How the keys of the issuers of tokens are fetched (RequestAuthentication). */
  readonly issuerKeys?: IssuerKeysOptions;
  /** Layers of the runtime that clients may ask for by name (RTDS). */
  readonly runtime?: RuntimeLayers;
  /**
   * Resources that end for clients that hear nothing of this control plane for so long (xDS `ttl`): it sends heartbeats.
   * By default none end: without a control plane the newest configuration stays in force.
   */
  readonly resourceTtl?: ResourceTtlOptions;
  /** What clients may take up. */
  readonly limits?: ControlPlaneLimits;
  readonly logger?: Logger;
  /** For tests. */
  readonly clock?: Clock;
}

/** What the clients of a control plane may take up. */
export interface ControlPlaneLimits extends ConnectionLimits, StreamLimits, AccessLimits {
  /** How many clients may be in the middle of a transfer; Istio's PILOT_PUSH_THROTTLE. Default 100. */
  readonly transfers?: number;
  /** A client that reads nothing for so long is cut off, in milliseconds. Default 30 000. */
  readonly sendTimeoutMs?: number;
}

/** A running control plane. */
export interface ControlPlane {
  /** `host:port` of each port; `xds` is empty when there is no plaintext port. */
  readonly addresses: {
    readonly xds: string;
    readonly secureXds: string;
    readonly http: string;
    /** Empty when there is no port for it. */
    readonly metrics: string;
    /** Of the bundle endpoint, where there is one. */
    readonly bundles?: string;
  };
  readonly trustDomain: string;
  /** Its certificate authority: roots, what was revoked, whom members trust. */
  readonly certificateAuthority: CertificateAuthority;
  /** PEM of the roots that vouch for this mesh: what clients need as `caRootFile` (`INMESH_CA_ROOT`). */
  rootsPem(): string;
  status(): ControlPlaneStatus;
  /** Who speaks mTLS to whom, in a namespace or everywhere, and who would be refused were it STRICT. */
  mtls(namespace?: string): MtlsReport;
  /** What clients report of the requests that they send (LRS), in sums. */
  load(): LoadSummary;
  /**
   * Makes a token by which one workload joins: it is good for one certificate, within `ttlMs` (default 10 minutes). With a
   * `dataDir` it outlives a restart.
   * @throws MeshError `INMESH_OPTION_INVALID`, `INMESH_SPIFFE_ID`, `INMESH_STORE_WRITE`.
   */
  createJoinToken(id: string, options?: { readonly ttlMs?: number }): Promise<CreatedJoinToken>;
  /**
   * Replaces the layers of the runtime that clients may ask for (RTDS); they hear of what differs.
   * @throws MeshError `INMESH_OPTION_INVALID` for a value that is none.
   */
  setRuntime(layers: RuntimeLayers): void;
  /** Calls `listener` after each proposal of configuration: taken into force, or refused. */
  onConfigChange(listener: (event: 'accepted' | 'rejected') => void): () => void;
  /**
   * Waits until every connected client has accepted everything that follows from a revision of the configuration (by
   * default the one in force), at most `timeoutMs` (default 10 s). Tells who is missing, and returns earlier when all of
   * those refuse what they were sent.
   */
  waitApplied(revision?: number, options?: { readonly timeoutMs?: number }): Promise<AppliedReport>;
  /** Stops serving; with `drainMs`, streams end one after the other over that time. Idempotent. */
  close(options?: { readonly drainMs?: number }): Promise<void>;
}

/** State of a control plane, as its status API shows it. */
export interface ControlPlaneStatus {
  readonly version: string;
  readonly trustDomain: string;
  readonly addresses: ControlPlane['addresses'];
  /** Revision of the configuration in force. */
  readonly revision: number;
  /** What was refused since, if anything: the revision above stays in force. */
  readonly rejected: { readonly violations: readonly Violation[]; readonly at: number } | undefined;
  /** What is held back because it would remove so much at once, until it is confirmed. */
  readonly held: HeldChange | undefined;
  readonly warnings: readonly Violation[];
  readonly clients: readonly ClientStatus[];
  /** Endpoints that registered themselves. */
  readonly workloads: number;
}

/**
 * Starts a control plane: reads and watches configuration, serves xDS and certificates, holds the registry.
 * A configuration that can't be taken is reported by `status()` and `onConfigChange`; it does not keep the rest from
 * starting.
 * @throws MeshError `INMESH_PORT_IN_USE`, `INMESH_LISTEN_FAILED`, `INMESH_STORE_CORRUPT`.
 */
export async function createControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { clock = systemClock, logger = silentLogger } = options;
  const opened = await openStore({
    dataDir: options.dataDir,
    massRemoval: options.massRemoval,
    clock,
    logger,
  });
  try {
    return await startWith(opened, options);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function startWith(opened: OpenedStore, options: ControlPlaneOptions): Promise<ControlPlane> {
  const { clock = systemClock, logger = silentLogger } = options;
  const { store } = opened;
  const stopReading = new AbortController();
  const reading = await readSources(options, { store, clock, signal: stopReading.signal });
  const authority = await openAuthority({
    trustDomain: options.trustDomain ?? DEFAULT_MESH_CONFIG.trustDomain,
    options: options.certificateAuthority ?? {},
    dataDir: options.dataDir,
    workloadLifeMs: options.workloadCertificateLifeMs,
    clock,
    logger,
  });
  const host = options.host ?? '127.0.0.1';
  const own = await createOwnIdentity(authority, { clock, logger, names: [host, ...(options.names ?? [])] });
  const access = await createPlaneAccess(
    { host, dataDir: options.dataDir, callers: options.callers ?? {}, admin: options.admin ?? {} },
    { authority, clock, logger },
  );
  const registry = createRegistry({ graceMs: options.registrationGraceMs ?? 2_000 }, clock);
  const kept =
    options.dataDir === undefined
      ? undefined
      : await keepRegistry(registry, options.dataDir, { clock, logger });
  const plane = new RunningControlPlane(
    { options, opened, store, authority, own, access, registry, clock, logger },
    async () => {
      stopReading.abort();
      await Promise.all([reading.ended, kept?.close()]);
      await opened.close();
    },
  );
  try {
    await plane.start();
  } catch (error) {
    await plane.close();
    throw error;
  }
  return plane;
}

interface Reading {
  readonly store: ConfigStore;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Above any time that it takes. */
const MAX_FIRST_READ_MS = 3_600_000;

/** Runs the sources; returns when each has proposed once. */
async function readSources(
  options: ControlPlaneOptions,
  { store, clock, signal }: Reading,
): Promise<{ readonly ended: Promise<unknown> }> {
  const files = options.config ?? [];
  const sources = [
    ...(files.length === 0 ? [] : [createFileSource({ paths: files }, clock)]),
    ...(options.sources ?? []),
  ];
  const ends: Promise<void>[] = [];
  // A source may wait for a file that is being written, and nothing else runs yet that keeps the process.
  const alive = clock.schedule(MAX_FIRST_READ_MS, () => {}, true);
  await Promise.all(
    sources.map(
      (source) =>
        new Promise<void>((resolve, reject) => {
          const end = source.run(
            {
              propose(name, input) {
                const result = store.propose(name, input);
                resolve();
                return result;
              },
            },
            signal,
          );
          ends.push(end);
          end.then(resolve, reject);
        }),
    ),
  );
  alive.cancel();
  return { ended: Promise.all(ends) };
}

interface Parts {
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

class RunningControlPlane implements ControlPlane {
  readonly #parts: Parts;
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

  constructor(parts: Parts, stopSources: () => Promise<void>) {
    const { options, store, authority, registry, clock, logger } = parts;
    this.#parts = parts;
    this.#stopSources = stopSources;
    const { outboundTrafficPolicy, localityLbSetting, zoneAwareLbSetting } = options;
    const { trustDomainAliases, extensionProviders, pathNormalization } = options;
    const { severalAuthorizationProviders } = options;
    this.#config = createMeshConfig({
      hasOwnTrustDomain: true,
      trustDomain: authority.trustDomain,
      ...(trustDomainAliases !== undefined && { trustDomainAliases }),
      ...(extensionProviders !== undefined && { extensionProviders }),
      ...(severalAuthorizationProviders !== undefined && { severalAuthorizationProviders }),
      ...(outboundTrafficPolicy !== undefined && { outboundTrafficPolicy }),
      ...(pathNormalization !== undefined && { pathNormalization }),
      ...(localityLbSetting !== undefined && { localityLbSetting }),
      ...(zoneAwareLbSetting !== undefined && { zoneAwareLbSetting }),
      reportsLoad: options.loadReportIntervalMs !== undefined,
    });
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
        return {
          revision: view.revision,
          resourcesFor: (node, caller) => {
            const set = { ...compiler.compile(view, workloads, node), runtimes };
            return this.#authority.withSecrets(set, node, caller);
          },
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
      clientConfig: (id, type) => this.#xds.configOf(id, type),
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
      rejected: store.lastRejected.value,
      held: store.held.value,
      warnings: store.warnings.value,
      clients: this.#xds.clients(),
      workloads: countWorkloads(registry.current.value),
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
