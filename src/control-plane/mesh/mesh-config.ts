import { type AccessLogFormat, DEFAULT_ACCESS_LOG_FORMAT } from '../../model/access-log.js';
import type { PathRules } from '../../model/request-processing.js';
import { MeshError } from '../../runtime/errors.js';
import { checkLoadBalancer } from '../kinds/load-balancer-rules.js';
import { ROOT_NAMESPACE } from '../kinds/names.js';
import { createReport } from '../kinds/report.js';
import type {
  ConnectionPoolSettings,
  ExtensionProviderSpec,
  HttpRetry,
  LogProvider,
  MeshProxySpec,
  OutlierDetectionSettings,
} from '../kinds/types.js';
import { type ExtensionProvider, type ExtensionProviderInput, readProviders } from './extension-provider.js';

/** Where requests go when the endpoints of a region are unhealthy. */
export interface RegionFailover {
  /** Region of the client. */
  readonly from?: string | undefined;
  /** Region that is tried before all others. */
  readonly to?: string | undefined;
}

/** Istio's `LocalityLoadBalancerSetting`. */
export interface LocalityLbSetting {
  /** Default true. */
  readonly enabled?: boolean | undefined;
  /** Percentages of requests by locality, for clients in the locality `from`; `*` stands for any part. */
  readonly distribute?:
    | readonly {
        readonly from?: string | undefined;
        readonly to?: Readonly<Record<string, number>> | undefined;
      }[]
    | undefined;
  readonly failover?: readonly RegionFailover[] | undefined;
  /** Names of labels (or `name=value`) that near endpoints share with the client, most important first. */
  readonly failoverPriority?: readonly string[] | undefined;
}

/** Istio's `ZoneAwareLoadBalancerSetting`. */
export interface ZoneAwareLbSetting {
  /** Default true. */
  readonly enabled?: boolean | undefined;
  readonly failover?: readonly RegionFailover[] | undefined;
  /** Names of labels (or `name=value`) that near endpoints share with the client, most important first. */
  readonly failoverPriority?: readonly string[] | undefined;
  /** Endpoints of the own region that it takes. Default 6. */
  readonly minClusterSize?: number | undefined;
}

/** Mesh-wide settings, with Istio's names and defaults. */
export interface MeshConfig {
  readonly trustDomain: string;
  /** Whether the trust domain is that of a certificate authority, which no document changes. Default false. */
  readonly hasOwnTrustDomain: boolean;
  /** Other names of the trust domain: to policies their members are the same. */
  readonly trustDomainAliases: readonly string[];
  /** The services that policies of action CUSTOM ask. */
  readonly extensionProviders: readonly ExtensionProvider[];
  /**
   * Whether a workload may have several of them, each asked about what its policies match (Istio:
   * PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS); else all of that is refused.
   */
  readonly severalAuthorizationProviders: boolean;
  /** Namespace of mesh-wide documents. */
  readonly rootNamespace: string;
  /** Domain of service names. */
  readonly domain: string;
  /** Template of inbound listener names; `%s` stands for `address:port` (gRFC A36). */
  readonly inboundTemplate: string;
  /**
   * What happens to requests for hosts that the mesh does not know. `ALLOW_ANY`: they pass it by. `REGISTRY_ONLY`: they
   * are answered with 502.
   */
  readonly outboundTrafficPolicy: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  /** How localities are balanced where neither a DestinationRule nor a service says; undefined = without heed to them. */
  readonly localityLbSetting: LocalityLbSetting | undefined;
  /** In place of `localityLbSetting`. */
  readonly zoneAwareLbSetting: ZoneAwareLbSetting | undefined;
  /**
   * What is done to the paths of requests before routes and policies look at them: nothing, RFC 3986 (dot segments,
   * needless escapes, backslashes), also several slashes in a row made one, also escaped slashes decoded before that.
   */
  readonly pathNormalization: PathNormalization;
  /** Who sees documents that do not say; undefined = everybody. */
  readonly exportTo: DefaultVisibility;
  /** Whether members speak mTLS with each other where no DestinationRule speaks of TLS. */
  readonly enableAutoMtls: boolean;
  /** What connections are like where no DestinationRule says. */
  readonly connections: ConnectionDefaults;
  /** Where exchanges are logged. */
  readonly accessLogs: AccessLogDefaults;
  /** How requests are traced. */
  readonly tracing: TracingDefaults;
  /** How routes retry that do not say; undefined = as Istio does by itself. */
  readonly defaultHttpRetryPolicy: HttpRetry | undefined;
  /** Whether clients report the load of their clusters to the control plane (`lrs_server`). */
  readonly reportsLoad: boolean;
}

/** Istio's `defaultServiceExportTo` and the like. */
export interface DefaultVisibility {
  readonly services?: readonly string[] | undefined;
  readonly virtualServices?: readonly string[] | undefined;
  readonly destinationRules?: readonly string[] | undefined;
}

/** Access logs of the mesh. */
export interface AccessLogDefaults {
  /** Names of the providers that log without a Telemetry (Istio's `defaultProviders.accessLogging`). */
  readonly defaults: readonly string[];
  readonly providers: readonly LogProvider[];
  /** Of the provider `envoy`, and of those without one. Default `/dev/stdout`. */
  readonly path: string;
  readonly format: AccessLogFormat;
}

/** Tracing of the mesh. */
export interface TracingDefaults {
  /** Names of the providers that trace without a Telemetry (Istio's `defaultProviders.tracing`); the first counts. */
  readonly defaults: readonly string[];
  readonly providers: readonly ExtensionProviderSpec[];
  /** Istio's `enableTracing`: without any provider there are spans all the same. */
  readonly isEnabled: boolean;
  /** Istio's `defaultConfig.tracing`. */
  readonly proxy: NonNullable<MeshProxySpec['tracing']>;
  /** Istio's `defaultConfig.meshId`; empty = none. */
  readonly meshId: string;
}

/** Defaults of connections. */
export interface ConnectionDefaults {
  /** Default 10 s. */
  readonly connectTimeoutMs: number;
  /** When probes begin; undefined = the system's default. */
  readonly tcpKeepaliveMs: number | undefined;
  /** How often names are looked up. Default 60 s. */
  readonly dnsRefreshRateMs: number;
  /** Whether HTTP/1.1 becomes HTTP/2 unless a DestinationRule says no. Default false. */
  readonly upgradesToHttp2: boolean;
  /** Where a DestinationRule has no such block (Istio's `defaultTrafficPolicy`). */
  readonly pool: ConnectionPoolSettings | undefined;
  readonly outlierDetection: OutlierDetectionSettings | undefined;
}

/** Istio's `pathNormalization.normalization`. */
export type PathNormalization = 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';

export const DEFAULT_MESH_CONFIG: MeshConfig = {
  trustDomain: 'cluster.local',
  hasOwnTrustDomain: false,
  trustDomainAliases: [],
  extensionProviders: [],
  severalAuthorizationProviders: false,
  rootNamespace: ROOT_NAMESPACE,
  domain: 'cluster.local',
  inboundTemplate: 'xds.istio.io/grpc/lds/inbound/%s',
  outboundTrafficPolicy: 'ALLOW_ANY',
  localityLbSetting: { enabled: true },
  zoneAwareLbSetting: undefined,
  pathNormalization: 'BASE',
  exportTo: {},
  enableAutoMtls: true,
  connections: {
    connectTimeoutMs: 10_000,
    tcpKeepaliveMs: undefined,
    dnsRefreshRateMs: 60_000,
    upgradesToHttp2: false,
    pool: undefined,
    outlierDetection: undefined,
  },
  accessLogs: {
    defaults: [],
    providers: [],
    path: '/dev/stdout',
    format: { kind: 'text', text: DEFAULT_ACCESS_LOG_FORMAT, omitEmptyValues: false },
  },
  tracing: { defaults: [], providers: [], isEnabled: false, proxy: {}, meshId: '' },
  defaultHttpRetryPolicy: undefined,
  reportsLoad: false,
};

/**
 * The settings of a mesh, with defaults.
 * @throws MeshError `INMESH_OPTION_INVALID` for settings that Istio would refuse.
 */
export function createMeshConfig(settings: MeshSettings): MeshConfig {
  const { localityLbSetting, zoneAwareLbSetting, extensionProviders = [], ...others } = settings;
  const { pathNormalization } = settings;
  const report = createReport();
  // Of the mesh both may be given, other than of a DestinationRule.
  checkLoadBalancer({ localityLbSetting }, [], report);
  checkLoadBalancer({ zoneAwareLbSetting }, [], report);
  const providers = readProviders(extensionProviders, report);
  const [first] = report.violations;
  if (first !== undefined) {
    throw new MeshError('INMESH_OPTION_INVALID', `${first.path.join('.')}: ${first.message}`);
  }
  if (pathNormalization !== undefined && !Object.hasOwn(PATH_RULES, pathNormalization)) {
    throw new MeshError('INMESH_OPTION_INVALID', `pathNormalization: there is no ${pathNormalization}`);
  }
  return {
    ...DEFAULT_MESH_CONFIG,
    ...('localityLbSetting' in settings && { localityLbSetting }),
    ...('zoneAwareLbSetting' in settings && { zoneAwareLbSetting }),
    ...others,
    extensionProviders: providers,
  };
}

/** Settings as people write them. */
export interface MeshSettings extends Partial<Omit<MeshConfig, 'extensionProviders'>> {
  /** As in Istio's MeshConfig; times are texts such as `5s`. */
  readonly extensionProviders?: readonly ExtensionProviderInput[] | undefined;
}

const BASE: PathRules = { normalizePath: true, mergeSlashes: false, escapedSlashes: 'keep' };

const PATH_RULES: Readonly<Record<PathNormalization, PathRules>> = {
  NONE: { ...BASE, normalizePath: false },
  BASE,
  MERGE_SLASHES: { ...BASE, mergeSlashes: true },
  DECODE_AND_MERGE_SLASHES: { ...BASE, mergeSlashes: true, escapedSlashes: 'forward' },
};

/** What the mesh does to paths. */
export function pathRules({ pathNormalization }: MeshConfig): PathRules {
  return PATH_RULES[pathNormalization];
}
