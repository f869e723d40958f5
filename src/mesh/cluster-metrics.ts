import type { BreakerStats, ClusterStats } from '../cluster/cluster-stats.js';
import { quoteLabel, renderCounter, renderGauge, type Sample } from '../telemetry/prometheus.js';

/** A figure of a cluster: undefined where it has none. */
interface Figure {
  /** Envoy's name of the stat, in Prometheus' form. */
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly of: (cluster: ClusterStats) => number | undefined;
}

const count = (hosts: ClusterStats['hosts'], holds: (host: ClusterStats['hosts'][number]) => boolean) =>
  hosts.reduce((sum, host) => sum + Number(holds(host)), 0);

const FIGURES: readonly Figure[] = [
  { name: 'membership_total', type: 'gauge', of: ({ hosts }) => hosts.length },
  {
    name: 'membership_healthy',
    type: 'gauge',
    of: ({ hosts }) => count(hosts, ({ health, ejected }) => health === 'healthy' && !ejected),
  },
  {
    name: 'membership_degraded',
    type: 'gauge',
    of: ({ hosts }) => count(hosts, ({ health, ejected }) => health === 'degraded' && !ejected),
  },
  { name: 'upstream_cx_active', type: 'gauge', of: ({ connections }) => connections.active },
  { name: 'upstream_cx_overflow', type: 'counter', of: ({ connections }) => connections.overflows },
  {
    name: 'upstream_rq_active',
    type: 'gauge',
    of: ({ hosts }) => hosts.reduce((sum, { activeRequests }) => sum + activeRequests, 0),
  },
  {
    name: 'outlier_detection_ejections_active',
    type: 'gauge',
    of: ({ outliers }) => outliers?.ejectionsActive,
  },
  {
    name: 'outlier_detection_ejections_overflow',
    type: 'counter',
    of: ({ outliers }) => outliers?.ejectionsOverflow,
  },
  {
    name: 'outlier_detection_ejections_enforced_total',
    type: 'counter',
    of: ({ outliers }) =>
      outliers && Object.values(outliers.enforced).reduce<number>((sum, value) => sum + (value ?? 0), 0),
  },
  ...lbFigures([
    ['healthy_panic', 'healthyPanic'],
    ['local_cluster_not_ok', 'localClusterNotOk'],
    ['recalculate_zone_structures', 'recalculateZoneStructures'],
    ['zone_cluster_too_small', 'zoneClusterTooSmall'],
    ['zone_no_capacity_left', 'zoneNoCapacityLeft'],
    ['zone_routing_all_directly', 'zoneRoutingAllDirectly'],
    ['zone_routing_cross_zone', 'zoneRoutingCrossZone'],
    ['zone_routing_sampled', 'zoneRoutingSampled'],
  ]),
  { name: 'lb_orca_oob_active_sessions', type: 'gauge', of: ({ loadStreams }) => loadStreams?.active },
  { name: 'lb_orca_oob_reports_received', type: 'counter', of: ({ loadStreams }) => loadStreams?.reports },
  { name: 'lb_orca_oob_stream_failures', type: 'counter', of: ({ loadStreams }) => loadStreams?.failures },
  {
    name: 'lb_orca_oob_stream_terminated',
    type: 'counter',
    of: ({ loadStreams }) => loadStreams?.terminated,
  },
  { name: 'lb_subsets_active', type: 'gauge', of: ({ subsets }) => subsets?.active },
  { name: 'lb_subsets_created', type: 'counter', of: ({ subsets }) => subsets?.created },
  { name: 'lb_subsets_removed', type: 'counter', of: ({ subsets }) => subsets?.removed },
  { name: 'lb_subsets_selected', type: 'counter', of: ({ subsets }) => subsets?.selected },
  { name: 'lb_subsets_fallback', type: 'counter', of: ({ subsets }) => subsets?.fallback },
  { name: 'lb_subsets_fallback_panic', type: 'counter', of: ({ subsets }) => subsets?.fallbackPanic },
  {
    name: 'lb_subsets_single_host_per_subset_duplicate',
    type: 'gauge',
    of: ({ subsets }) => subsets?.singleHostDuplicates,
  },
];

function lbFigures(
  names: readonly (readonly [name: string, key: keyof NonNullable<ClusterStats['loadBalancing']>])[],
): Figure[] {
  return names.map(([name, key]) => ({
    name: `lb_${name}`,
    type: 'counter',
    of: ({ loadBalancing }) => loadBalancing?.[key],
  }));
}

/** What each breaker tells, by the priority that Envoy puts into the stat's name. */
const BREAKERS: readonly {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly of: (breaker: BreakerStats) => number | undefined;
}[] = [
  { name: 'rq_active', type: 'gauge', of: ({ activeRequests }) => activeRequests },
  { name: 'rq_overflow', type: 'counter', of: ({ requestOverflows }) => requestOverflows },
  { name: 'rq_retry_active', type: 'gauge', of: ({ activeRetries }) => activeRetries },
  { name: 'rq_retry_overflow', type: 'counter', of: ({ retryOverflows }) => retryOverflows },
  { name: 'remaining_rq', type: 'gauge', of: ({ remaining }) => remaining?.requests },
  { name: 'remaining_retries', type: 'gauge', of: ({ remaining }) => remaining?.retries },
  { name: 'remaining_cx', type: 'gauge', of: ({ remaining }) => remaining?.connections },
];

/** A sample of each cluster that has the figure. */
function samplesOf(
  clusters: readonly ClusterStats[],
  of: (cluster: ClusterStats) => number | undefined,
): Sample<number>[] {
  return clusters.flatMap((cluster): Sample<number>[] => {
    const value = of(cluster);
    return value === undefined ? [] : [[`envoy_cluster_name=${quoteLabel(cluster.name)}`, value]];
  });
}

/** Envoy's figures of clusters in Prometheus' text format. They are read when somebody scrapes, and cost nothing before. */
export function renderClusters(clusters: readonly ClusterStats[]): string {
  const lines = FIGURES.flatMap(({ name, type, of }) =>
    render(`envoy_cluster_${name}`, type, samplesOf(clusters, of)),
  );
  const breakers = (['default', 'high'] as const).flatMap((priority) =>
    BREAKERS.flatMap(({ name, type, of }) =>
      render(
        `envoy_cluster_circuit_breakers_${priority}_${name}`,
        type,
        samplesOf(clusters, (cluster) => of(cluster.breakers[priority])),
      ),
    ),
  );
  return [...lines, ...breakers].join('');
}

function render(name: string, type: 'counter' | 'gauge', samples: readonly Sample<number>[]): string[] {
  return type === 'counter' ? renderCounter(name, samples) : renderGauge(name, samples);
}
