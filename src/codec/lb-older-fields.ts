import type { LbPolicy, RoundRobinPolicy } from '../model/lb-policy.js';
import { cluster } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeLegacyMaglev, decodeLegacyRingHash } from './lb-hash.js';
import { leastRequestOf } from './lb-list.js';
import { decodeLegacyLocality } from './lb-locality.js';
import { decodeLegacySubset } from './lb-subset.js';
import { at, type Path, refuse } from './path.js';
import { decodeSlowStart } from './slow-start.js';

const legacyLeastRequestFields = onlyFields(() => cluster.Cluster_LeastRequestLbConfigSchema, {
  enforced: ['choice_count', 'active_request_bias', 'slow_start_config'],
});
const legacyRoundRobinFields = onlyFields(() => cluster.Cluster_RoundRobinLbConfigSchema, {
  enforced: ['slow_start_config'],
});

/** Envoy: what would contradict the list must not stand next to it. */
export function refuseOlderFields({ lbSubsetConfig, commonLbConfig }: cluster.Cluster, path: Path): void {
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

/** The policy that `lb_policy` and the fields around it say. */
export function decodeOlderFields(message: cluster.Cluster, path: Path): LbPolicy {
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
