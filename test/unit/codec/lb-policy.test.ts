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
