import { create, type JsonObject } from '@bufbuild/protobuf';
import type { ChildPolicy, SubsetFallback, SubsetPolicy, SubsetSelector } from '../model/lb-policy.js';
import { cluster, lbSubset } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

const SETTINGS = [
  'fallback_policy',
  'default_subset',
  'subset_selectors',
  'locality_weight_aware',
  'scale_locality_weight',
  'panic_mode_any',
  'list_as_any',
  'metadata_fallback_policy',
];
const SELECTOR = ['keys', 'single_host_per_subset', 'fallback_policy', 'fallback_keys_subset'];

const subsetFields = onlyFields(() => lbSubset.SubsetSchema, {
  enforced: [...SETTINGS, 'allow_redundant_keys', 'subset_lb_policy'],
});
const selectorFields = onlyFields(() => lbSubset.Subset_LbSubsetSelectorSchema, { enforced: SELECTOR });
const legacySubsetFields = onlyFields(() => cluster.Cluster_LbSubsetConfigSchema, { enforced: SETTINGS });
const legacySelectorFields = onlyFields(() => cluster.Cluster_LbSubsetConfig_LbSubsetSelectorSchema, {
  enforced: SELECTOR,
});

/** By number; both forms of the message have the same ones. */
const FALLBACKS: readonly SubsetFallback[] = ['none', 'any-endpoint', 'default-subset'];
const SELECTOR_FALLBACKS: readonly SubsetSelector['fallback'][] = [
  undefined,
  'none',
  'any-endpoint',
  'default-subset',
  'keys-subset',
];

/** What both forms of the message have. */
interface SubsetMessage {
  readonly fallbackPolicy: number;
  readonly defaultSubset?: JsonObject | undefined;
  readonly subsetSelectors: readonly SelectorMessage[];
  readonly localityWeightAware: boolean;
  readonly scaleLocalityWeight: boolean;
  readonly panicModeAny: boolean;
  readonly listAsAny: boolean;
  readonly metadataFallbackPolicy: number;
}

interface SelectorMessage {
  readonly keys: readonly string[];
  readonly fallbackPolicy: number;
  readonly fallbackKeysSubset: readonly string[];
  readonly singleHostPerSubset: boolean;
}

/** The policy of the list of extensions, around what its `subset_lb_policy` says. */
export function decodeSubset(message: lbSubset.Subset, child: ChildPolicy, path: Path): SubsetPolicy {
  subsetFields(message, path);
  for (const [i, one] of message.subsetSelectors.entries()) {
    selectorFields(one, at(path, 'subset_selectors', i));
  }
  const { allowRedundantKeys } = message;
  return { kind: 'subset', ...settingsOf(message, path), allowRedundantKeys, child };
}

/** The cluster's `lb_subset_config` around its older policy. Envoy: without selectors it is off. */
export function decodeLegacySubset(
  config: cluster.Cluster_LbSubsetConfig | undefined,
  child: ChildPolicy,
  path: Path,
): ChildPolicy {
  if (config === undefined) return child;
  legacySubsetFields(config, path);
  const settings = settingsOf(config, path);
  if (config.subsetSelectors.length === 0) return child;
  for (const [i, one] of config.subsetSelectors.entries()) {
    legacySelectorFields(one, at(path, 'subset_selectors', i));
  }
  return { kind: 'subset', ...settings, allowRedundantKeys: false, child };
}

type Settings = Omit<SubsetPolicy, 'kind' | 'child' | 'allowRedundantKeys'>;

function settingsOf(message: SubsetMessage, path: Path): Settings {
  const { fallbackPolicy, metadataFallbackPolicy } = message;
  if (metadataFallbackPolicy > 1) {
    refuse(at(path, 'metadata_fallback_policy'), `has no value ${metadataFallbackPolicy}`);
  }
  return {
    fallback:
      FALLBACKS[fallbackPolicy] ?? refuse(at(path, 'fallback_policy'), `has no value ${fallbackPolicy}`),
    defaultSubset: message.defaultSubset ?? {},
    // Envoy passes over selectors without keys.
    selectors: message.subsetSelectors.flatMap((selector, i) =>
      selector.keys.length === 0 ? [] : [decodeSelector(selector, at(path, 'subset_selectors', i))],
    ),
    localityWeightAware: message.localityWeightAware,
    scaleLocalityWeight: message.scaleLocalityWeight,
    panicModeAny: message.panicModeAny,
    listAsAny: message.listAsAny,
    fallbackList: metadataFallbackPolicy === 1,
  };
}

function decodeSelector(message: SelectorMessage, path: Path): SubsetSelector {
  const { fallbackPolicy, singleHostPerSubset } = message;
  if (fallbackPolicy >= SELECTOR_FALLBACKS.length) {
    refuse(at(path, 'fallback_policy'), `has no value ${fallbackPolicy}`);
  }
  const fallback = SELECTOR_FALLBACKS[fallbackPolicy];
  const keys = [...new Set(message.keys)].sort();
  const fallbackKeys = [...new Set(message.fallbackKeysSubset)].sort();
  const keysPath = at(path, 'fallback_keys_subset');
  // Envoy: a fallback to other keys must have fewer of the selector's own, or it would never end.
  if (fallback !== 'keys-subset') {
    if (fallbackKeys.length > 0) refuse(keysPath, 'can be set only with KEYS_SUBSET');
  } else if (fallbackKeys.length === 0) {
    refuse(keysPath, 'must not be empty');
  } else if (!fallbackKeys.every((key) => keys.includes(key))) {
    refuse(keysPath, 'must be a subset of the keys');
  } else if (fallbackKeys.length === keys.length) {
    refuse(keysPath, 'must not be equal to the keys');
  }
  return { keys, fallback, fallbackKeys, singleHostPerSubset };
}

/** The policy as an extension's message, around the list that says the policy within. */
export function encodeSubset(policy: SubsetPolicy, child: cluster.LoadBalancingPolicy): lbSubset.Subset {
  return create(lbSubset.SubsetSchema, {
    fallbackPolicy: FALLBACKS.indexOf(policy.fallback),
    // A Struct of the model is a JSON object that nobody changes.
    defaultSubset: policy.defaultSubset as JsonObject,
    subsetSelectors: policy.selectors.map(({ keys, fallback, fallbackKeys, singleHostPerSubset }) => ({
      keys: [...keys],
      fallbackPolicy: SELECTOR_FALLBACKS.indexOf(fallback),
      fallbackKeysSubset: [...fallbackKeys],
      singleHostPerSubset,
    })),
    localityWeightAware: policy.localityWeightAware,
    scaleLocalityWeight: policy.scaleLocalityWeight,
    panicModeAny: policy.panicModeAny,
    listAsAny: policy.listAsAny,
    metadataFallbackPolicy: policy.fallbackList ? 1 : 0,
    allowRedundantKeys: policy.allowRedundantKeys,
    subsetLbPolicy: child,
  });
}
