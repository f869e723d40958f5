import type { ClusterRuntime } from '../../cluster/cluster-runtime.js';
import type { HostStats } from '../../cluster/cluster-stats.js';
import { splitHostPort } from '../../model/address.js';
import type { BreakerThresholds } from '../../model/cluster.js';

/** Limits of a circuit breaker by Envoy's names. */
function thresholds({ maxConnections, maxPendingRequests, maxRequests, maxRetries }: BreakerThresholds) {
  return {
    max_connections: maxConnections,
    max_pending_requests: maxPendingRequests,
    max_requests: maxRequests,
    max_retries: maxRetries,
  };
}

/** Figures of a host by Envoy's names. */
function figures({ activeRequests, failures, errors, successes, requests }: HostStats) {
  return {
    rq_active: activeRequests,
    rq_error: failures + errors,
    rq_success: successes,
    rq_total: requests,
  };
}

function edsName({ config }: ClusterRuntime): string | undefined {
  return config.discovery.kind === 'eds' ? config.discovery.serviceName : undefined;
}

/** Envoy's `/clusters`: a line for each fact. */
export function clustersText(clusters: readonly ClusterRuntime[]): string {
  const lines: string[] = [];
  for (const cluster of clusters) {
    const { name, config } = cluster;
    const stats = cluster.stats();
    const tell = (...facts: (string | number | boolean)[]) => lines.push([name, ...facts].join('::'));
    tell('observability_name', name);
    for (const priority of ['default', 'high'] as const) {
      const limits = thresholds(config.circuitBreakers[priority]);
      for (const [limit, value] of Object.entries(limits)) tell(`${priority}_priority`, limit, value);
    }
    tell('added_via_api', true);
    const service = edsName(cluster);
    if (service !== undefined) tell('eds_service_name', service);
    for (const host of stats.hosts) tellHost(host, (...facts) => tell(host.address, ...facts));
  }
  return lines.map((line) => `${line}\n`).join('');
}

function tellHost(host: HostStats, tell: (...facts: (string | number | boolean)[]) => void): void {
  for (const [name, value] of Object.entries(figures(host))) tell(name, value);
  const { locality, healthFlags } = host;
  tell('health_flags', healthFlags.length === 0 ? 'healthy' : healthFlags.map((flag) => `/${flag}`).join(''));
  tell('weight', host.weight);
  tell('region', locality.region);
  tell('zone', locality.zone);
  tell('sub_zone', locality.subZone);
  tell('priority', host.priority);
  tell('success_rate', host.successRate);
  tell('local_origin_success_rate', host.localOriginSuccessRate);
}

/** The same as Envoy's `/clusters?format=json` (message Clusters). */
export function clustersJson(clusters: readonly ClusterRuntime[]): unknown {
  return {
    cluster_statuses: clusters.map((cluster) => {
      const { default: normal, high } = cluster.config.circuitBreakers;
      const service = edsName(cluster);
      return {
        name: cluster.name,
        added_via_api: true,
        host_statuses: cluster.stats().hosts.map(hostJson),
        circuit_breakers: {
          thresholds: [thresholds(normal), { priority: 'HIGH', ...thresholds(high) }],
        },
        observability_name: cluster.name,
        ...(service !== undefined && { eds_service_name: service }),
      };
    }),
  };
}

function hostJson(host: HostStats): unknown {
  const { host: address, port = 0 } = splitHostPort(host.address);
  const { rq_active, ...counters } = figures(host);
  return {
    address: { socket_address: { address, port_value: port } },
    stats: [
      ...Object.entries(counters).map(([name, value]) => ({ name, value: String(value) })),
      { name: 'rq_active', type: 'GAUGE', value: String(rq_active) },
    ],
    health_status: healthJson(host),
    weight: host.weight,
    priority: host.priority,
    locality: { region: host.locality.region, zone: host.locality.zone, sub_zone: host.locality.subZone },
    ...(host.successRate >= 0 && { success_rate: { value: host.successRate } }),
  };
}

/** Envoy HostHealthStatus: what is held against a host, each by its name. */
function healthJson({ healthFlags }: HostStats): unknown {
  const flags = new Set(healthFlags);
  const edsStatus = flags.has('failed_eds_health')
    ? 'UNHEALTHY'
    : flags.has('degraded_eds_health')
      ? 'DEGRADED'
      : 'HEALTHY';
  return {
    eds_health_status: edsStatus,
    ...(flags.has('failed_active_hc') && { failed_active_health_check: true }),
    ...(flags.has('failed_outlier_check') && { failed_outlier_check: true }),
    ...(flags.has('degraded_active_hc') && { failed_active_degraded_check: true }),
    ...(flags.has('pending_dynamic_removal') && { pending_dynamic_removal: true }),
    ...(flags.has('pending_active_hc') && { pending_active_hc: true }),
    ...(flags.has('excluded_via_immediate_hc_fail') && { excluded_via_immediate_hc_fail: true }),
  };
}
