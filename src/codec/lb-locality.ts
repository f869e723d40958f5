import { create } from '@bufbuild/protobuf';
import type { LocalityBalancing } from '../model/lb-policy.js';
import { type cluster, lbCommon } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

const localityFields = onlyFields(() => lbCommon.LocalityLbConfigSchema, {
  enforced: ['locality_weighted_lb_config'],
});

/** How a policy of the list treats localities. */
export function decodeLocalityBalancing(
  config: lbCommon.LocalityLbConfig | undefined,
  path: Path,
): LocalityBalancing | undefined {
  if (config === undefined) return undefined;
  const configPath = at(path, 'locality_lb_config');
  localityFields(config, configPath);
  if (config.localityConfigSpecifier.case !== 'localityWeightedLbConfig') {
    return refuse(configPath, 'locality_config_specifier is required');
  }
  return { kind: 'weighted' };
}

/** The same as a field of a policy's message. */
export function encodeLocalityBalancing(locality: LocalityBalancing | undefined): {
  localityLbConfig?: lbCommon.LocalityLbConfig;
} {
  if (locality === undefined) return {};
  return {
    localityLbConfig: create(lbCommon.LocalityLbConfigSchema, {
      localityConfigSpecifier: { case: 'localityWeightedLbConfig', value: {} },
    }),
  };
}

/** How a policy in the older fields treats localities: Envoy reads it from `common_lb_config`. */
export function decodeLegacyLocality(
  config: cluster.Cluster_CommonLbConfig | undefined,
): LocalityBalancing | undefined {
  return config?.localityConfigSpecifier.case === 'localityWeightedLbConfig'
    ? { kind: 'weighted' }
    : undefined;
}
