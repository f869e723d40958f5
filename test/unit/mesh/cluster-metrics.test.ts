import { expect, test } from 'vitest';
import type { ClusterStats, HostStats } from '../../../src/cluster/cluster-stats.js';
import { renderClusters } from '../../../src/mesh/cluster-metrics.js';
import { NO_LOCALITY } from '../../../src/model/endpoint.js';

const IDLE = { activeRequests: 0, requestOverflows: 0, activeRetries: 0, retryOverflows: 0 };

function hostStats(change: Partial<HostStats>): HostStats {
  return {
    address: '10.0.0.1:80',
    health: 'healthy',
    healthFlags: [],
    usable: true,
    ejected: false,
    successRate: -1,
    localOriginSuccessRate: -1,
    locality: NO_LOCALITY,
    priority: 0,
    weight: 1,
    activeRequests: 0,
    requests: 0,
    successes: 0,
    failures: 0,
    errors: 0,
    ...change,
  };
}

test('clusters show Envoy’s figures by Envoy’s names', () => {
  const cluster: ClusterStats = {
    name: 'outbound|80||reviews "x"',
    healthChecks: undefined,
    drops: {},
    connections: { active: 5, overflows: 1 },
    hosts: [
      hostStats({ activeRequests: 2 }),
      hostStats({ health: 'degraded', activeRequests: 1 }),
      hostStats({ ejected: true }),
      hostStats({ health: 'unhealthy' }),
    ],
    breakers: { default: { ...IDLE, activeRequests: 3, requestOverflows: 7 }, high: IDLE },
    outliers: {
      ejectionsActive: 1,
      ejectionsOverflow: 4,
      detected: { Consecutive5xx: 9 },
      enforced: { Consecutive5xx: 2, SuccessRate: 3 },
      successRate: { average: -1, threshold: -1 },
      localOriginSuccessRate: { average: -1, threshold: -1 },
    },
  };
  const text = renderClusters([cluster, { ...cluster, name: 'plain', outliers: undefined }]);
  const value = (name: string) =>
    text
      .split('\n')
      .find((line) => line.startsWith(`${name}{envoy_cluster_name="outbound|80||reviews \\"x\\""}`))
      ?.split('} ')[1];
  expect(value('envoy_cluster_membership_total')).toBe('4');
  expect(value('envoy_cluster_membership_healthy')).toBe('1');
  expect(value('envoy_cluster_membership_degraded')).toBe('1');
  expect(value('envoy_cluster_upstream_rq_active')).toBe('3');
  expect(value('envoy_cluster_outlier_detection_ejections_active')).toBe('1');
  expect(value('envoy_cluster_outlier_detection_ejections_overflow')).toBe('4');
  expect(value('envoy_cluster_outlier_detection_ejections_enforced_total')).toBe('5');
  expect(value('envoy_cluster_circuit_breakers_default_rq_active')).toBe('3');
  expect(value('envoy_cluster_circuit_breakers_default_rq_overflow')).toBe('7');
  // Without outlier detection there are no figures of it.
  expect(text).not.toContain('ejections_active{envoy_cluster_name="plain"}');
  // Prometheus wants the type once, before the samples.
  expect(text.match(/# TYPE envoy_cluster_membership_total gauge\n/g)).toHaveLength(1);
});

test('no clusters, no lines', () => {
  expect(renderClusters([])).toBe('');
});
