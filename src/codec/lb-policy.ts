import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import type {
  ChildPolicy,
  LbPolicy,
  LeastRequestPolicy,
  LocalityBalancing,
  RandomPolicy,
  RoundRobinPolicy,
  SubsetPolicy,
} from '../model/lb-policy.js';
import { packAny } from '../proto/any.js';
import {
  cluster,
  type core,
  lbClusterProvided,
  type lbCommon,
  lbLeastRequest,
  lbMaglev,
  lbRandom,
  lbRingHash,
  lbRoundRobin,
  lbSubset,
  type wkt,
} from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { onlyFields } from './field-guard.js';
import {
  decodeLegacyMaglev,
  decodeLegacyRingHash,
  decodeMaglev,
  decodeRingHash,
  encodeMaglev,
  encodeRingHash,
} from './lb-hash.js';
import { decodeLegacyLocality, decodeLocalityBalancing, encodeLocalityBalancing } from './lb-locality.js';
import { decodeLegacySubset, decodeSubset, encodeSubset } from './lb-subset.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeSlowStart, encodeSlowStart } from './slow-start.js';

/** Envoy: two random choices, active requests weigh fully. */
const DEFAULT_CHOICE_COUNT = 2;
const DEFAULT_BIAS = 1;

const roundRobinFields = onlyFields(() => lbRoundRobin.RoundRobinSchema, {
  enforced: ['locality_lb_config', 'slow_start_config'],
});
const randomFields = onlyFields(() => lbRandom.RandomSchema, { enforced: ['locality_lb_config'] });
const leastRequestFields = onlyFields(() => lbLeastRequest.LeastRequestSchema, {
  enforced: [
    'choice_count',
    'active_request_bias',
    'locality_lb_config',
    'selection_method',
    'slow_start_config',
  ],
});

const legacyLeastRequestFields = onlyFields(() => cluster.Cluster_LeastRequestLbConfigSchema, {
  enforced: ['choice_count', 'active_request_bias', 'slow_start_config'],
});
const legacyRoundRobinFields = onlyFields(() => cluster.Cluster_RoundRobinLbConfigSchema, {
  enforced: ['slow_start_config'],
});

/** The policy of a cluster: from the list of extensions when there is one, else from the older fields. */
export function decodeLbPolicy(message: cluster.Cluster, path: Path): LbPolicy {
  if (message.loadBalancingPolicy === undefined) return decodeOlderFields(message, path);
  refuseOlderFields(message, path);
  return decodePolicyList(message.loadBalancingPolicy, at(path, 'load_balancing_policy'));
}

/** Envoy: what would contradict the list must not stand next to it. */
function refuseOlderFields({ lbSubsetConfig, commonLbConfig }: cluster.Cluster, path: Path): void {
  const what = 'cannot be combined with load_balancing_policy';
  if (lbSubsetConfig !== undefined) refuse(at(path, 'lb_subset_config'), what);
  const commonPath = at(path, 'common_lb_config');
  const locality = commonLbConfig?.localityConfigSpecifier.case;
  if (locality === 'zoneAwareLbConfig') refuse(at(commonPath, 'zone_aware_lb_config'), what);
  if (locality === 'localityWeightedLbConfig') refuse(at(commonPath, 'locality_weighted_lb_config'), what);
  if (commonLbConfig?.consistentHashingLbConfig !== undefined) {
    refuse(at(commonPath, 'consistent_hashing_lb_config'), what);
  }
}

function decodeOlderFields(message: cluster.Cluster, path: Path): LbPolicy {
  const { lbSubsetConfig, commonLbConfig } = message;
  const policy = decodeLegacyPolicy(message, path);
  const subsetPath = at(path, 'lb_subset_config');
  if (policy.kind === 'cluster-provided') {
    if (lbSubsetConfig !== undefined) refuse(subsetPath, 'cannot be combined with CLUSTER_PROVIDED');
    return policy;
  }
  const isWeighted = commonLbConfig?.localityConfigSpecifier.case === 'localityWeightedLbConfig';
  if (lbSubsetConfig?.localityWeightAware === true && !isWeighted) {
    refuse(at(subsetPath, 'locality_weight_aware'), 'requires a locality_weighted_lb_config');
  }
  return decodeLegacySubset(lbSubsetConfig, policy, subsetPath);
}

/** The policy inside another one. */
function decodeChild(list: cluster.LoadBalancingPolicy | undefined, path: Path): ChildPolicy {
  const policy = decodePolicyList(required(list, path), path);
  if (policy.kind === 'cluster-provided') refuse(at(path, 'policies'), 'must not be cluster_provided');
  return policy;
}

/** Envoy: the first policy of the list that is known is used. */
function decodePolicyList({ policies }: cluster.LoadBalancingPolicy, path: Path): LbPolicy {
  for (const [index, policy] of policies.entries()) {
    const configPath = at(at(path, 'policies', index), 'typed_extension_config');
    const any = required(policy.typedExtensionConfig?.typedConfig, at(configPath, 'typed_config'));
    const known = decodeExtension(any, at(configPath, 'typed_config'));
    if (known !== undefined) return known;
  }
  const names = policies.map(({ typedExtensionConfig }) => typedExtensionConfig?.typedConfig?.typeUrl);
  return refuse(at(path, 'policies'), `none of ${JSON.stringify(names)} is supported`);
}

/** Every extension that is known: a new one is a line here and one in `encodeExtension`. */
const EXTENSIONS: readonly ((any: wkt.Any, path: Path) => LbPolicy | undefined)[] = [
  known(() => lbRoundRobin.RoundRobinSchema, decodeRoundRobin),
  known(() => lbLeastRequest.LeastRequestSchema, decodeLeastRequest),
  known(() => lbRandom.RandomSchema, decodeRandom),
  known(() => lbRingHash.RingHashSchema, decodeRingHash),
  known(() => lbMaglev.MaglevSchema, decodeMaglev),
  known(
    () => lbSubset.SubsetSchema,
    (message, path) =>
      decodeSubset(message, decodeChild(message.subsetLbPolicy, at(path, 'subset_lb_policy')), path),
  ),
  known(
    () => lbClusterProvided.ClusterProvidedSchema,
    () => ({ kind: 'cluster-provided' }),
  ),
];

function known<Desc extends DescMessage>(
  schema: () => Desc,
  decode: (message: MessageShape<Desc>, path: Path) => LbPolicy,
): (any: wkt.Any, path: Path) => LbPolicy | undefined {
  return (any, path) => {
    const message = decodeAny(schema(), any, path);
    return message && decode(message, path);
  };
}

function decodeExtension(any: wkt.Any, path: Path): LbPolicy | undefined {
  for (const decode of EXTENSIONS) {
    const policy = decode(any, path);
    if (policy !== undefined) return policy;
  }
  return undefined;
}

function decodeRoundRobin(message: lbRoundRobin.RoundRobin, path: Path): LbPolicy {
  roundRobinFields(message, path);
  return {
    kind: 'round-robin',
    locality: decodeLocalityBalancing(message.localityLbConfig, path),
    slowStart: decodeSlowStart(message.slowStartConfig, path),
  };
}

function decodeRandom(message: lbRandom.Random, path: Path): LbPolicy {
  randomFields(message, path);
  return { kind: 'random', locality: decodeLocalityBalancing(message.localityLbConfig, path) };
}

function decodeLeastRequest(message: lbLeastRequest.LeastRequest, path: Path): LbPolicy {
  leastRequestFields(message, path);
  const { N_CHOICES, FULL_SCAN } = lbLeastRequest.LeastRequest_SelectionMethod;
  const { selectionMethod: method } = message;
  if (method !== N_CHOICES && method !== FULL_SCAN)
    refuse(at(path, 'selection_method'), `has no value ${String(method)}`);
  return {
    ...leastRequestOf(message, path),
    fullScan: method === FULL_SCAN || undefined,
    locality: decodeLocalityBalancing(message.localityLbConfig, path),
  };
}

interface LeastRequestSettings {
  readonly choiceCount?: number | undefined;
  readonly activeRequestBias?: core.RuntimeDouble | undefined;
  readonly slowStartConfig?: lbCommon.SlowStartConfig | cluster.Cluster_SlowStartConfig | undefined;
}

function leastRequestOf(
  { choiceCount, activeRequestBias, slowStartConfig }: LeastRequestSettings,
  path: Path,
): LeastRequestPolicy {
  const choices = choiceCount ?? DEFAULT_CHOICE_COUNT;
  if (choices < 2) refuse(at(path, 'choice_count'), 'must be at least 2');
  // A runtime key beside it names an override in Envoy's runtime layer; there is no such layer here.
  const bias = activeRequestBias?.defaultValue ?? DEFAULT_BIAS;
  // Written so that NaN is refused too.
  if (!(bias >= 0)) refuse(at(path, 'active_request_bias'), 'must not be negative');
  const slowStart = decodeSlowStart(slowStartConfig, path);
  return { kind: 'least-request', choiceCount: choices, activeRequestBias: bias, slowStart };
}

function decodeLegacyPolicy(message: cluster.Cluster, path: Path): LbPolicy {
  const { lbPolicy, lbConfig, commonLbConfig } = message;
  const locality = decodeLegacyLocality(commonLbConfig, path);
  const { ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH, MAGLEV } = cluster.Cluster_LbPolicy;
  const { CLUSTER_PROVIDED, LOAD_BALANCING_POLICY_CONFIG } = cluster.Cluster_LbPolicy;
  const policyPath = at(path, 'lb_policy');
  switch (lbPolicy) {
    case ROUND_ROBIN:
      if (lbConfig.case !== 'roundRobinLbConfig') return { kind: 'round-robin', locality };
      return { ...decodeLegacyRoundRobin(lbConfig.value, path), locality };
    case RANDOM:
      return { kind: 'random', locality };
    case LEAST_REQUEST: {
      if (lbConfig.case !== 'leastRequestLbConfig') return { ...leastRequestOf({}, path), locality };
      const configPath = at(path, 'least_request_lb_config');
      legacyLeastRequestFields(lbConfig.value, configPath);
      return { ...leastRequestOf(lbConfig.value, configPath), locality };
    }
    case RING_HASH:
      return decodeLegacyRingHash(message, path);
    case MAGLEV:
      return decodeLegacyMaglev(message, path);
    case CLUSTER_PROVIDED:
      return { kind: 'cluster-provided' };
    case LOAD_BALANCING_POLICY_CONFIG:
      return refuse(at(path, 'load_balancing_policy'), 'is required');
    default:
      return refuse(policyPath, `${cluster.Cluster_LbPolicy[lbPolicy] ?? String(lbPolicy)} is not supported`);
  }
}

function decodeLegacyRoundRobin(message: cluster.Cluster_RoundRobinLbConfig, path: Path): RoundRobinPolicy {
  const configPath = at(path, 'round_robin_lb_config');
  legacyRoundRobinFields(message, configPath);
  return { kind: 'round-robin', slowStart: decodeSlowStart(message.slowStartConfig, configPath) };
}

/**
 * The cluster's fields that say the policy. Round robin goes in the older field, which every client understands; the
 * others as a list that ends in round robin, so that a client which does not know them still gets one it knows.
 */
export function encodeLbPolicy(policy: LbPolicy): Pick<cluster.Cluster, 'lbPolicy' | 'loadBalancingPolicy'> {
  if (isPlain(policy)) return { lbPolicy: cluster.Cluster_LbPolicy.ROUND_ROBIN };
  if (policy.kind === 'cluster-provided') return { lbPolicy: cluster.Cluster_LbPolicy.CLUSTER_PROVIDED };
  return {
    lbPolicy: cluster.Cluster_LbPolicy.LOAD_BALANCING_POLICY_CONFIG,
    loadBalancingPolicy: create(cluster.LoadBalancingPolicySchema, {
      policies: [encodeExtension(policy), ...fallbackOf(policy)],
    }),
  };
}

/** Who would send requests of a subset to any host had better refuse the cluster. */
function fallbackOf(policy: ChildPolicy): cluster.LoadBalancingPolicy_Policy[] {
  if (policy.kind === 'subset') return [];
  return [encodeExtension({ kind: 'round-robin', locality: localityOf(policy) })];
}

function encodeChild(policy: ChildPolicy): cluster.LoadBalancingPolicy {
  return create(cluster.LoadBalancingPolicySchema, { policies: [encodeExtension(policy)] });
}

/** Whether the older field of round robin says all of it. */
export function isPlain(policy: LbPolicy): policy is RoundRobinPolicy {
  if (policy.kind !== 'round-robin' || policy.slowStart !== undefined) return false;
  return policy.locality?.kind !== 'zone-aware';
}

function encodeExtension(policy: ChildPolicy): cluster.LoadBalancingPolicy_Policy {
  switch (policy.kind) {
    case 'ring-hash':
      return extension('ring_hash', packAny(lbRingHash.RingHashSchema, encodeRingHash(policy)));
    case 'maglev':
      return extension('maglev', packAny(lbMaglev.MaglevSchema, encodeMaglev(policy)));
    case 'subset':
      return extension(
        'subset',
        packAny(lbSubset.SubsetSchema, encodeSubset(policy, encodeChild(policy.child))),
      );
    default:
      return encodeListPolicy(policy);
  }
}

/** How a policy treats localities, whatever field says it. */
function localityOf(policy: Exclude<ChildPolicy, SubsetPolicy>): LocalityBalancing | undefined {
  if (policy.kind === 'ring-hash' || policy.kind === 'maglev') {
    return policy.localityWeighted ? { kind: 'weighted' } : undefined;
  }
  return policy.locality;
}

function encodeListPolicy(
  policy: RoundRobinPolicy | RandomPolicy | LeastRequestPolicy,
): cluster.LoadBalancingPolicy_Policy {
  const locality = encodeLocalityBalancing(policy.locality);
  switch (policy.kind) {
    case 'round-robin': {
      const message = create(lbRoundRobin.RoundRobinSchema, {
        ...locality,
        ...encodeSlowStart(policy.slowStart),
      });
      return extension('round_robin', packAny(lbRoundRobin.RoundRobinSchema, message));
    }
    case 'random': {
      const message = create(lbRandom.RandomSchema, locality);
      return extension('random', packAny(lbRandom.RandomSchema, message));
    }
    case 'least-request': {
      const { FULL_SCAN, N_CHOICES } = lbLeastRequest.LeastRequest_SelectionMethod;
      const message = create(lbLeastRequest.LeastRequestSchema, {
        choiceCount: policy.choiceCount,
        // PGV demands a runtime key.
        activeRequestBias: {
          defaultValue: policy.activeRequestBias,
          runtimeKey: 'upstream.least_request.bias',
        },
        ...locality,
        ...encodeSlowStart(policy.slowStart),
        selectionMethod: policy.fullScan === true ? FULL_SCAN : N_CHOICES,
      });
      return extension('least_request', packAny(lbLeastRequest.LeastRequestSchema, message));
    }
  }
}

function extension(name: string, typedConfig: wkt.Any): cluster.LoadBalancingPolicy_Policy {
  return create(cluster.LoadBalancingPolicy_PolicySchema, {
    typedExtensionConfig: { name: `envoy.load_balancing_policies.${name}`, typedConfig },
  });
}
