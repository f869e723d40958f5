import { customFilters } from '../filters/custom-filters.js';
import type { DefinedFilter, FilterUse } from '../filters/define-filter.js';
import type { FailureRateBreakerOptions } from '../filters/failure-rate-breaker.js';
import type { CustomFilters } from '../filters/filter.js';
import { splitHostPort } from '../model/address.js';
import type { Locality } from '../model/endpoint.js';
import { localityOfLabels, parseLocality } from '../model/locality.js';
import type { Clock } from '../runtime/clock.js';
import { MeshError } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import type { Observer } from '../service/observer.js';
import type { Filter } from '../service/service.js';
import { type AccessLogOptions, checkAccessLog } from '../telemetry/access-log.js';
import { type Bootstrap, readBootstrap } from './bootstrap.js';

/** What `createMesh` takes. Everything has a default; environment variables come after what is given here. */
export interface MeshOptions {
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
  /** `host:port` of the control plane's xDS. `INMESH_CONTROL_PLANE`, the gRPC bootstrap, `127.0.0.1:15010`. */
  readonly controlPlane?: string;
  /**
   * Variant of xDS spoken to the control plane: `sotw` (state of the world, which every server knows) or `delta`
   * (incremental: what changed is sent, and a new stream asks only for what is newer). `INMESH_XDS_PROTOCOL`, `sotw`.
   */
  readonly xdsProtocol?: 'sotw' | 'delta';
  /** `host:port` of the certificate authority. `INMESH_CA`, the control plane's address. */
  readonly certificateAuthority?: string;
  /** Directory of the last-known-good cache; false keeps none. `INMESH_CACHE_DIR` (`off` for none), the user's cache directory. */
  readonly cacheDir?: string | false;
  /** How long `createMesh` waits for the first configuration before it returns anyway, in milliseconds. Default 2000; 0 with a cache. */
  readonly startupTimeoutMs?: number;
  /** How long requests to mesh hosts wait for the first configuration, in milliseconds after the start. Default 15 000. */
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
   * They hand the trace context on. It needs an OpenTelemetry SDK that the application set up. `INMESH_TRACING` (`on`).
   * Default false: with instrumentations of undici and node:http there are such spans already.
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
export interface ResolvedMeshOptions {
  readonly service: string;
  readonly version: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly locality: Locality;
  readonly localCluster: string | undefined;
  readonly clusterId: string;
  readonly address: string;
  readonly controlPlane: string;
  readonly xdsProtocol: 'sotw' | 'delta';
  readonly certificateAuthority: string;
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
  readonly tracing: boolean;
  readonly otelMetrics: boolean;
  readonly propagation: boolean;
  readonly nodeId: string;
}

/** What the options are resolved against. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Name and version in the application's package.json, when there is one. */
  readonly packageInfo: { readonly name?: string | undefined; readonly version?: string | undefined };
  /** Directory for caches of this user. */
  readonly userCacheDir: string;
  /** Unique to this process. */
  readonly instance: string;
  readonly readFile: (path: string) => string;
}

const DEFAULT_CONTROL_PLANE = '127.0.0.1:15010';
const DEFAULT_INBOUND_TEMPLATE = 'xds.istio.io/grpc/lds/inbound/%s';

/**
 * Fills in defaults: code, then environment, then bootstrap file, then built-in.
 * @throws MeshError `INMESH_OPTION_INVALID` or `INMESH_BOOTSTRAP_INVALID`.
 */
export function resolveOptions(options: MeshOptions, around: Surroundings): ResolvedMeshOptions {
  const { env, packageInfo } = around;
  const bootstrap = readBootstrap(env, around.readFile);
  const service = label(
    'service',
    options.service ??
      env['INMESH_SERVICE'] ??
      env['OTEL_SERVICE_NAME'] ??
      baseName(packageInfo.name) ??
      'unknown',
  );
  const version = options.version ?? env['INMESH_VERSION'] ?? packageInfo.version ?? '';
  const namespace = label(
    'namespace',
    options.namespace ?? env['INMESH_NAMESPACE'] ?? env['POD_NAMESPACE'] ?? 'default',
  );
  const controlPlane = target(
    'controlPlane',
    options.controlPlane ?? env['INMESH_CONTROL_PLANE'] ?? bootstrap?.server ?? DEFAULT_CONTROL_PLANE,
  );
  const address = options.address ?? env['INMESH_ADDRESS'] ?? env['INSTANCE_IP'] ?? '127.0.0.1';
  const cacheDir = cacheDirOf(options, around);
  const labels = { ...parseLabels(env['INMESH_LABELS']), ...options.labels };
  return {
    service,
    version,
    namespace,
    serviceAccount: label(
      'serviceAccount',
      options.serviceAccount ?? env['INMESH_SERVICE_ACCOUNT'] ?? 'default',
    ),
    labels,
    locality: localityOf(options.locality ?? env['INMESH_LOCALITY'], labels, bootstrap),
    localCluster: localClusterOf(options, env, bootstrap),
    clusterId: options.clusterId ?? env['INMESH_CLUSTER_ID'] ?? env['ISTIO_META_CLUSTER_ID'] ?? 'Kubernetes',
    address,
    controlPlane,
    xdsProtocol: xdsProtocol(options.xdsProtocol ?? env['INMESH_XDS_PROTOCOL'] ?? 'sotw'),
    certificateAuthority: target(
      'certificateAuthority',
      options.certificateAuthority ?? env['INMESH_CA'] ?? controlPlane,
    ),
    cacheDir,
    startupTimeoutMs: positive('startupTimeoutMs', options.startupTimeoutMs ?? 2_000),
    configurationTimeoutMs: positive('configurationTimeoutMs', options.configurationTimeoutMs ?? 15_000),
    leaveDelayMs: positive('leaveDelayMs', options.leaveDelayMs ?? 500),
    inboundTemplate: bootstrap?.inboundTemplate ?? DEFAULT_INBOUND_TEMPLATE,
    ...filterOptions(options),
    failureRateBreakers: options.failureRateBreakers ?? {},
    ...telemetryOptions(options, env),
    nodeId:
      bootstrap?.nodeId ??
      `sidecar~${address}~${service}-${around.instance}.${namespace}~${namespace}.svc.cluster.local`,
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
    tracing: options.tracing ?? env['INMESH_TRACING'] === 'on',
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

/** A DNS label, as service names, namespaces and service accounts are in Kubernetes and in SPIFFE paths. */
function label(option: string, value: string): string {
  if (/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(value)) return value;
  throw new MeshError('INMESH_OPTION_INVALID', `${option} ${JSON.stringify(value)} is not a DNS name`, {
    hint: 'Use lower-case letters, digits, "-" and "."',
  });
}

function baseName(packageName: string | undefined): string | undefined {
  const name = packageName
    ?.replace(/^@[^/]*\//, '')
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-');
  return name === undefined || name === '' ? undefined : name.replace(/^[.-]+|[.-]+$/g, '') || undefined;
}

function target(option: string, value: string): string {
  const bare = value.replace(/^(dns:\/\/\/|dns:|http:\/\/)/, '');
  const { host, port } = splitHostPort(bare);
  if (host !== '' && port !== undefined) return bare;
  throw new MeshError('INMESH_OPTION_INVALID', `${option} ${JSON.stringify(value)} is not host:port`, {
    hint: 'For example 127.0.0.1:15010',
  });
}

function xdsProtocol(value: string): ResolvedMeshOptions['xdsProtocol'] {
  if (value === 'sotw' || value === 'delta') return value;
  throw new MeshError('INMESH_OPTION_INVALID', `xdsProtocol ${JSON.stringify(value)} is unknown`, {
    hint: 'Use "sotw" or "delta"',
  });
}

function positive(option: string, value: number): number {
  if (Number.isFinite(value) && value >= 0) return value;
  throw new MeshError('INMESH_OPTION_INVALID', `${option} must be a number of milliseconds, not ${value}`);
}

function parseLabels(text: string | undefined): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const pair of text?.split(',') ?? []) {
    const equals = pair.indexOf('=');
    if (equals > 0) labels[pair.slice(0, equals).trim()] = pair.slice(equals + 1).trim();
    else if (pair.trim() !== '') {
      throw new MeshError(
        'INMESH_OPTION_INVALID',
        `INMESH_LABELS has ${JSON.stringify(pair)}, which is not key=value`,
      );
    }
  }
  return labels;
}

/** Istio: who does not say where it is, is where its labels say. */
function localityOf(
  text: string | undefined,
  labels: Readonly<Record<string, string>>,
  bootstrap: Bootstrap | undefined,
): Locality {
  return text === undefined ? (bootstrap?.locality ?? localityOfLabels(labels)) : parseLocality(text);
}
