import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { CLUSTER } from '../../../src/codec/resource-types.js';
import { decoded, refusal } from './wire.js';

const TYPE = 'type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig';
const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

function proxy(config: JsonObject, more: JsonObject = {}): JsonObject {
  return {
    name: 'proxy',
    lbPolicy: 'CLUSTER_PROVIDED',
    clusterType: {
      name: 'envoy.clusters.dynamic_forward_proxy',
      typedConfig: { '@type': TYPE, ...config },
    },
    ...more,
  };
}
const cache = (config: JsonObject = {}): JsonObject => ({ dnsCacheConfig: { name: 'c', ...config } });
const options = (upstreamHttpProtocolOptions: JsonObject): JsonObject => ({
  typedExtensionProtocolOptions: {
    [OPTIONS]: {
      '@type': `type.googleapis.com/${OPTIONS}`,
      explicitHttpConfig: { httpProtocolOptions: {} },
      upstreamHttpProtocolOptions,
    },
  },
});

describe('a dynamic forward proxy', () => {
  test('has the defaults of Envoy', () => {
    expect(decoded(CLUSTER, proxy(cache()))).toMatchObject({
      discovery: {
        kind: 'forward-proxy',
        cache: {
          name: 'c',
          lookupFamily: undefined,
          refreshRateMs: 60_000,
          minRefreshRateMs: 5000,
          failureRefresh: undefined,
          hostTtlMs: 300_000,
          maxHosts: 1024,
          maxPendingRequests: 1024,
          preresolve: [],
          queryTimeoutMs: 5000,
        },
        allowInsecure: false,
      },
      autoSni: true,
      autoSanValidation: true,
    });
  });

  test('may do without names in TLS where that is allowed', () => {
    const insecure = proxy({ ...cache(), allowInsecureClusterOptions: true }, options({ autoSni: true }));
    expect(decoded(CLUSTER, insecure)).toMatchObject({ autoSni: true });
    expect(decoded(CLUSTER, insecure).autoSanValidation).toBeUndefined();
  });

  test.each<[string, JsonObject, string]>([
    ['no cache', proxy({}), 'dns_cache_config: is required'],
    ['sub-clusters', proxy({ subClustersConfig: {} }), 'sub_clusters_config: is not supported'],
    ['coalescing', proxy({ ...cache(), allowCoalescedConnections: true }), 'allow_coalesced_connections'],
    ['a cache without name', proxy({ dnsCacheConfig: {} }), 'dns_cache_config.name: must not be empty'],
    ['room for no host', proxy(cache({ maxHosts: 0 })), 'max_hosts: must be greater than 0'],
    [
      'too short a refresh',
      proxy(cache({ dnsMinRefreshRate: '0.5s' })),
      'dns_min_refresh_rate: must be at least',
    ],
    ['a store', proxy(cache({ keyValueConfig: {} })), 'key_value_config: is not supported'],
    ['a resolver', proxy(cache({ typedDnsResolverConfig: { name: 'x' } })), 'typed_dns_resolver_config'],
    ['another policy', { ...proxy(cache()), lbPolicy: 'RANDOM' }, 'must be CLUSTER_PROVIDED'],
    [
      'endpoints',
      proxy(cache(), { loadAssignment: { clusterName: 'x' } }),
      'load_assignment: must not be set',
    ],
    ['checks', proxy(cache(), { healthChecks: [{}] }), 'health_checks: are not supported'],
    [
      'names that are not checked',
      proxy(cache(), options({ autoSni: true })),
      'needs auto_sni and auto_san_validation',
    ],
  ])('is refused with %s', (_what, config, message) => {
    expect(refusal(CLUSTER, config)).toContain(message);
  });
});
