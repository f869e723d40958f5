import { describe, expect, test } from 'vitest';
import type { ResponseFlag } from '../../../src/service/context.js';
import { createMetrics } from '../../../src/telemetry/metrics.js';
import { makeRequest } from '../filters/support.js';

const OWN = {
  workload: 'productpage',
  namespace: 'default',
  canonicalService: 'productpage',
  canonicalRevision: 'v1',
  app: 'productpage',
  version: 'v1',
  cluster: 'Kubernetes',
};

function record(statuses: readonly [number, readonly ResponseFlag[]][], durationMs = 3): string {
  const metrics = createMetrics({
    workload: OWN,
    principal: () => 'spiffe://cluster.local/ns/default/sa/productpage',
  });
  for (const [status, flags] of statuses) {
    const request = makeRequest();
    request.context.clusterName = 'outbound|9080|v1|reviews.default.svc.cluster.local';
    request.context.flags = [...flags];
    metrics.exchange?.(request, { status, error: undefined, durationMs, response: undefined });
  }
  return metrics.render();
}

describe('metrics', () => {
  test('requests are counted by status and flags, with Istio’s labels', () => {
    const lines = record([
      [200, []],
      [200, []],
      [503, ['UH']],
    ]).split('\n');
    const counters = lines.filter((line) => line.startsWith('istio_requests_total{'));
    expect(counters).toHaveLength(2);
    expect(counters[0]).toMatch(/response_code="200".* 2$/);
    expect(counters[1]).toMatch(/response_code="503",grpc_response_status="",response_flags="UH".* 1$/);
    for (const label of [
      'reporter="source"',
      'source_workload="productpage"',
      'source_principal="spiffe://cluster.local/ns/default/sa/productpage"',
      'destination_service="reviews.default.svc.cluster.local"',
      'destination_service_name="reviews"',
      'destination_service_namespace="default"',
      'request_protocol="http"',
      'connection_security_policy="unknown"',
    ]) {
      expect(counters[0]).toContain(label);
    }
  });

  test('durations fall into Istio’s cumulative buckets', () => {
    const text = record([[200, []]], 7);
    expect(text).toMatch(/_bucket\{[^}]*le="5"\} 0\n/);
    expect(text).toMatch(/_bucket\{[^}]*le="10"\} 1\n/);
    expect(text).toMatch(/_bucket\{[^}]*le="\+Inf"\} 1\n/);
    expect(text).toMatch(/istio_request_duration_milliseconds_sum\{[^}]*\} 7\n/);
  });

  test('label values are escaped', () => {
    const metrics = createMetrics({
      workload: { ...OWN, workload: 'a"\n\\' },
      principal: () => undefined,
    });
    metrics.exchange?.(makeRequest(), { status: 200, error: undefined, durationMs: 1, response: undefined });
    expect(metrics.render()).toContain('source_workload="a\\"\\n\\\\"');
  });

  test('callers that give themselves ever new names share one series in the end', () => {
    const metrics = createMetrics({ workload: OWN, principal: () => undefined });
    for (let i = 0; i < 5_000; i++) {
      const request = makeRequest();
      request.context.peer = { ...OWN, workload: `caller-${i}` };
      metrics.exchange?.(request, { status: 200, error: undefined, durationMs: 1, response: undefined });
    }
    const counters = metrics.render().match(/^istio_requests_total\{.*$/gm) ?? [];
    expect(counters).toHaveLength(2_001);
    expect(counters.at(-1)).toBe('istio_requests_total{overflow="true"} 3000');
  });
});
