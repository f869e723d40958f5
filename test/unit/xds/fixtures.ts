import type { Cluster } from '../../../src/model/cluster.js';
import { DEFAULT_THRESHOLDS } from '../../../src/model/cluster.js';
import { type ClusterLoadAssignment, NO_LOCALITY } from '../../../src/model/endpoint.js';
import { NO_OVERRIDES } from '../../../src/model/filter-config.js';
import type { OutboundListener } from '../../../src/model/listener.js';
import type { RouteConfiguration } from '../../../src/model/route.js';

/** An outbound listener whose routes come by RDS. */
export function listenerOf(name: string, routes: string): OutboundListener {
  return {
    kind: 'outbound',
    name,
    http: {
      routes: { kind: 'rds', name: routes },
      filters: [{ name: 'router', config: { kind: 'router' } }],
    },
  };
}

/** A route table that sends everything to one cluster, or splits it evenly. */
export function routesTo(name: string, ...clusters: string[]): RouteConfiguration {
  return {
    name,
    virtualHosts: [
      {
        name,
        domains: ['*'],
        retryPolicy: undefined,
        filterOverrides: NO_OVERRIDES,
        includeRequestAttemptCount: false,
        routes: [
          {
            name: '',
            match: {
              path: { kind: 'prefix', value: '/', caseSensitive: true },
              headers: [],
              queryParameters: [],
              runtimeFraction: undefined,
              grpcOnly: false,
            },
            action: {
              kind: 'forward',
              cluster: {
                kind: 'weighted',
                clusters: clusters.map((cluster) => ({
                  name: cluster,
                  weight: 1,
                  filterOverrides: NO_OVERRIDES,
                })),
                totalWeight: clusters.length,
              },
              timeoutMs: 0,
              retryPolicy: undefined,
              maxStreamDurationMs: undefined,
              priority: 'default',
            },
            filterOverrides: NO_OVERRIDES,
          },
        ],
      },
    ],
  };
}

/** An EDS cluster. */
export function clusterOf(name: string, serviceName = name): Cluster {
  return {
    name,
    discovery: { kind: 'eds', serviceName },
    lbPolicy: { kind: 'round-robin' },
    connectTimeoutMs: 1000,
    circuitBreakers: { default: DEFAULT_THRESHOLDS, high: DEFAULT_THRESHOLDS },
    outlierDetection: undefined,
    tls: undefined,
    transportSocketMatches: [],
    panicThresholdPercent: 50,
    idleTimeoutMs: 3_600_000,
    maxRequestsPerConnection: 0,
    metadata: {},
  };
}

/** An assignment with one locality and an endpoint per port. */
export function assignmentOf(clusterName: string, ...ports: number[]): ClusterLoadAssignment {
  return {
    clusterName,
    overprovisioningFactor: 140,
    weightedPriorityHealth: false,
    localities: [
      {
        locality: NO_LOCALITY,
        priority: 0,
        weight: undefined,
        metadata: {},
        endpoints: ports.map((port) => ({
          address: { address: '127.0.0.1', port },
          hostname: '',
          health: 'unknown',
          weight: 1,
          transportSocketMatch: {},
          metadata: {},
        })),
      },
    ],
  };
}
