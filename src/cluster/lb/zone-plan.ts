import type { Locality } from '../../model/endpoint.js';
import type { ZoneAware } from '../../model/lb-policy.js';
import { type Random, randomInt } from '../../runtime/random.js';
import type { HostSet, LocalityHosts } from '../host-set.js';
import type { LbCounts } from './lb-counts.js';

/** How requests are spread over localities; `order` has the own one first when it has hosts. */
export interface ZonePlan {
  readonly order: readonly LocalityHosts[];
  /** The own locality takes everything. */
  readonly direct: boolean;
  /** Share of the own locality in parts of 10 000. */
  readonly localShare: number;
  /** Running sums of what the localities can take besides their own callers. */
  readonly residual: readonly number[];
}

const WHOLE = 10_000;

/** Envoy's zone-aware routing; undefined when it does not apply. */
export function planZones(
  set: HostSet,
  local: HostSet | undefined,
  own: Locality,
  config: ZoneAware,
  counts: LbCounts,
): ZonePlan | undefined {
  counts.recalculateZoneStructures++;
  const forced = config.forceLocalZoneMinSize;
  if (local === undefined || set.localities.length < 2) return undefined;
  const isForced = config.forceLocalityDirect || forced !== undefined;
  if (local.localities.length < 2 && !isForced) return undefined;
  if (!local.localities.some((one) => isSame(one.locality, own) && one.hosts.length > 0)) return undefined;
  if (set.healthy.length < config.minClusterSize) {
    counts.zoneClusterTooSmall++;
    return undefined;
  }

  const order = set.localities.filter(({ hosts }) => hosts.length > 0).sort(byPlace(own));
  const isOwnFirst = order[0] !== undefined && isSame(order[0].locality, own);
  const shares = order.map((one) => sharesOf(one, set, local, config));
  const [first] = shares;
  const direct =
    isOwnFirst &&
    first !== undefined &&
    ((first.upstream > 0 && first.upstream >= first.local) ||
      config.forceLocalityDirect ||
      (forced !== undefined && (order[0]?.healthy.length ?? 0) >= forced));
  const localShare =
    isOwnFirst && first !== undefined && first.local > 0
      ? Math.floor((first.upstream * WHOLE) / first.local)
      : 0;
  let sum = 0;
  const residual = shares.map(({ upstream, local: callers }, i) => {
    // The own locality got what it can take already.
    if (i > 0 || !isOwnFirst) sum += Math.max(0, upstream - callers);
    return sum;
  });
  return { order, direct, localShare, residual };
}

/** The locality of one request. */
export function chooseZone(
  { order, direct, localShare, residual }: ZonePlan,
  random: Random,
  counts: LbCounts,
): number {
  if (direct) {
    counts.zoneRoutingAllDirectly++;
    return 0;
  }
  if (randomInt(random, WHOLE) < localShare) {
    counts.zoneRoutingSampled++;
    return 0;
  }
  counts.zoneRoutingCrossZone++;
  const total = residual.at(-1) ?? 0;
  // Envoy: rounding may leave no capacity at all.
  if (total === 0) {
    counts.zoneNoCapacityLeft++;
    return randomInt(random, order.length);
  }
  const value = randomInt(random, total);
  return residual.findIndex((sum) => value < sum);
}

/** Parts of 10 000 of the callers and of the upstream's healthy hosts that are in a locality. */
function sharesOf(
  { locality, healthy }: LocalityHosts,
  set: HostSet,
  local: HostSet,
  { basis }: ZoneAware,
): { readonly local: number; readonly upstream: number } {
  // Envoy: without healthy hosts, the callers do not matter.
  if (healthy.length === 0) return { local: 0, upstream: 0 };
  const size = (hosts: LocalityHosts['hosts']) =>
    basis === 'weight' ? hosts.reduce((sum, { weight }) => sum + weight, 0) : hosts.length;
  const callers = local.localities.find((one) => isSame(one.locality, locality))?.healthy ?? [];
  return {
    local: part(size(callers), size(local.healthy)),
    upstream: part(size(healthy), size(set.healthy)),
  };
}

function part(of: number, whole: number): number {
  return whole === 0 ? 0 : Math.floor((WHOLE * of) / whole);
}

function isSame(a: Locality, b: Locality): boolean {
  return a.region === b.region && a.zone === b.zone && a.subZone === b.subZone;
}

/** Envoy: the own locality first, then in order of region, zone and sub-zone. */
function byPlace(own: Locality): (a: LocalityHosts, b: LocalityHosts) => number {
  return ({ locality: a }, { locality: b }) =>
    Number(isSame(b, own)) - Number(isSame(a, own)) ||
    compare(a.region, b.region) ||
    compare(a.zone, b.zone) ||
    compare(a.subZone, b.subZone);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
