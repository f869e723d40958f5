import { create } from '@bufbuild/protobuf';
import { DEFAULT_ZONE_AWARE, type LocalityBalancing, type ZoneAware } from '../model/lb-policy.js';
import { cluster, lbCommon, type type } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';
import { decodePercent } from './percent.js';

const localityFields = onlyFields(() => lbCommon.LocalityLbConfigSchema, {
  enforced: ['locality_weighted_lb_config', 'zone_aware_lb_config'],
});
const zoneFields = onlyFields(() => lbCommon.LocalityLbConfig_ZoneAwareLbConfigSchema, {
  enforced: [
    'routing_enabled',
    'min_cluster_size',
    'fail_traffic_on_panic',
    'force_locality_direct_routing',
    'force_local_zone',
    'locality_basis',
  ],
});
const legacyZoneFields = onlyFields(() => cluster.Cluster_CommonLbConfig_ZoneAwareLbConfigSchema, {
  enforced: ['routing_enabled', 'min_cluster_size', 'fail_traffic_on_panic'],
});

/** How a policy of the list treats localities. */
export function decodeLocalityBalancing(
  config: lbCommon.LocalityLbConfig | undefined,
  path: Path,
): LocalityBalancing | undefined {
  if (config === undefined) return undefined;
  const configPath = at(path, 'locality_lb_config');
  localityFields(config, configPath);
  const { localityConfigSpecifier: specifier } = config;
  if (specifier.case === 'localityWeightedLbConfig') return { kind: 'weighted' };
  if (specifier.case !== 'zoneAwareLbConfig') {
    return refuse(configPath, 'locality_config_specifier is required');
  }
  return decodeZoneAware(specifier.value, at(configPath, 'zone_aware_lb_config'));
}

function decodeZoneAware(message: lbCommon.LocalityLbConfig_ZoneAwareLbConfig, path: Path): ZoneAware {
  zoneFields(message, path);
  const { HEALTHY_HOSTS_NUM, HEALTHY_HOSTS_WEIGHT } =
    lbCommon.LocalityLbConfig_ZoneAwareLbConfig_LocalityBasis;
  const { localityBasis, forceLocalZone } = message;
  if (localityBasis !== HEALTHY_HOSTS_NUM && localityBasis !== HEALTHY_HOSTS_WEIGHT) {
    refuse(at(path, 'locality_basis'), `has no value ${String(localityBasis)}`);
  }
  return {
    ...zoneOf(message, path),
    forceLocalityDirect: message.forceLocalityDirectRouting,
    forceLocalZoneMinSize: forceLocalZone && (forceLocalZone.minSize ?? 1),
    basis: localityBasis === HEALTHY_HOSTS_WEIGHT ? 'weight' : 'number',
  };
}

interface ZoneMessage {
  readonly routingEnabled?: type.Percent | undefined;
  readonly minClusterSize?: bigint | undefined;
  readonly failTrafficOnPanic: boolean;
}

/** What both forms of the message have. */
function zoneOf(message: ZoneMessage, path: Path): ZoneAware {
  const { minClusterSize, failTrafficOnPanic } = message;
  return {
    ...DEFAULT_ZONE_AWARE,
    routingEnabledPercent: decodePercent(message.routingEnabled, 100, at(path, 'routing_enabled')),
    minClusterSize: minClusterSize === undefined ? DEFAULT_ZONE_AWARE.minClusterSize : Number(minClusterSize),
    failTrafficOnPanic,
  };
}

/** The same as a field of a policy's message. */
export function encodeLocalityBalancing(locality: LocalityBalancing | undefined): {
  localityLbConfig?: lbCommon.LocalityLbConfig;
} {
  if (locality === undefined) return {};
  const message = create(lbCommon.LocalityLbConfigSchema);
  if (locality.kind === 'weighted') {
    const schema = lbCommon.LocalityLbConfig_LocalityWeightedLbConfigSchema;
    message.localityConfigSpecifier = { case: 'localityWeightedLbConfig', value: create(schema) };
  } else {
    message.localityConfigSpecifier = { case: 'zoneAwareLbConfig', value: encodeZoneAware(locality) };
  }
  return { localityLbConfig: message };
}

function encodeZoneAware(zone: ZoneAware): lbCommon.LocalityLbConfig_ZoneAwareLbConfig {
  const { HEALTHY_HOSTS_NUM, HEALTHY_HOSTS_WEIGHT } =
    lbCommon.LocalityLbConfig_ZoneAwareLbConfig_LocalityBasis;
  const message = create(lbCommon.LocalityLbConfig_ZoneAwareLbConfigSchema, {
    routingEnabled: { value: zone.routingEnabledPercent },
    minClusterSize: BigInt(zone.minClusterSize),
    failTrafficOnPanic: zone.failTrafficOnPanic,
    forceLocalityDirectRouting: zone.forceLocalityDirect,
    localityBasis: zone.basis === 'weight' ? HEALTHY_HOSTS_WEIGHT : HEALTHY_HOSTS_NUM,
  });
  if (zone.forceLocalZoneMinSize !== undefined) {
    message.forceLocalZone = create(lbCommon.LocalityLbConfig_ZoneAwareLbConfig_ForceLocalZoneSchema, {
      minSize: zone.forceLocalZoneMinSize,
    });
  }
  return message;
}

/** How a policy in the older fields treats localities: Envoy reads it from `common_lb_config`. */
export function decodeLegacyLocality(
  config: cluster.Cluster_CommonLbConfig | undefined,
  path: Path,
): LocalityBalancing | undefined {
  const specifier = config?.localityConfigSpecifier;
  if (specifier?.case === 'localityWeightedLbConfig') return { kind: 'weighted' };
  if (specifier?.case !== 'zoneAwareLbConfig') return undefined;
  const zonePath = at(at(path, 'common_lb_config'), 'zone_aware_lb_config');
  legacyZoneFields(specifier.value, zonePath);
  return zoneOf(specifier.value, zonePath);
}
