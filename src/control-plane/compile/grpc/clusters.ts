import { isIP } from 'node:net';
import type { Cluster, OutlierDetection } from '../../../model/cluster.js';
import { DEFAULT_THRESHOLDS } from '../../../model/cluster.js';
import type { ClusterLoadAssignment, LocalityEndpoints } from '../../../model/endpoint.js';
import { NO_METADATA } from '../../../model/metadata.js';

/** A cluster as gRPC clients take it, with the clusters and endpoints that it brings along. */
export interface GrpcCluster {
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
}

/** gRPC clients know EDS, LOGICAL_DNS of one name, and aggregates of those (gRFC A37). */
export function grpcCluster(cluster: Cluster): GrpcCluster {
  const plain = withoutUnknown(cluster);
  const { discovery } = cluster;
  if (discovery.kind !== 'strict-dns') return { clusters: [plain], endpoints: [] };
  const { assignment } = discovery;
  const places = assignment.localities.flatMap((group) =>
    group.endpoints.map((endpoint) => ({ ...group, endpoints: [endpoint] })),
  );
  const addresses = places.flatMap(({ endpoints }) => endpoints.map(({ address }) => address.address));
  if (addresses.every((address) => isIP(address) !== 0)) {
    const eds = { ...plain, discovery: { kind: 'eds' as const, serviceName: cluster.name } };
    return { clusters: [eds], endpoints: [assignment] };
  }
  const byName = (name: string, place: LocalityEndpoints): Cluster => ({
    ...plain,
    name,
    discovery: {
      ...discovery,
      kind: 'logical-dns',
      assignment: { ...assignment, clusterName: name, localities: [{ ...place, priority: 0 }] },
    },
  });
  const [only] = places;
  if (only !== undefined && places.length === 1)
    return { clusters: [byName(cluster.name, only)], endpoints: [] };
  const parts = places.map((place, index) => byName(`${cluster.name}~${index}`, place));
  const aggregate = { kind: 'aggregate' as const, clusters: parts.map(({ name }) => name) };
  return { clusters: [{ ...plain, discovery: aggregate }, ...parts], endpoints: [] };
}

/** What gRPC clients would refuse, or would take for something else. */
function withoutUnknown(cluster: Cluster): Cluster {
  const { name, discovery, lbPolicy, circuitBreakers, outlierDetection, tls } = cluster;
  return {
    name,
    discovery,
    lbPolicy,
    connectTimeoutMs: cluster.connectTimeoutMs,
    circuitBreakers: {
      default: { ...DEFAULT_THRESHOLDS, maxRequests: circuitBreakers.default.maxRequests },
      high: DEFAULT_THRESHOLDS,
    },
    outlierDetection: outlierDetection && statistical(outlierDetection),
    // Istio: mTLS where a DestinationRule asks for it. Certificates of other kinds are the application's, with its
    // channel credentials; and gRPC refuses a choice by endpoint (gRFC A29).
    tls: tls?.mode === 'mesh' ? tls : undefined,
    transportSocketMatches: [],
    panicThresholdPercent: cluster.panicThresholdPercent,
    idleTimeoutMs: cluster.idleTimeoutMs,
    maxRequestsPerConnection: 0,
    metadata: NO_METADATA,
  };
}

/** gRFC A50: gRPC ejects by statistics alone, and without those there is nothing to say. */
function statistical(detection: OutlierDetection): OutlierDetection | undefined {
  const { successRate, failurePercentage } = detection;
  return successRate.enforcingPercent > 0 || failurePercentage.enforcingPercent > 0 ? detection : undefined;
}

/** A cluster without endpoints: calls to it fail at once. */
export function emptyCluster(name: string): GrpcCluster {
  const cluster: Cluster = {
    name,
    discovery: { kind: 'eds', serviceName: name },
    lbPolicy: { kind: 'round-robin' },
    connectTimeoutMs: 10_000,
    circuitBreakers: { default: DEFAULT_THRESHOLDS, high: DEFAULT_THRESHOLDS },
    outlierDetection: undefined,
    tls: undefined,
    transportSocketMatches: [],
    panicThresholdPercent: 50,
    idleTimeoutMs: 3_600_000,
    maxRequestsPerConnection: 0,
    metadata: NO_METADATA,
  };
  const assignment: ClusterLoadAssignment = {
    clusterName: name,
    localities: [],
    overprovisioningFactor: 140,
    weightedPriorityHealth: false,
  };
  return { clusters: [cluster], endpoints: [assignment] };
}
