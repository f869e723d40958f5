import { customFilters } from '../filters/custom-filters.js';
import type { DefinedFilter, FilterUse } from '../filters/define-filter.js';
import type { FailureRateBreakerOptions } from '../filters/failure-rate-breaker.js';
import type { CustomFilters } from '../filters/filter.js';
import { splitHostPort } from '../model/address.js';
import type { CertificateProviders, ProvidedFiles } from '../model/custom-filter.js';
import type { RuntimeLayerSource } from '../model/runtime.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import type { Observer } from '../service/observer.js';
import type { Filter } from '../service/service.js';
import { type AccessLogOptions, checkAccessLog } from '../telemetry/access-log.js';
import type { Bootstrap } from './bootstrap/bootstrap.js';
import { readBootstrap } from './bootstrap/read.js';
import type { ProviderFiles } from './bootstrap/server-spec.js';
import { bareTarget } from './bootstrap/target.js';
import {
  type ControlPlaneOptions,
  type ResolvedControlPlane,
  resolveControlPlane,
} from './control-plane-options.js';
import type { FederatedTrustDomain } from './federation-option.js';
import { type IdentityOption, type ResolvedIdentity, resolveIdentity } from './identity-option.js';
import { type JoinOptions, type ResolvedJoin, resolveJoin } from './joining.js';
import { type RuntimeOptions, resolveRuntime } from './runtime-option.js';
import { resolveSelf, type Self } from './self.js';
import type { Surroundings } from './surroundings.js';

/** What `createMesh` takes. Everything has a default; environment variables come after what is given here. */
export interface MeshOptions extends JoinOptions {
  /** Name of this service. `INMESH_SERVICE`, `OTEL_SERVICE_NAME`, the name in package.json. */
  readonly service?: string;
  /** Version of this service. `INMESH_VERSION`, the version in package.json. */
  readonly version?: string;
  /** `INMESH_NAMESPACE`, `POD_NAMESPACE`, `default`. */
  readonly namespace?: string;
  /** `INMESH_SERVICE_ACCOUNT`, `default`. */
  readonly serviceAccount?: string;
  /** Labels besides `app` and `version`. `INMESH_LABELS` (`key=value,key=value`). */
  readonly labels?: Readonly<Record<string, string>>;
  /** `INMESH_LOCALITY` (`region/zone/subzone`), the bootstrap's, else what labels tell (`topology.kubernetes.io/zone` …). */
  readonly locality?: string;
  /**
   * Name of the xDS cluster that this process itself belongs to: with it and a locality, requests stay in the own zone as
   * far as the upstream has the capacity there (Envoy `cluster_manager.local_cluster_name`). `INMESH_LOCAL_CLUSTER`, the
   * bootstrap's `cluster_manager`.
   */
  readonly localCluster?: string;
  /** Name of the cluster for telemetry and the control plane. `INMESH_CLUSTER_ID`, `ISTIO_META_CLUSTER_ID`, `Kubernetes` (Istio's default). */
  readonly clusterId?: string;
  /** Address under which others reach this process. `INMESH_ADDRESS`, `127.0.0.1`. */
  readonly address?: string;
  /**
   * Where the configuration comes from: `host:port` of the control plane's xDS, several with commas between in order of
   * preference, or all there is to say. `INMESH_CONTROL_PLANE`, the gRPC bootstrap, `127.0.0.1:15010`.
   */
  readonly controlPlane?: string | ControlPlaneOptions;
  /**
   * Variant of xDS spoken to the control plane: `sotw` (state of the world, which every server knows) or `delta`
   * (incremental: what changed is sent, and a new stream asks only for what is newer). `INMESH_XDS_PROTOCOL`, `sotw`.
   */
  readonly xdsProtocol?: 'sotw' | 'delta';
  /** Values that the configuration names by keys (Envoy's runtime). `INMESH_RUNTIME_LAYERS`, the bootstrap's `layered_runtime`. */
  readonly runtime?: RuntimeOptions;
  /** `host:port` of the certificate authority. `INMESH_CA`, the control plane's address. */
  readonly certificateAuthority?: string;
  /**
   * Where the certificate of this process comes from, when it is not the certificate authority: the SPIFFE Workload API
   * (SPIRE's agent), an agent that speaks SDS, or a source of your own. `SPIFFE_ENDPOINT_SOCKET`, unless an authority is
   * named.
   */
  readonly identity?: IdentityOption;
  /** Other trust domains whose workloads are peers of this process, each by its SPIFFE bundle endpoint. */
  readonly federation?: readonly FederatedTrustDomain[];
  /** Directory of the last-known-good cache; false keeps none. `INMESH_CACHE_DIR` (`off` for none), the user's cache directory. */
  readonly cacheDir?: string | false;
  /** How long `createMesh` waits for the first configuration before it returns anyway, in milliseconds. Default 2000; 0 with a cache. */
  readonly startupTimeoutMs?: number;
  /** How long requests wait for the first configuration (those to names outside the mesh only while it may be on its way), in milliseconds after the start. Default 15 000. */
  readonly configurationTimeoutMs?: number;
  /**
   * How long a server goes on accepting after it left the registry, in milliseconds, until its callers have heard of
   * that. Default 500.
   */
  readonly leaveDelayMs?: number;
  /**
   * Filters, outermost first: functions stand around every outbound request, what `use` of a defined filter gives stands in
   * the chain of HTTP filters where it says, outbound and inbound.
   */
  readonly filters?: readonly (Filter | FilterUse)[];
  /** Defined filters (`defineFilter` of `inmesh/filters`) that xDS may configure. Those in `filters` may be, too. */
  readonly filterTypes?: readonly DefinedFilter[];
  /** Failure-rate breakers (opossum), by destination host or cluster name; `*` for all. Off by default. */
  readonly failureRateBreakers?: Readonly<Record<string, FailureRateBreakerOptions>>;
  /**
   * Records OpenTelemetry spans: a client span per request with an event per attempt, and a server span per inbound request.
   * They hand the trace context on. It needs an OpenTelemetry SDK that the application set up. `true` records all, as far
   * as the control plane does not sample them; `false` none, whatever it says. `INMESH_TRACING` (`on`, `off`). By default
   * those that the control plane asks for (Istio's `Telemetry`).
   */
  readonly tracing?: boolean;
  /**
   * Records `http.client.request.duration` and `http.server.request.duration` through OpenTelemetry's API, besides Istio's
   * metrics. `INMESH_OTEL_METRICS` (`on`). Default false.
   */
  readonly otelMetrics?: boolean;
  /**
   * Hands trace headers (W3C, baggage, B3, `x-request-id`) of an inbound request on to the outbound requests that are made
   * while it is worked on. `INMESH_PROPAGATION` (`off`). Default true.
   */
  readonly propagation?: boolean;
  /**
   * Writes a line per exchange, outbound and inbound, besides the access logs that the control plane configures: to a path
   * (`/dev/stdout`), in Envoy's default format, or as the options say. `INMESH_ACCESS_LOG` (a path),
   * `INMESH_ACCESS_LOG_FORMAT`. Off by default.
   */
  readonly accessLog?: string | AccessLogOptions;
  /**
   * Serves the metrics for Prometheus on a port of its own, at `/stats/prometheus` (as Envoy and Istio) and `/metrics`, with
   * `/ready` for probes: a port of 127.0.0.1 (Istio's is 15090), or `host:port`. `INMESH_METRICS`. Off by default.
   */
  readonly metricsAddress?: string | number;
  /**
   * Serves what Envoy's admin interface shows, to read only: `/config_dump`, `/clusters`, `/stats/prometheus`, `/ready`; and
   * gRPC's client status (CSDS) over plaintext HTTP/2. A port of 127.0.0.1 (Envoy's is 9901, Istio's 15000), or `host:port`:
   * who reaches it sees the configuration. `INMESH_ADMIN`. Off by default.
   */
  readonly adminAddress?: string | number;
  /** Hears what happens. */
  readonly observers?: readonly Observer[];
  /** Where messages go. By default warnings and errors go to stderr; `INMESH_LOG_LEVEL` (`debug` … `error`, `silent`). */
  readonly logger?: Logger;
  /** For tests. */
  readonly clock?: Clock;
  /** For tests. */
  readonly random?: Random;
}

/** Options with every default filled in. */
export interface ResolvedMeshOptions extends Self {
  readonly localCluster: string | undefined;
  readonly runtime: readonly RuntimeLayerSource[];
  /** The preferred server. */
  readonly controlPlane: string;
  readonly control: ResolvedControlPlane;
  readonly certificateAuthority: string;
  readonly join: ResolvedJoin;
  readonly cacheDir: string | undefined;
  readonly startupTimeoutMs: number;
  readonly configurationTimeoutMs: number;
  readonly leaveDelayMs: number;
  readonly inboundTemplate: string;
  readonly filters: readonly Filter[];
  readonly custom: CustomFilters;
  readonly failureRateBreakers: Readonly<Record<string, FailureRateBreakerOptions>>;
  readonly observers: readonly Observer[];
  readonly accessLog: AccessLogOptions | undefined;
  readonly metricsAddress: { readonly host: string; readonly port: number } | undefined;
  readonly adminAddress: { readonly host: string; readonly port: number } | undefined;
  readonly tracing: boolean | undefined;
  readonly otelMetrics: boolean;
  readonly propagation: boolean;
  readonly identity: ResolvedIdentity | undefined;
  readonly federation: readonly FederatedTrustDomain[];
  /** PEM files that hold the identity of this workload; undefined = the certificate authority issues it. */
  readonly identityFiles: IdentityFiles | undefined;
  readonly providers: CertificateProviders | undefined;
}

/** PEM files that hold an identity. */
export interface IdentityFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly bundleFile: string;
  /** Whether `bundleFile` is a SPIFFE bundle map (gRFC A87), not PEM. */
  readonly isBundleMap?: boolean;
  /** How often they are looked at, besides when the file system tells of a change. */
  readonly refreshMs: number;
}

const DEFAULT_INBOUND_TEMPLATE = 'xds.istio.io/grpc/lds/inbound/%s';

/**
 * Fills in defaults: code, then environment, then bootstrap file, then built-in.
 * @throws MeshError `INMESH_OPTION_INVALID` or `INMESH_BOOTSTRAP_INVALID`.
 */
export function resolveOptions(options: MeshOptions, around: Surroundings): ResolvedMeshOptions {
  const { env } = around;
  const bootstrap = readBootstrap(env, around.readFile);
  const join = resolveJoin(options, env, around.readFile);
  const control = resolveControlPlane(
    options.controlPlane,
    xdsProtocol(options.xdsProtocol ?? env['INMESH_XDS_PROTOCOL'] ?? 'sotw'),
    { env, bootstrap, hasRoots: join.caRootFile !== undefined },
  );
  const controlPlane = control.servers[0]?.target ?? '';
  return {
    ...resolveSelf(options, around, bootstrap),
    localCluster: localClusterOf(options, env, bootstrap),
    runtime: resolveRuntime(options.runtime, env, bootstrap?.runtime),
    controlPlane,
    control,
    join,
    certificateAuthority: target(
      'certificateAuthority',
      options.certificateAuthority ?? env['INMESH_CA'] ?? controlPlane,
    ),
    identity: resolveIdentity(options.identity, env, namesAuthority(options, env)),
    federation: options.federation ?? [],
    identityFiles: identityFilesOf(options, env, bootstrap),
    providers: providersOf(bootstrap),
    cacheDir: cacheDirOf(options, around),
    startupTimeoutMs: positive('startupTimeoutMs', options.startupTimeoutMs ?? 2_000),
    configurationTimeoutMs: positive('configurationTimeoutMs', options.configurationTimeoutMs ?? 15_000),
    leaveDelayMs: positive('leaveDelayMs', options.leaveDelayMs ?? 500),
    inboundTemplate: bootstrap?.inboundTemplate ?? DEFAULT_INBOUND_TEMPLATE,
    ...filterOptions(options),
    failureRateBreakers: options.failureRateBreakers ?? {},
    ...telemetryOptions(options, env),
  };
}

function filterOptions({ filters = [], filterTypes = [] }: MeshOptions) {
  const functions = filters.filter((one) => typeof one === 'function');
  const uses = filters.filter((one) => typeof one !== 'function');
  return { filters: functions, custom: customFilters(filterTypes, uses) };
}

function localClusterOf(
  options: MeshOptions,
  env: Surroundings['env'],
  bootstrap: Bootstrap | undefined,
): string | undefined {
  return (options.localCluster ?? env['INMESH_LOCAL_CLUSTER'] ?? bootstrap?.localCluster) || undefined;
}

function telemetryOptions(
  options: MeshOptions,
  env: Surroundings['env'],
): Pick<
  ResolvedMeshOptions,
  'observers' | 'tracing' | 'otelMetrics' | 'propagation' | 'accessLog' | 'metricsAddress' | 'adminAddress'
> {
  return {
    observers: options.observers ?? [],
    accessLog: accessLogOptions(options, env),
    metricsAddress: addressOption('metricsAddress', options.metricsAddress ?? env['INMESH_METRICS']),
    adminAddress: addressOption('adminAddress', options.adminAddress ?? env['INMESH_ADMIN']),
    tracing: options.tracing ?? { on: true, off: false }[env['INMESH_TRACING'] ?? ''],
    otelMetrics: options.otelMetrics ?? env['INMESH_OTEL_METRICS'] === 'on',
    propagation: options.propagation ?? env['INMESH_PROPAGATION'] !== 'off',
  };
}

function accessLogOptions(options: MeshOptions, env: Surroundings['env']): AccessLogOptions | undefined {
  const given = options.accessLog ?? env['INMESH_ACCESS_LOG'];
  if (given === undefined || given === '') return undefined;
  const format = env['INMESH_ACCESS_LOG_FORMAT'];
  const log: AccessLogOptions =
    typeof given !== 'string' ? given : format === undefined ? { to: given } : { to: given, format };
  // Fails here, where the caller sees it.
  checkAccessLog(log);
  return log;
}

function addressOption(
  option: string,
  given: string | number | undefined,
): ResolvedMeshOptions['metricsAddress'] {
  if (given === undefined || given === '' || given === 'off') return undefined;
  const text = String(given);
  const { host, port } = splitHostPort(/^\d+$/.test(text) ? `127.0.0.1:${text}` : text);
  if (host !== '' && port !== undefined && port <= 65_535) return { host, port };
  throw new MeshError(
    'INMESH_OPTION_INVALID',
    `${option} ${JSON.stringify(given)} is no port and no host:port`,
    {
      hint: 'For example 15090 or 0.0.0.0:15090',
    },
  );
}

function cacheDirOf(options: MeshOptions, { env, userCacheDir }: Surroundings): string | undefined {
  if (options.cacheDir === false) return undefined;
  const dir = options.cacheDir ?? env['INMESH_CACHE_DIR'];
  if (dir === 'off') return undefined;
  return dir ?? userCacheDir;
}

function target(option: string, value: string): string {
  const bare = bareTarget(value);
  if (bare !== undefined) return bare;
  throw new MeshError('INMESH_OPTION_INVALID', `${option} ${JSON.stringify(value)} is not host:port`, {
    hint: 'For example 127.0.0.1:15010',
  });
}

function xdsProtocol(value: string): 'sotw' | 'delta' {
  if (value === 'sotw' || value === 'delta') return value;
  throw new MeshError('INMESH_OPTION_INVALID', `xdsProtocol ${JSON.stringify(value)} is unknown`, {
    hint: 'Use "sotw" or "delta"',
  });
}

function positive(option: string, value: number): number {
  if (Number.isFinite(value) && value >= 0) return value;
  throw new MeshError('INMESH_OPTION_INVALID', `${option} must be a number of milliseconds, not ${value}`);
}

/** gRFC A29: the certificate provider that TLS contexts name `default`, or the only one. */
function identityFilesOf(
  options: MeshOptions,
  env: Surroundings['env'],
  bootstrap: Bootstrap | undefined,
): IdentityFiles | undefined {
  // Whoever names an authority wants its certificate.
  if (bootstrap === undefined || namesAuthority(options, env)) return undefined;
  const { certificateFiles } = bootstrap;
  const { certificateFile, keyFile, caFile, bundleMapFile, refreshMs } =
    certificateFiles.get(identityProvider(bootstrap) ?? '') ?? NO_IDENTITY;
  const bundleFile = bundleMapFile ?? caFile;
  if (certificateFile === undefined || keyFile === undefined || bundleFile === undefined) return undefined;
  const isBundleMap = bundleMapFile !== undefined;
  return { certificateFile, keyFile, bundleFile, ...(isBundleMap && { isBundleMap }), refreshMs };
}

/** The name of the provider that is the identity of this workload. */
function identityProvider({ certificateFiles }: Bootstrap): string | undefined {
  if (certificateFiles.has('default')) return 'default';
  const [only] = certificateFiles.keys();
  return certificateFiles.size === 1 ? only : undefined;
}

/** What TLS contexts may name by instances of certificate providers. */
function providersOf(bootstrap: Bootstrap | undefined): CertificateProviders | undefined {
  if (bootstrap === undefined || bootstrap.certificateFiles.size === 0) return undefined;
  const own = identityProvider(bootstrap);
  return new Map(
    [...bootstrap.certificateFiles].map(([name, files]) => [name, name === own ? 'mesh' : filesOf(files)]),
  );
}

function filesOf({ certificateFile, keyFile, caFile }: ProviderFiles): ProvidedFiles {
  return {
    certificate:
      certificateFile === undefined || keyFile === undefined
        ? undefined
        : {
            chain: { kind: 'file', path: certificateFile },
            key: { kind: 'file', path: keyFile },
            password: undefined,
          },
    roots: caFile === undefined ? undefined : { kind: 'file', path: caFile },
  };
}

function namesAuthority(options: MeshOptions, env: Surroundings['env']): boolean {
  return (options.certificateAuthority ?? env['INMESH_CA']) !== undefined;
}

const NO_IDENTITY: ProviderFiles = {
  certificateFile: undefined,
  keyFile: undefined,
  caFile: undefined,
  refreshMs: 0,
};
