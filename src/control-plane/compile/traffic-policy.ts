import type { CircuitBreakers, Cluster, ConsecutiveDetector, OutlierDetection } from '../../model/cluster.js';
import { DEFAULT_THRESHOLDS } from '../../model/cluster.js';
import type { LocalityBalancing } from '../../model/lb-policy.js';
import type {
  ClientTlsSettings,
  ConnectionPoolSettings,
  LoadBalancerSettings,
  OutlierDetectionSettings,
  TrafficPolicy,
} from '../kinds/types.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { lbPolicyOf } from './load-balancer.js';

/** The traffic policy of one port of one subset, after all merging. */
export interface EffectivePolicy {
  readonly loadBalancer: LoadBalancerSettings | undefined;
  readonly connectionPool: ConnectionPoolSettings | undefined;
  readonly outlierDetection: OutlierDetectionSettings | undefined;
  readonly tls: ClientTlsSettings | undefined;
  readonly retryBudget: TrafficPolicy['retryBudget'] | undefined;
  readonly proxyProtocol: TrafficPolicy['proxyProtocol'];
  /** Of connections that are not HTTP. */
  readonly tunnel: TrafficPolicy['tunnel'];
}

const UNLIMITED = 2 ** 32 - 1;
const NOTHING: EffectivePolicy = {
  loadBalancer: undefined,
  connectionPool: undefined,
  outlierDetection: undefined,
  tls: undefined,
  retryBudget: undefined,
  proxyProtocol: undefined,
  tunnel: undefined,
};

/**
 * Istio (MergeTrafficPolicy): the subset's policy overrides the host's field by field, after each has been narrowed
 * to the port; settings for the port replace the four blocks as a whole, back to defaults where they are silent.
 */
export function effectivePolicy(
  host: TrafficPolicy | undefined,
  subset: TrafficPolicy | undefined,
  { port, mesh }: { readonly port: number; readonly mesh: Pick<MeshConfig, 'connections'> },
): EffectivePolicy {
  const policy = narrow(narrow(NOTHING, host, port), subset, port);
  const { pool, outlierDetection } = mesh.connections;
  if (pool === undefined && outlierDetection === undefined) return policy;
  // Istio: a block that a rule leaves out is the mesh's, as a whole.
  return {
    ...policy,
    connectionPool: policy.connectionPool ?? pool,
    outlierDetection: policy.outlierDetection ?? outlierDetection,
  };
}

function narrow(base: EffectivePolicy, policy: TrafficPolicy | undefined, port: number): EffectivePolicy {
  if (policy === undefined) return base;
  const retryBudget = policy.retryBudget ?? base.retryBudget;
  const proxyProtocol = policy.proxyProtocol ?? base.proxyProtocol;
  const forPort = policy.portLevelSettings?.find((settings) => settings.port?.number === port);
  if (forPort !== undefined) {
    const { loadBalancer, connectionPool, outlierDetection, tls } = forPort;
    return { ...base, loadBalancer, connectionPool, outlierDetection, tls, retryBudget, proxyProtocol };
  }
  return {
    ...base,
    loadBalancer: policy.loadBalancer ?? base.loadBalancer,
    connectionPool: policy.connectionPool ?? base.connectionPool,
    outlierDetection: policy.outlierDetection ?? base.outlierDetection,
    tls: policy.tls ?? base.tls,
    retryBudget,
    proxyProtocol,
  };
}

/** What of a cluster the traffic policy decides, but for TLS. */
export function policyFields(
  policy: EffectivePolicy,
  locality: LocalityBalancing | undefined,
  { connections: defaults }: Pick<MeshConfig, 'connections'>,
): Pick<
  Cluster,
  | 'lbPolicy'
  | 'connectTimeoutMs'
  | 'circuitBreakers'
  | 'outlierDetection'
  | 'outlierStatuses'
  | 'panicThresholdPercent'
  | 'idleTimeoutMs'
  | 'maxRequestsPerConnection'
  | 'maxConnectionDurationMs'
  | 'tcpKeepaliveMs'
> {
  const { connectionPool, outlierDetection } = policy;
  return {
    lbPolicy: lbPolicyOf(policy.loadBalancer, locality),
    connectTimeoutMs: connectionPool?.tcp?.connectTimeout ?? defaults.connectTimeoutMs,
    circuitBreakers: breakersOf(policy),
    outlierDetection: outlierDetection && outlierDetectionOf(outlierDetection),
    ...statusesOf(outlierDetection?.outlierDetectionHttpErrorCodes),
    // Istio: with outlier detection the panic threshold is minHealthPercent, which is off by default.
    panicThresholdPercent: outlierDetection === undefined ? 50 : (outlierDetection.minHealthPercent ?? 0),
    idleTimeoutMs: connectionPool?.http?.idleTimeout ?? connectionPool?.tcp?.idleTimeout ?? 3_600_000,
    maxRequestsPerConnection: connectionPool?.http?.maxRequestsPerConnection ?? 0,
    ...connectionFields(connectionPool?.tcp, defaults.tcpKeepaliveMs),
  };
}

/** What only some policies say of connections. */
function connectionFields(
  tcp: ConnectionPoolSettings['tcp'],
  meshKeepaliveMs: number | undefined,
): Pick<Cluster, 'maxConnectionDurationMs' | 'tcpKeepaliveMs'> {
  const { maxConnectionDuration, tcpKeepalive } = tcp ?? {};
  const tcpKeepaliveMs = tcpKeepalive?.time ?? meshKeepaliveMs;
  return {
    ...(maxConnectionDuration !== undefined && { maxConnectionDurationMs: maxConnectionDuration }),
    ...(tcpKeepaliveMs !== undefined && { tcpKeepaliveMs }),
  };
}

function breakersOf({ connectionPool, retryBudget }: EffectivePolicy): CircuitBreakers {
  const { tcp, http } = connectionPool ?? {};
  return {
    default: {
      // Istio: zero is unset, so it means the default, not "nothing".
      maxConnections: tcp?.maxConnections || UNLIMITED,
      maxPendingRequests: http?.http1MaxPendingRequests || UNLIMITED,
      maxRequests: http?.http2MaxRequests || UNLIMITED,
      maxRetries: http?.maxRetries || UNLIMITED,
      retryBudget: retryBudget && {
        budgetPercent: retryBudget.percent ?? 20,
        minRetryConcurrency: retryBudget.minRetryConcurrency ?? 3,
        ...(retryBudget.budgetInterval ? { intervalMs: retryBudget.budgetInterval } : {}),
      },
    },
    high: DEFAULT_THRESHOLDS,
  };
}

/** Istio: an empty list is unset. */
function statusesOf(codes: readonly number[] = []): Pick<Cluster, 'outlierStatuses'> {
  return codes.length === 0 ? {} : { outlierStatuses: [...new Set(codes)] };
}

const STATISTICAL_OFF = { minimumHosts: 5, enforcingPercent: 0, enforcingLocalOriginPercent: 0 };

function outlierDetectionOf(settings: OutlierDetectionSettings): OutlierDetection {
  const baseEjectionTimeMs = settings.baseEjectionTime ?? 30_000;
  return {
    intervalMs: settings.interval ?? 10_000,
    baseEjectionTimeMs,
    maxEjectionTimeMs: Math.max(300_000, baseEjectionTimeMs),
    maxEjectionTimeJitterMs: 0,
    // Istio: zero is unset.
    maxEjectionPercent: settings.maxEjectionPercent || 10,
    alwaysEjectOneHost: false,
    splitExternalLocalOriginErrors: settings.splitExternalLocalOriginErrors ?? false,
    consecutive5xx: detector(settings.consecutive5xxErrors ?? 5),
    consecutiveGatewayFailure: detector(settings.consecutiveGatewayErrors ?? 0),
    consecutiveLocalOriginFailure: detector(settings.consecutiveLocalOriginFailures || 5),
    // Istio has no fields for these and turns the one off that Envoy enforces by default.
    successRate: { ...STATISTICAL_OFF, requestVolume: 100, stdevFactor: 1900 },
    failurePercentage: { ...STATISTICAL_OFF, requestVolume: 50, threshold: 85 },
    detectDegradedHosts: false,
  };
}

/** Istio: a threshold of 0 turns the detector off. */
function detector(threshold: number): ConsecutiveDetector {
  return threshold === 0 ? { threshold: 5, enforcingPercent: 0 } : { threshold, enforcingPercent: 100 };
}
