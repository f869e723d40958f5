import type { Cluster } from '../../model/cluster.js';
import type { ClusterLoadAssignment, Endpoint } from '../../model/endpoint.js';
import type { UpstreamTls } from '../../model/tls.js';
import type { ExplainedEndpoint, ExplainedPolicy } from './explanation.js';

/** The endpoints of a cluster; undefined when it has none of its own (DNS of the request's host, aggregates). */
export function assignmentOf(
  cluster: Cluster,
  endpoints: ReadonlyMap<string, ClusterLoadAssignment>,
): ClusterLoadAssignment | undefined {
  const { discovery } = cluster;
  if (discovery.kind === 'eds') return endpoints.get(discovery.serviceName || cluster.name);
  return 'assignment' in discovery ? discovery.assignment : undefined;
}

/** Every endpoint with its part of the requests as long as all are well: the first priority that has any takes them. */
export function explainEndpoints(
  cluster: Cluster,
  assignment: ClusterLoadAssignment | undefined,
): readonly ExplainedEndpoint[] {
  const localities = assignment?.localities ?? [];
  const usable = localities.filter(({ endpoints }) => endpoints.some(isUsable));
  const first = Math.min(...usable.map(({ priority }) => priority));
  const inUse = usable.filter(({ priority }) => priority === first);
  const localityTotal = inUse.reduce((sum, { weight }) => sum + (weight ?? 1), 0);
  return localities.flatMap((group) => {
    const total = group.endpoints.filter(isUsable).reduce((sum, { weight }) => sum + weight, 0);
    const part = inUse.includes(group) ? ((group.weight ?? 1) / localityTotal) * 100 : 0;
    const { region, zone, subZone } = group.locality;
    return group.endpoints.map((one) => ({
      address: one.address.address,
      port: one.address.port,
      priority: group.priority,
      locality: [region, zone, subZone].filter((text) => text !== '').join('/'),
      weight: one.weight,
      health: one.health,
      tls: tlsTo(cluster, one),
      labels: { ...one.metadata['envoy.lb'] },
      chosen: part > 0 && isUsable(one),
      sharePercent: isUsable(one) ? Math.round((part * one.weight * 100) / total) / 100 : 0,
    }));
  });
}

function isUsable({ health }: Endpoint): boolean {
  return health === 'unknown' || health === 'healthy' || health === 'degraded';
}

function tlsTo({ tls, transportSocketMatches }: Cluster, endpoint: Endpoint): ExplainedEndpoint['tls'] {
  const own = transportSocketMatches.find(({ match }) =>
    Object.entries(match).every(([key, value]) => endpoint.transportSocketMatch[key] === value),
  );
  return modeOf(own === undefined ? tls : own.tls);
}

function modeOf(tls: UpstreamTls | undefined): ExplainedEndpoint['tls'] {
  if (tls === undefined) return 'none';
  return tls.mode === 'mesh' || tls.certificate !== undefined || tls.secrets?.certificate !== undefined
    ? 'mutual'
    : 'simple';
}

/** What the client keeps to. */
export function explainPolicy(cluster: Cluster): Omit<ExplainedPolicy, 'server'> {
  return {
    loadBalancer: cluster.lbPolicy,
    circuitBreakers: cluster.circuitBreakers.default,
    outlierDetection: cluster.outlierDetection ?? null,
    tls: cluster.transportSocketMatches.length > 0 ? 'per-endpoint' : modeOf(cluster.tls),
    protocol: cluster.protocol?.kind ?? 'http1',
  };
}
