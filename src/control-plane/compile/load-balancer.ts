import type { HashPolicy, HashSource } from '../../model/hash-policy.js';
import type { LbPolicy, LocalityBalancing, SlowStart } from '../../model/lb-policy.js';
import type { LoadBalancerSettings } from '../kinds/types.js';

type ConsistentHash = NonNullable<LoadBalancerSettings['consistentHash']>;

/** Envoy's defaults. */
const DEFAULT_MIN_RING = 1024;
const MAX_RING = 8_388_608;
const DEFAULT_TABLE = 65_537;

/** The policy of a cluster (Istio: applyLoadBalancer). */
export function lbPolicyOf(
  settings: LoadBalancerSettings | undefined,
  locality: LocalityBalancing | undefined,
): LbPolicy {
  if (settings?.consistentHash !== undefined) return hashPolicyOf(settings.consistentHash, locality);
  const slowStart = slowStartOf(settings);
  switch (settings?.simple) {
    case 'ROUND_ROBIN':
      return { kind: 'round-robin', locality, slowStart };
    case 'RANDOM':
      return { kind: 'random', locality };
    default:
      return {
        kind: 'least-request',
        choiceCount: 2,
        activeRequestBias: 1,
        locality,
        slowStart,
      };
  }
}

/** Istio (ApplyRingHashLoadBalancer): Maglev where that is asked for, else a ring; sizes of 0 are the defaults. */
function hashPolicyOf(
  { maglev, ringHash, minimumRingSize }: ConsistentHash,
  locality: LocalityBalancing | undefined,
): LbPolicy {
  const localityWeighted = locality?.kind === 'weighted';
  const common = { useHostname: false, balanceFactorPercent: 0, localityWeighted };
  if (maglev !== undefined) {
    return { kind: 'maglev', tableSize: maglev.tableSize || DEFAULT_TABLE, ...common };
  }
  const size = ringHash === undefined ? minimumRingSize : ringHash.minimumRingSize;
  return {
    kind: 'ring-hash',
    hashFunction: 'xx-hash',
    minimumRingSize: Math.min(size || DEFAULT_MIN_RING, MAX_RING),
    maximumRingSize: MAX_RING,
    ...common,
  };
}

function slowStartOf(settings: LoadBalancerSettings | undefined): SlowStart | undefined {
  const { warmup, warmupDurationSecs } = settings ?? {};
  if (warmup !== undefined) {
    const { duration, aggression, minimumPercent } = warmup;
    return {
      windowMs: duration,
      // Envoy: what is not above 0 counts as the default.
      aggression: aggression || 1,
      minWeightPercent: minimumPercent ?? 10,
    };
  }
  return warmupDurationSecs === undefined
    ? undefined
    : { windowMs: warmupDurationSecs, aggression: 1, minWeightPercent: 10 };
}

/** What routes to a cluster hash, where its policy goes by hash (Istio: consistentHashToHashPolicy). */
export function routeHashOf(settings: LoadBalancerSettings | undefined): HashPolicy | undefined {
  const source = settings?.consistentHash && hashSourceOf(settings.consistentHash);
  return source && { source, terminal: false };
}

function hashSourceOf(hash: ConsistentHash): HashSource | undefined {
  const { httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName } = hash;
  if (httpHeaderName) return { kind: 'header', name: httpHeaderName.toLowerCase() };
  if (httpCookie !== undefined) {
    const { name, ttl, path = '', attributes = [] } = httpCookie;
    return {
      kind: 'cookie',
      name,
      ttlSeconds: ttl === undefined ? undefined : Math.floor(ttl / 1000),
      path,
      attributes: attributes.map((one) => ({ name: one.name, value: one.value ?? '' })),
    };
  }
  if (useSourceIp === true) return { kind: 'source-ip' };
  return httpQueryParameterName ? { kind: 'query-parameter', name: httpQueryParameterName } : undefined;
}
