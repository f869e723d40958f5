import { expect, test } from 'vitest';
import { createFilterMemory } from '../../../src/filters/filter-memory.js';
import { renderFilters } from '../../../src/mesh/filter-metrics.js';

test('figures of filters have Envoy’s names and labels', () => {
  const memory = createFilterMemory();
  [
    'fault.delays_injected',
    'fault.active_faults',
    'in.bound.http_local_rate_limit.rate_limited',
    'rbac.allowed',
    'rbac.strict.shadow_denied',
    'rbac.strict.policy.allow.all.allowed',
    'cluster.outbound|80||a.b.ratelimit.over_limit',
    'cluster.c.ratelimit.edge.ok',
    'custom:acme.Key/refused',
    'custom:"odd"/rate limited',
  ].forEach((name, index) => {
    memory.counter(name).value = index;
  });
  expect(renderFilters(memory.counters).split('\n')).toEqual([
    '# TYPE envoy_cluster_ratelimit_edge_ok counter',
    'envoy_cluster_ratelimit_edge_ok{envoy_cluster_name="c"} 7',
    '# TYPE envoy_cluster_ratelimit_over_limit counter',
    'envoy_cluster_ratelimit_over_limit{envoy_cluster_name="outbound|80||a.b"} 6',
    '# TYPE envoy_http_fault_active_faults gauge',
    'envoy_http_fault_active_faults 1',
    '# TYPE envoy_http_fault_delays_injected counter',
    'envoy_http_fault_delays_injected 0',
    '# TYPE envoy_http_local_rate_limit_rate_limited counter',
    'envoy_http_local_rate_limit_rate_limited{envoy_local_http_ratelimit_prefix="in.bound"} 2',
    '# TYPE envoy_http_rbac_allowed counter',
    'envoy_http_rbac_allowed 3',
    '# TYPE envoy_http_rbac_policy_allowed counter',
    'envoy_http_rbac_policy_allowed{envoy_rbac_http_prefix="strict",envoy_rbac_policy_name="allow.all"} 5',
    '# TYPE envoy_http_rbac_shadow_denied counter',
    'envoy_http_rbac_shadow_denied{envoy_rbac_http_prefix="strict"} 4',
    '# TYPE inmesh_filter_rate_limited counter',
    'inmesh_filter_rate_limited{inmesh_filter="\\"odd\\""} 9',
    '# TYPE inmesh_filter_refused counter',
    'inmesh_filter_refused{inmesh_filter="acme.Key"} 8',
    '',
  ]);
});
