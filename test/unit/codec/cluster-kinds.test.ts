import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { CLUSTER } from '../../../src/codec/resource-types.js';
import { decoded, refusal } from './wire.js';

const PASSTHROUGH: JsonObject = {
  name: 'PassthroughCluster',
  type: 'ORIGINAL_DST',
  lbPolicy: 'CLUSTER_PROVIDED',
};
const AGGREGATE = 'type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig';

function aggregate(config: JsonObject): JsonValue {
  return {
    name: 'all',
    lbPolicy: 'CLUSTER_PROVIDED',
    clusterType: { name: 'envoy.clusters.aggregate', typedConfig: { '@type': AGGREGATE, ...config } },
  };
}

describe('a cluster of original destinations', () => {
  test('has the defaults of Envoy', () => {
    expect(decoded(CLUSTER, PASSTHROUGH).discovery).toEqual({
      kind: 'original-dst',
      header: undefined,
      metadata: undefined,
      port: undefined,
      cleanupIntervalMs: 5000,
    });
  });

  test.each<[JsonObject, string | undefined]>([
    [{ useHttpHeader: true }, 'x-envoy-original-dst-host'],
    [{ useHttpHeader: true, httpHeaderName: 'X-To' }, 'x-to'],
    [{ httpHeaderName: 'x-to' }, undefined],
  ])('%j reads the header %s', (originalDstLbConfig, header) => {
    expect(decoded(CLUSTER, { ...PASSTHROUGH, originalDstLbConfig }).discovery).toMatchObject({ header });
  });

  test.each<[string, JsonObject, string]>([
    ['endpoints', { loadAssignment: { clusterName: 'x' } }, 'load_assignment: must not be set'],
    [
      'a port beyond all ports',
      { originalDstLbConfig: { upstreamPortOverride: 65_536 } },
      'original_dst_lb_config.upstream_port_override: must be at most 65535',
    ],
    ['health checks', { healthChecks: [{}] }, 'health_checks: are not supported'],
  ])('is refused with %s', (_what, more, message) => {
    expect(refusal(CLUSTER, { ...PASSTHROUGH, ...more })).toContain(message);
  });
});

describe('an aggregate cluster', () => {
  test('names its members', () => {
    expect(decoded(CLUSTER, aggregate({ clusters: ['a', 'b'] })).discovery).toEqual({
      kind: 'aggregate',
      clusters: ['a', 'b'],
    });
  });

  test('is refused without members', () => {
    expect(refusal(CLUSTER, aggregate({}))).toContain(
      'cluster_type.typed_config.clusters: must not be empty',
    );
  });

  test('another type is refused', () => {
    const redis = { name: 'x', typedConfig: { '@type': 'type.googleapis.com/google.protobuf.Empty' } };
    expect(refusal(CLUSTER, { name: 'x', lbPolicy: 'CLUSTER_PROVIDED', clusterType: redis })).toContain(
      'cluster_type.typed_config: the cluster type',
    );
  });
});
