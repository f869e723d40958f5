import type { JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { CLUSTER } from '../../../src/codec/resource-types.js';
import { clusterWith, decoded, refusal } from './wire.js';

const TYPE = 'type.googleapis.com/envoy.extensions.load_balancing_policies';

const list = (...configs: JsonValue[]): Record<string, JsonValue> => ({
  policies: configs.map((typedConfig) => ({ typedExtensionConfig: { name: 'p', typedConfig } })),
});
const policies = (...configs: JsonValue[]): Record<string, JsonValue> => ({
  loadBalancingPolicy: list(...configs),
});
const random = { '@type': `${TYPE}.random.v3.Random` };
const policyOf = (fields: Record<string, JsonValue>) => decoded(CLUSTER, clusterWith(fields)).lbPolicy;
const refused = (fields: Record<string, JsonValue>) => refusal(CLUSTER, clusterWith(fields));

describe('subsets', () => {
  const settings = {
    fallbackPolicy: 'DEFAULT_SUBSET',
    defaultSubset: { version: 'v1', n: 1 },
    subsetSelectors: [
      { keys: ['version'], fallbackPolicy: 'NO_FALLBACK' },
      { keys: [] },
      { keys: ['version', 'stage'], fallbackPolicy: 'KEYS_SUBSET', fallbackKeysSubset: ['stage'] },
      { keys: ['stage'], singleHostPerSubset: true },
    ],
    localityWeightAware: true,
    scaleLocalityWeight: true,
    panicModeAny: true,
    listAsAny: true,
    metadataFallbackPolicy: 'FALLBACK_LIST',
  };
  const model = {
    kind: 'subset',
    fallback: 'default-subset',
    defaultSubset: { version: 'v1', n: 1 },
    selectors: [
      { keys: ['version'], fallback: 'none', fallbackKeys: [], singleHostPerSubset: false },
      {
        keys: ['stage', 'version'],
        fallback: 'keys-subset',
        fallbackKeys: ['stage'],
        singleHostPerSubset: false,
      },
      { keys: ['stage'], fallbackKeys: [], singleHostPerSubset: true },
    ],
    localityWeightAware: true,
    scaleLocalityWeight: true,
    panicModeAny: true,
    listAsAny: true,
    fallbackList: true,
    allowRedundantKeys: false,
  };

  test('have all settings in the older form', () => {
    const commonLbConfig = { localityWeightedLbConfig: {} };
    expect(policyOf({ lbPolicy: 'RANDOM', lbSubsetConfig: settings, commonLbConfig })).toEqual({
      ...model,
      child: { kind: 'random', locality: { kind: 'weighted' } },
    });
  });

  test('have all settings in the newer form', () => {
    const subset = {
      '@type': `${TYPE}.subset.v3.Subset`,
      ...settings,
      allowRedundantKeys: true,
      subsetLbPolicy: list({ '@type': 'type.googleapis.com/google.protobuf.Empty' }, random),
    };
    expect(policyOf(policies(subset))).toEqual({
      ...model,
      allowRedundantKeys: true,
      child: { kind: 'random' },
    });
  });

  test('have the defaults of Envoy', () => {
    const expected = {
      kind: 'subset',
      fallback: 'none',
      defaultSubset: {},
      selectors: [{ keys: ['v'], fallbackKeys: [], singleHostPerSubset: false }],
      localityWeightAware: false,
      scaleLocalityWeight: false,
      panicModeAny: false,
      listAsAny: false,
      fallbackList: false,
      allowRedundantKeys: false,
    };
    const subsetSelectors = [{ keys: ['v'] }];
    expect(policyOf({ lbSubsetConfig: { subsetSelectors } })).toEqual({
      ...expected,
      child: { kind: 'round-robin' },
    });
    const subset = { '@type': `${TYPE}.subset.v3.Subset`, subsetSelectors, subsetLbPolicy: list(random) };
    expect(policyOf(policies(subset))).toEqual({ ...expected, child: { kind: 'random' } });
  });

  test('are off in the older form without selectors', () => {
    expect(policyOf({ lbPolicy: 'RANDOM', lbSubsetConfig: { panicModeAny: true } })).toEqual({
      kind: 'random',
    });
  });

  const selector = (more: Record<string, JsonValue>) => ({
    lbSubsetConfig: { subsetSelectors: [{ keys: ['a', 'b'], ...more }] },
  });

  test.each([
    ['fallback keys without KEYS_SUBSET', selector({ fallbackKeysSubset: ['a'] }), 'only with KEYS_SUBSET'],
    ['no fallback keys', selector({ fallbackPolicy: 'KEYS_SUBSET' }), 'must not be empty'],
    [
      'other fallback keys',
      selector({ fallbackPolicy: 'KEYS_SUBSET', fallbackKeysSubset: ['c'] }),
      'must be a subset',
    ],
    [
      'all keys as fallback',
      selector({ fallbackPolicy: 'KEYS_SUBSET', fallbackKeysSubset: ['b', 'a'] }),
      'must not be equal',
    ],
    ['an unknown fallback', { lbSubsetConfig: { fallbackPolicy: 9 } }, 'fallback_policy: has no value 9'],
    ["an unknown selector's fallback", selector({ fallbackPolicy: 9 }), 'has no value 9'],
    ['an unknown fallback of metadata', { lbSubsetConfig: { metadataFallbackPolicy: 2 } }, 'has no value 2'],
    [
      'a kind that provides its hosts',
      { lbPolicy: 'CLUSTER_PROVIDED', lbSubsetConfig: {} },
      'lb_subset_config: cannot be combined',
    ],
    [
      'weights of localities that do not count',
      { lbSubsetConfig: { localityWeightAware: true } },
      'requires a locality_weighted_lb_config',
    ],
    [
      'both forms',
      { ...policies(random), lbSubsetConfig: {} },
      'lb_subset_config: cannot be combined with load_balancing_policy',
    ],
    ['no policy within', policies({ '@type': `${TYPE}.subset.v3.Subset` }), 'subset_lb_policy: is required'],
    [
      'a policy within that is none',
      policies({
        '@type': `${TYPE}.subset.v3.Subset`,
        subsetLbPolicy: list({ '@type': `${TYPE}.cluster_provided.v3.ClusterProvided` }),
      }),
      'must not be cluster_provided',
    ],
  ])('with %s are refused', (_, fields, message) => {
    expect(refused(fields)).toContain(message);
  });
});

describe('the older fields next to a list of policies', () => {
  test.each([
    ['zone_aware_lb_config', { zoneAwareLbConfig: {} }],
    ['locality_weighted_lb_config', { localityWeightedLbConfig: {} }],
    ['consistent_hashing_lb_config', { consistentHashingLbConfig: {} }],
  ])('%s is refused', (field, commonLbConfig) => {
    expect(refused({ ...policies(random), commonLbConfig })).toContain(
      `common_lb_config.${field}: cannot be combined`,
    );
  });
});

describe('override_host', () => {
  const metadata = { key: 'envoy.lb', path: [{ key: 'to' }, { key: 'host' }] };
  const override = (more: Record<string, JsonValue>) =>
    policies({
      '@type': `${TYPE}.override_host.v3.OverrideHost`,
      overrideHostSources: [{ header: 'X-To' }],
      fallbackPolicy: list(random),
      ...more,
    });

  test('has sources, a place for the answer and a fallback policy', () => {
    const overrideHostSources = [{ header: 'X-To' }, { metadata }];
    expect(policyOf(override({ overrideHostSources, selectedHostKey: metadata }))).toEqual({
      kind: 'override-host',
      sources: [
        { kind: 'header', name: 'x-to' },
        { kind: 'metadata', path: { namespace: 'envoy.lb', keys: ['to', 'host'] } },
      ],
      selectedHostKey: { namespace: 'envoy.lb', keys: ['to', 'host'] },
      child: { kind: 'random' },
    });
  });

  test.each([
    ['no sources', { overrideHostSources: [] }, 'override_host_sources: must not be empty'],
    ['an empty source', { overrideHostSources: [{}] }, 'must have a header or metadata'],
    ['a source of two kinds', { overrideHostSources: [{ header: 'x', metadata }] }, 'must not have both'],
    ['no fallback policy', { fallbackPolicy: null }, 'fallback_policy: is required'],
    ['an unknown fallback policy', { fallbackPolicy: { policies: [] } }, 'none of [] is supported'],
  ])('with %s is refused', (_, more, message) => {
    expect(refused(override(more))).toContain(message);
  });
});

describe('pick_first and wrr_locality', () => {
  const first = { '@type': `${TYPE}.pick_first.v3.PickFirst`, shuffleAddressList: true };
  const byLocality = (...configs: JsonValue[]) =>
    policies({ '@type': `${TYPE}.wrr_locality.v3.WrrLocality`, endpointPickingPolicy: list(...configs) });

  test('pick_first may shuffle', () => {
    expect(policyOf(policies(first))).toEqual({ kind: 'pick-first', shuffle: true });
    expect(policyOf(policies({ '@type': `${TYPE}.pick_first.v3.PickFirst` }))).toMatchObject({
      shuffle: false,
    });
  });

  test('wrr_locality chooses the locality by weight for the policy within', () => {
    const locality = { kind: 'weighted' };
    expect(policyOf(byLocality(random))).toEqual({ kind: 'random', locality });
    expect(policyOf(byLocality(first))).toEqual({ kind: 'pick-first', shuffle: true, locality });
    expect(policyOf(byLocality({ '@type': `${TYPE}.least_request.v3.LeastRequest` }))).toMatchObject({
      kind: 'least-request',
      locality,
    });
  });

  test('wrr_locality refuses policies that place requests themselves', () => {
    expect(refused(byLocality({ '@type': `${TYPE}.ring_hash.v3.RingHash` }))).toContain(
      'endpoint_picking_policy: ring-hash is not supported here',
    );
    expect(refused(policies({ '@type': `${TYPE}.wrr_locality.v3.WrrLocality` }))).toContain(
      'endpoint_picking_policy: is required',
    );
  });

  test('policies nest sixteen deep at most', () => {
    let config: JsonValue = random;
    for (let depth = 1; depth < 16; depth++) {
      config = { '@type': `${TYPE}.subset.v3.Subset`, subsetLbPolicy: list(config) };
    }
    expect(policyOf(policies(config)).kind).toBe('subset');
    const deeper = { '@type': `${TYPE}.subset.v3.Subset`, subsetLbPolicy: list(config) };
    expect(refused(policies(deeper))).toContain('nested too deep');
  });
});

describe('hash policies of a load balancing policy', () => {
  const hashing = (...hashPolicy: JsonValue[]) => [
    policies({ '@type': `${TYPE}.ring_hash.v3.RingHash`, consistentHashingLbConfig: { hashPolicy } }),
    policies({ '@type': `${TYPE}.maglev.v3.Maglev`, consistentHashingLbConfig: { hashPolicy } }),
  ];

  test('are those of a route', () => {
    for (const fields of hashing({ header: { headerName: 'X-User' }, terminal: true })) {
      expect(policyOf(fields)).toMatchObject({
        hashPolicies: [{ source: { kind: 'header', name: 'x-user' }, terminal: true }],
      });
    }
  });

  test('that say nothing still replace those of the route', () => {
    for (const fields of hashing({ connectionProperties: {} })) {
      expect(policyOf(fields)).toMatchObject({ hashPolicies: [] });
    }
    for (const fields of hashing()) expect(policyOf(fields)).not.toHaveProperty('hashPolicies');
  });
});

describe('override_host_status', () => {
  test('says which healths a host may have that is asked for', () => {
    const status = (overrideHostStatus: JsonValue) =>
      decoded(CLUSTER, clusterWith({ commonLbConfig: { overrideHostStatus } })).overrideHostStatuses;
    expect(status({ statuses: ['HEALTHY', 'DRAINING'] })).toEqual(['healthy', 'draining']);
    expect(status({})).toEqual([]);
    expect(decoded(CLUSTER, clusterWith({ commonLbConfig: {} })).overrideHostStatuses).toBeUndefined();
    expect(refused({ commonLbConfig: { overrideHostStatus: { statuses: [9] } } })).toContain(
      'override_host_status.statuses[0]: has no value 9',
    );
  });
});
