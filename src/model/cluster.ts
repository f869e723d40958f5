import type { DnsCacheConfig, DnsLookupFamily } from './dns-cache.js';
import type { ClusterLoadAssignment, EndpointHealth } from './endpoint.js';
import type { HealthCheck } from './health-check.js';
import type { LbPolicy } from './lb-policy.js';
import type { LoadReporting } from './load-stats.js';
import type { Metadata } from './metadata.js';
import type { MetadataPath } from './rate-limit.js';
import type { ProxyProtocolVersion, TransportSocketMatch, UpstreamTls } from './tls.js';
import type { UpstreamProtocol } from './upstream-protocol.js';

/** Envoy Cluster. */
export interface Cluster {
  readonly name: string;
  readonly discovery: ClusterDiscovery;
  readonly lbPolicy: LbPolicy;
  /** Default 5 s in Envoy, 10 s as Istio compiles it. */
  readonly connectTimeoutMs: number;
  readonly circuitBreakers: CircuitBreakers;
  readonly outlierDetection: OutlierDetection | undefined;
  /** Statuses of HTTP that it counts as errors, and no others. Undefined = those of 500 and above. */
  readonly outlierStatuses?: readonly number[] | undefined;
  /** TLS for every endpoint; undefined = plaintext. */
  readonly tls: UpstreamTls | undefined;
  /** Takes precedence over `tls` for endpoints that match an entry (auto-mTLS). */
  readonly transportSocketMatches: readonly TransportSocketMatch[];
  /** Percentage of usable hosts below which all hosts are used; 0 = never. Default 50. */
  readonly panicThresholdPercent: number;
  /** Healths in which a host serves requests that ask for it. Undefined = unknown, healthy and degraded. */
  readonly overrideHostStatuses?: readonly EndpointHealth[] | undefined;
  /** Idle time after which an unused connection is closed. Default 1 h. */
  readonly idleTimeoutMs: number;
  /** Requests per connection; 0 = no limit. */
  readonly maxRequestsPerConnection: number;
  /** Life of a connection; then it finishes what it carries and closes. Undefined or 0 = no limit. */
  readonly maxConnectionDurationMs?: number | undefined;
  /** Idle time of a connection before TCP probes it (`keepalive_time`). Undefined = a minute. */
  readonly tcpKeepaliveMs?: number | undefined;
  /** Longest life of one attempt (Envoy `max_stream_duration`). Undefined or 0 = no limit. */
  readonly maxStreamDurationMs?: number | undefined;
  /** IP address that connections come from (`upstream_bind_config`); undefined = as the system likes. */
  readonly sourceAddress?: string | undefined;
  /** The PROXY protocol header that connections begin with, as `tls`; undefined = none. */
  readonly proxyProtocol?: ProxyProtocolVersion | undefined;
  /** SNI is the host of each request. */
  readonly autoSni?: boolean | undefined;
  /** The server must prove the name that was sent as SNI; with `autoSni` only. */
  readonly autoSanValidation?: boolean | undefined;
  /** Undefined = HTTP/1.1. */
  readonly protocol?: UpstreamProtocol | undefined;
  /** Envoy `metadata`: for formats, matchers and telemetry. Istio names the service under `istio`. */
  readonly metadata: Metadata;
  /** Active health checks; undefined = none. */
  readonly healthCheck?: HealthCheck | undefined;
  /** Hosts stay out of every total until they were checked once. Default false. */
  readonly ignoreNewHostsUntilFirstCheck?: boolean | undefined;
  /** Changes of health, weight and labels within so long are applied together. Undefined or 0 = each at once. */
  readonly updateMergeWindowMs?: number | undefined;
  /** Whenever hosts come or go, the others get new connections, too. Default false. */
  readonly closeConnectionsOnHostSetChange?: boolean | undefined;
  /** False: requests do not wait for the first names to be resolved and hosts to be checked. Default true. */
  readonly waitsForWarmUp?: boolean | undefined;
  /** Hosts leave as soon as discovery drops them, though they still pass their checks. Default false. */
  readonly ignoreHealthOnHostRemoval?: boolean | undefined;
  /** Load is reported to the control plane that sent the cluster. Undefined = it is not. */
  readonly loadReporting?: LoadReporting | undefined;
}

export type ClusterDiscovery =
  /** `serviceName` is the EDS resource name. */
  | { readonly kind: 'eds'; readonly serviceName: string }
  | { readonly kind: 'static'; readonly assignment: ClusterLoadAssignment }
  | DnsDiscovery
  | OriginalDestination
  | ForwardProxyDiscovery
  /** The priorities of these clusters, one after the other. */
  | { readonly kind: 'aggregate'; readonly clusters: readonly string[] };

/** Envoy STRICT_DNS and LOGICAL_DNS: endpoints by name, resolved again and again. */
export interface DnsDiscovery {
  readonly kind: 'strict-dns' | 'logical-dns';
  readonly assignment: ClusterLoadAssignment;
  /** Wait after a good answer. */
  readonly refreshRateMs: number;
  /** Waits after failures: random, up to a step that doubles from base to max. Default: `refreshRateMs`. */
  readonly failureRefresh?: { readonly baseMs: number; readonly maxMs: number } | undefined;
  /** The life of the records, where it is known, replaces `refreshRateMs`. Default false. */
  readonly respectsTtl?: boolean | undefined;
  /** Undefined: IPv6 addresses or, when there are none, those of IPv4. */
  readonly lookupFamily?: DnsLookupFamily | undefined;
  /** Names are asked for up to so much later, at random. Undefined or 0 = not. */
  readonly jitterMs?: number | undefined;
}

/** Envoy ORIGINAL_DST: connections go where the application wanted to. */
export interface OriginalDestination {
  readonly kind: 'original-dst';
  /** Lower-case name of a header that names another destination, `address:port`; undefined = none does. */
  readonly header: string | undefined;
  /** Dynamic metadata that names another destination. */
  readonly metadata: MetadataPath | undefined;
  /** Port in place of the destination's. */
  readonly port: number | undefined;
  /** A host that had no request for so long leaves. Default 5 s. */
  readonly cleanupIntervalMs: number;
}

/** Envoy `envoy.clusters.dynamic_forward_proxy`: hosts by the names that requests ask for. */
export interface ForwardProxyDiscovery {
  readonly kind: 'forward-proxy';
  readonly cache: DnsCacheConfig;
  /** Whether TLS may do without the names of hosts as SNI and in certificates. Default false. */
  readonly allowInsecure: boolean;
}

/** Envoy CircuitBreakers. */
export interface CircuitBreakers {
  readonly default: BreakerThresholds;
  readonly high: BreakerThresholds;
  /** Connections to each single host (Envoy `per_host_thresholds`). Undefined = no limit. */
  readonly perHost?: { readonly maxConnections: number } | undefined;
}

/** Envoy Thresholds; defaults 1024, 1024, 1024, 3. */
export interface BreakerThresholds {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  /** Replaces `maxRetries` when set. */
  readonly retryBudget: RetryBudget | undefined;
  /** Whether the statistics say how much is left. Default false. */
  readonly trackRemaining?: boolean | undefined;
}

/** Envoy RetryBudget. */
export interface RetryBudget {
  /** Share of requests that may be retries. Default 20. */
  readonly budgetPercent: number;
  /** Retries that are allowed at any time. Default 3. */
  readonly minRetryConcurrency: number;
  /** The requests that began within this time count, instead of those under way. Undefined or 0 = those under way. */
  readonly intervalMs?: number | undefined;
}

export const DEFAULT_THRESHOLDS: BreakerThresholds = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  retryBudget: undefined,
};

/** Envoy OutlierDetection. */
export interface OutlierDetection {
  readonly intervalMs: number;
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionTimeMs: number;
  readonly maxEjectionTimeJitterMs: number;
  readonly maxEjectionPercent: number;
  readonly alwaysEjectOneHost: boolean;
  readonly splitExternalLocalOriginErrors: boolean;
  readonly consecutive5xx: ConsecutiveDetector;
  readonly consecutiveGatewayFailure: ConsecutiveDetector;
  /** Only with `splitExternalLocalOriginErrors`. */
  readonly consecutiveLocalOriginFailure: ConsecutiveDetector;
  readonly successRate: SuccessRateDetector;
  readonly failurePercentage: FailurePercentageDetector;
  /** An answer with `x-envoy-degraded` that is no failure lowers the rank of its host. */
  readonly detectDegradedHosts: boolean;
  /** A host that passes an active health check comes back at once. Default true. */
  readonly passedCheckUnejects?: boolean | undefined;
}

/** What the detectors that look at a whole interval have in common. */
interface StatisticalDetector {
  /** Hosts with enough requests that it takes to judge any. Default 5. */
  readonly minimumHosts: number;
  /** Requests in an interval that it takes to judge a host. */
  readonly requestVolume: number;
  /** Chance in percent that a detection ejects. */
  readonly enforcingPercent: number;
  /** The same for connections and timeouts; only with `splitExternalLocalOriginErrors`. */
  readonly enforcingLocalOriginPercent: number;
}

/** Ejects hosts whose success rate is far below the mean. Default volume 100, enforced. */
export interface SuccessRateDetector extends StatisticalDetector {
  /** Thousandths of standard deviations below the mean. Default 1900. */
  readonly stdevFactor: number;
}

/** Ejects hosts by their percentage of failures. Default volume 50, not enforced. */
export interface FailurePercentageDetector extends StatisticalDetector {
  /** Percentage of failures from which on a host is an outlier. Default 85. */
  readonly threshold: number;
}

export interface ConsecutiveDetector {
  readonly threshold: number;
  /** Chance in percent that a detection ejects. */
  readonly enforcingPercent: number;
}
