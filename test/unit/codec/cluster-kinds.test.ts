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

describe('a cluster by DNS in its newer form', () => {
  const DNS = 'type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster';
  const address = { socketAddress: { address: 'db.example', portValue: 5432 } };
  const dns = (config: JsonObject, more: JsonObject = {}): JsonValue => ({
    name: 'db',
    clusterType: { name: 'envoy.clusters.dns', typedConfig: { '@type': DNS, ...config } },
    loadAssignment: { clusterName: 'db', endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }] },
    ...more,
  });

  test('has the defaults of Envoy', () => {
    expect(decoded(CLUSTER, dns({})).discovery).toMatchObject({
      kind: 'strict-dns',
      refreshRateMs: 5000,
      failureRefresh: undefined,
      respectsTtl: undefined,
      lookupFamily: undefined,
      jitterMs: undefined,
    });
  });

  test('says all that the older fields say', () => {
    const config = {
      dnsRefreshRate: '7s',
      dnsFailureRefreshRate: { baseInterval: '1s' },
      respectDnsTtl: true,
      dnsJitter: '2s',
      dnsLookupFamily: 'V4_PREFERRED',
      allAddressesInSingleEndpoint: true,
    };
    expect(decoded(CLUSTER, dns(config)).discovery).toMatchObject({
      kind: 'logical-dns',
      refreshRateMs: 7000,
      failureRefresh: { baseMs: 1000, maxMs: 10_000 },
      respectsTtl: true,
      lookupFamily: 'v4-preferred',
      jitterMs: 2000,
    });
  });

  test.each([
    ['AUTO', undefined],
    ['V4_ONLY', 'v4-only'],
    ['V6_ONLY', 'v6-only'],
    ['ALL', 'all'],
  ])('looks up %s', (dnsLookupFamily, lookupFamily) => {
    expect(decoded(CLUSTER, dns({ dnsLookupFamily })).discovery).toMatchObject({ lookupFamily });
  });

  test.each<[string, JsonValue, string]>([
    [
      'a resolver',
      dns({ typedDnsResolverConfig: { name: 'x' } }),
      'typed_dns_resolver_config: is not supported',
    ],
    [
      'two endpoints in one',
      dns(
        { allAddressesInSingleEndpoint: true },
        {
          loadAssignment: {
            clusterName: 'db',
            endpoints: [{ lbEndpoints: [{ endpoint: { address } }, { endpoint: { address } }] }],
          },
        },
      ),
      'must have one locality with one endpoint',
    ],
    [
      'a policy that provides none',
      dns({}, { lbPolicy: 'CLUSTER_PROVIDED' }),
      'must not be CLUSTER_PROVIDED',
    ],
  ])('is refused with %s', (_what, config, message) => {
    expect(refusal(CLUSTER, config)).toContain(message);
  });
});
