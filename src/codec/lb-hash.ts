import { create } from '@bufbuild/protobuf';
import type { HashBalancing, MaglevPolicy, RingHashPolicy } from '../model/lb-policy.js';
import { cluster, lbCommon, lbMaglev, lbRingHash } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeHashPolicies, encodeHashPolicies } from './hash-policy.js';
import { at, type Path, refuse } from './path.js';

/** Envoy's defaults and bounds. */
const DEFAULT_MIN_RING = 1024;
const MAX_RING = 8_388_608;
const DEFAULT_TABLE = 65_537;
const MAX_TABLE = 5_000_011;
const MIN_BALANCE_PERCENT = 100;

const ringFields = onlyFields(() => lbRingHash.RingHashSchema, {
  enforced: [
    'hash_function',
    'minimum_ring_size',
    'maximum_ring_size',
    'use_hostname_for_hashing',
    'hash_balance_factor',
    'consistent_hashing_lb_config',
    'locality_weighted_lb_config',
  ],
});
const maglevFields = onlyFields(() => lbMaglev.MaglevSchema, {
  enforced: ['table_size', 'consistent_hashing_lb_config', 'locality_weighted_lb_config'],
});
const consistentFields = onlyFields(() => lbCommon.ConsistentHashingLbConfigSchema, {
  enforced: ['use_hostname_for_hashing', 'hash_balance_factor', 'hash_policy'],
});
const legacyRingFields = onlyFields(() => cluster.Cluster_RingHashLbConfigSchema, {
  enforced: ['minimum_ring_size', 'hash_function', 'maximum_ring_size'],
});
const legacyMaglevFields = onlyFields(() => cluster.Cluster_MaglevLbConfigSchema, {
  enforced: ['table_size'],
});
const legacyConsistentFields = onlyFields(
  () => cluster.Cluster_CommonLbConfig_ConsistentHashingLbConfigSchema,
  { enforced: ['use_hostname_for_hashing', 'hash_balance_factor'] },
);

export function decodeRingHash(message: lbRingHash.RingHash, path: Path): RingHashPolicy {
  ringFields(message, path);
  if (message.minimumRingSize === 0n) refuse(at(path, 'minimum_ring_size'), 'must be at least 1');
  const { consistentHashingLbConfig: consistent } = message;
  return {
    kind: 'ring-hash',
    ...ringOf(message, path),
    // Envoy: the deprecated fields count only where the new message is absent.
    ...(consistent === undefined ? consistency(message, path) : decodeConsistent(consistent, path)),
    localityWeighted: message.localityWeightedLbConfig !== undefined,
  };
}

export function decodeMaglev(message: lbMaglev.Maglev, path: Path): MaglevPolicy {
  maglevFields(message, path);
  return {
    kind: 'maglev',
    tableSize: tableSizeOf(message.tableSize, path),
    ...decodeConsistent(message.consistentHashingLbConfig, path),
    localityWeighted: message.localityWeightedLbConfig !== undefined,
  };
}

/** Ring hash of the cluster's older fields. */
export function decodeLegacyRingHash(
  { lbConfig, commonLbConfig }: cluster.Cluster,
  path: Path,
): RingHashPolicy {
  const configPath = at(path, 'ring_hash_lb_config');
  const config = lbConfig.case === 'ringHashLbConfig' ? lbConfig.value : undefined;
  if (config !== undefined) legacyRingFields(config, configPath);
  return {
    kind: 'ring-hash',
    ...ringOf(config ?? {}, configPath),
    ...legacyConsistency(commonLbConfig, path),
  };
}

/** Maglev of the cluster's older fields. */
export function decodeLegacyMaglev({ lbConfig, commonLbConfig }: cluster.Cluster, path: Path): MaglevPolicy {
  const configPath = at(path, 'maglev_lb_config');
  const config = lbConfig.case === 'maglevLbConfig' ? lbConfig.value : undefined;
  if (config !== undefined) legacyMaglevFields(config, configPath);
  return {
    kind: 'maglev',
    tableSize: tableSizeOf(config?.tableSize, configPath),
    ...legacyConsistency(commonLbConfig, path),
  };
}

/** What both forms of the ring's message have. */
interface RingMessage {
  /** The newer enumeration has DEFAULT_HASH before the two of the older one. */
  readonly hashFunction?: lbRingHash.RingHash_HashFunction | cluster.Cluster_RingHashLbConfig_HashFunction;
  readonly minimumRingSize?: bigint | undefined;
  readonly maximumRingSize?: bigint | undefined;
  readonly $typeName?: string;
}

type RingSettings = Pick<RingHashPolicy, 'hashFunction' | 'minimumRingSize' | 'maximumRingSize'>;

function ringOf(message: RingMessage, path: Path): RingSettings {
  const minimum = ringSize(message.minimumRingSize, DEFAULT_MIN_RING, at(path, 'minimum_ring_size'));
  const maximum = ringSize(message.maximumRingSize, MAX_RING, at(path, 'maximum_ring_size'));
  if (minimum > maximum) {
    refuse(at(path, 'minimum_ring_size'), `${minimum} is above the maximum_ring_size ${maximum}`);
  }
  return {
    hashFunction: hashFunctionOf(message, path),
    minimumRingSize: minimum,
    maximumRingSize: maximum,
  };
}

function hashFunctionOf(
  { hashFunction = 0, $typeName }: RingMessage,
  path: Path,
): RingHashPolicy['hashFunction'] {
  const isOld = $typeName !== 'envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash';
  const names = isOld
    ? (['xx-hash', 'murmur-hash-2'] as const)
    : (['xx-hash', 'xx-hash', 'murmur-hash-2'] as const);
  return names[hashFunction] ?? refuse(at(path, 'hash_function'), `has no value ${hashFunction}`);
}

function ringSize(size: bigint | undefined, byDefault: number, path: Path): number {
  if (size === undefined) return byDefault;
  return size > BigInt(MAX_RING) ? refuse(path, `must be at most ${MAX_RING}`) : Number(size);
}

function tableSizeOf(size: bigint | undefined, path: Path): number {
  if (size === undefined) return DEFAULT_TABLE;
  const sizePath = at(path, 'table_size');
  if (size > BigInt(MAX_TABLE)) refuse(sizePath, `must be at most ${MAX_TABLE}`);
  return isPrime(Number(size)) ? Number(size) : refuse(sizePath, 'must be a prime number');
}

function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

type Consistency = Pick<HashBalancing, 'useHostname' | 'balanceFactorPercent' | 'hashPolicies'>;

function decodeConsistent(message: lbCommon.ConsistentHashingLbConfig | undefined, path: Path): Consistency {
  if (message === undefined) return { useHostname: false, balanceFactorPercent: 0 };
  const configPath = at(path, 'consistent_hashing_lb_config');
  consistentFields(message, configPath);
  if (message.hashPolicy.length === 0) return consistency(message, configPath);
  // Envoy: what is there replaces the route's, even if it says nothing.
  const hashPolicies = decodeHashPolicies(message.hashPolicy, configPath) ?? [];
  return { ...consistency(message, configPath), hashPolicies };
}

function consistency(
  message: { readonly useHostnameForHashing: boolean; readonly hashBalanceFactor?: number | undefined },
  path: Path,
): Consistency {
  const { useHostnameForHashing: useHostname, hashBalanceFactor: factor } = message;
  if (factor !== undefined && factor < MIN_BALANCE_PERCENT) {
    refuse(at(path, 'hash_balance_factor'), `must be at least ${MIN_BALANCE_PERCENT}`);
  }
  return { useHostname, balanceFactorPercent: factor ?? 0 };
}

function legacyConsistency(config: cluster.Cluster_CommonLbConfig | undefined, path: Path): HashBalancing {
  const consistent = config?.consistentHashingLbConfig;
  const consistentPath = at(at(path, 'common_lb_config'), 'consistent_hashing_lb_config');
  if (consistent !== undefined) legacyConsistentFields(consistent, consistentPath);
  return {
    ...consistency(consistent ?? { useHostnameForHashing: false }, consistentPath),
    localityWeighted: config?.localityConfigSpecifier.case === 'localityWeightedLbConfig',
  };
}

export function encodeRingHash(policy: RingHashPolicy): lbRingHash.RingHash {
  const { XX_HASH, MURMUR_HASH_2 } = lbRingHash.RingHash_HashFunction;
  return create(lbRingHash.RingHashSchema, {
    hashFunction: policy.hashFunction === 'murmur-hash-2' ? MURMUR_HASH_2 : XX_HASH,
    minimumRingSize: BigInt(policy.minimumRingSize),
    maximumRingSize: BigInt(policy.maximumRingSize),
    ...encodeBalancing(policy),
  });
}

export function encodeMaglev(policy: MaglevPolicy): lbMaglev.Maglev {
  return create(lbMaglev.MaglevSchema, {
    tableSize: BigInt(policy.tableSize),
    ...encodeBalancing(policy),
  });
}

function encodeBalancing({
  useHostname,
  balanceFactorPercent,
  localityWeighted,
  hashPolicies,
}: HashBalancing) {
  const nothing = { policySpecifier: { case: 'connectionProperties' as const, value: { sourceIp: false } } };
  return {
    consistentHashingLbConfig: create(lbCommon.ConsistentHashingLbConfigSchema, {
      useHostnameForHashing: useHostname,
      hashPolicy: hashPolicies?.length === 0 ? [nothing] : encodeHashPolicies(hashPolicies),
      ...(balanceFactorPercent === 0 ? {} : { hashBalanceFactor: balanceFactorPercent }),
    }),
    ...(localityWeighted
      ? { localityWeightedLbConfig: create(lbCommon.LocalityLbConfig_LocalityWeightedLbConfigSchema) }
      : {}),
  };
}
