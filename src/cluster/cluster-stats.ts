import type { BreakerThresholds, Cluster } from '../model/cluster.js';
import type { Locality } from '../model/endpoint.js';
import type { Breakers } from './breaker.js';
import type { ConnectionCount } from './connection-permits.js';
import { healthFlags } from './health/flags.js';
import type { HealthCheckStats } from './health/monitor.js';
import type { Host, HostHealth } from './host.js';
import type { LbCounts } from './lb/lb-counts.js';
import type { SubsetStats } from './lb/load-balancer.js';
import type { LoadStreamStats } from './orca/report-sessions.js';
import type { OutlierStats } from './outlier/stats.js';

/** State of one cluster. */
export interface ClusterStats {
  readonly name: string;
  readonly hosts: readonly HostStats[];
  readonly breakers: Readonly<Record<'default' | 'high', BreakerStats>>;
  /** Open connections, and how often the limit kept one from being opened. */
  readonly connections: { readonly active: number; readonly overflows: number };
  /** Undefined without outlier detection. */
  readonly outliers: OutlierStats | undefined;
  /** How hosts were chosen; undefined where members of the cluster count. */
  readonly loadBalancing?: Readonly<LbCounts> | undefined;
  /** Undefined without subsets. */
  readonly subsets?: SubsetStats | undefined;
  /** Undefined where hosts do not report their load over streams. */
  readonly loadStreams?: LoadStreamStats | undefined;
  /** Undefined without active health checks. */
  readonly healthChecks: HealthCheckStats | undefined;
  /** Requests that the control plane had dropped, by category. */
  readonly drops: Readonly<Record<string, number>>;
}

/** State of the circuit breakers of one priority. */
export interface BreakerStats {
  readonly activeRequests: number;
  readonly requestOverflows: number;
  readonly activeRetries: number;
  readonly retryOverflows: number;
  /** What is left of each limit, where the cluster says `track_remaining`. */
  readonly remaining?:
    | { readonly requests: number; readonly retries: number; readonly connections: number }
    | undefined;
}

/** State of one endpoint of a cluster. */
export interface HostStats {
  readonly address: string;
  readonly health: HostHealth;
  /** Envoy's names of what is held against it, e.g. `failed_active_hc`. */
  readonly healthFlags: readonly string[];
  /** Whether it gets traffic outside a panic. */
  readonly usable: boolean;
  readonly ejected: boolean;
  /** Percentage of the last interval of outlier detection, by its answers; -1 when it was not computed. */
  readonly successRate: number;
  /** The same by connections and timeouts, where those are told apart. */
  readonly localOriginSuccessRate: number;
  readonly locality: Locality;
  readonly priority: number;
  readonly weight: number;
  readonly activeRequests: number;
  readonly requests: number;
  readonly successes: number;
  readonly failures: number;
  readonly errors: number;
}

/** State of the breakers of one priority. */
function breakerStats(
  { requests, retries }: Breakers['default'],
  { trackRemaining }: BreakerThresholds,
  connections: ConnectionCount,
): BreakerStats {
  const left = ({ limit, active }: { readonly limit: number; readonly active: number }) =>
    Math.max(0, limit - active);
  return {
    remaining:
      trackRemaining === true
        ? { requests: left(requests), retries: left(retries), connections: left(connections) }
        : undefined,
    activeRequests: requests.active,
    requestOverflows: requests.overflows,
    activeRetries: retries.active,
    retryOverflows: retries.overflows,
  };
}

/** State of a host. */
export function hostStats(host: Host, hasOutliers: boolean): HostStats {
  const { address, health, ejected, locality, priority, weight, activeRequests, totals } = host;
  return {
    address,
    health,
    healthFlags: healthFlags(host),
    usable: health !== 'unhealthy',
    ejected,
    successRate: hasOutliers ? host.outlier.external.rate : -1,
    localOriginSuccessRate: hasOutliers ? host.outlier.local.rate : -1,
    locality,
    priority,
    weight,
    activeRequests,
    ...totals,
  };
}

interface Limited {
  readonly name: string;
  readonly config: Cluster;
  readonly breakers: Breakers;
  readonly connections: ConnectionCount;
}

/** Names and limits of a cluster. */
export function limitStats({
  name,
  config: { circuitBreakers: limits },
  breakers: { default: normal, high },
  connections,
}: Limited): Pick<ClusterStats, 'name' | 'breakers' | 'connections'> {
  return {
    name,
    breakers: {
      default: breakerStats(normal, limits.default, connections),
      high: breakerStats(high, limits.high, connections),
    },
    connections: { active: connections.active, overflows: connections.overflows },
  };
}
