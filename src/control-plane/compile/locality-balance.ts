import type { Locality } from '../../model/endpoint.js';
import { parseLocality } from '../../model/locality.js';
import type { LocalityLbSetting, RegionFailover } from '../mesh/mesh-config.js';
import type { LocalityPlan } from './locality-setting.js';

/** Endpoints of one locality, on their way into an assignment. */
export interface LocalityGroup<T> {
  readonly locality: Locality;
  readonly priority: number;
  readonly weight: number | undefined;
  readonly members: readonly T[];
}

/** What of an endpoint counts here. */
export interface Member {
  /** With those of its place (`withTopology`). */
  readonly labels: Readonly<Record<string, string>>;
  readonly weight: number;
}

/** Who asks, and from where. */
export interface ClientPlace {
  readonly locality: Locality;
  /** With those of its place (`withTopology`). */
  readonly labels: Readonly<Record<string, string>>;
}

type Distribute = NonNullable<LocalityLbSetting['distribute']>;
type Failover = readonly RegionFailover[];

/** Weights and priorities as a client at that place gets them (Istio: ApplyLocalityLoadBalancer). */
export function balanceLocalities<T extends Member>(
  groups: readonly LocalityGroup<T>[],
  plan: LocalityPlan | undefined,
  client: ClientPlace,
): readonly LocalityGroup<T>[] {
  if (plan === undefined) return groups;
  const { failover = [], failoverPriority = [] } = plan.setting;
  if (plan.kind === 'zone-aware') {
    // Istio: the own region is always a tier of its own, as zones are weighed within one priority.
    const tiers = byLabels(groups, failoverPriority, client);
    return byPlace(tiers, (locality) => regionalTier(locality, failover, client.locality));
  }
  const { distribute = [] } = plan.setting;
  if (distribute.length > 0) return distributed(groups, distribute, client.locality);
  if (!plan.hasFailover) return groups;
  if (failoverPriority.length > 0) {
    const tiers = byLabels(groups, failoverPriority, client);
    return failover.length === 0
      ? tiers
      : byPlace(tiers, (locality) => tier(locality, failover, client.locality));
  }
  return byPlace(groups, (locality) => tier(locality, failover, client.locality));
}

/** Istio (applyLocalityWeights): the first rule for the client's place; what it does not name gets nothing. */
function distributed<T>(
  groups: readonly LocalityGroup<T>[],
  distribute: Distribute,
  from: Locality,
): readonly LocalityGroup<T>[] {
  const rule = distribute.find((one) => matches(from, one.from ?? ''));
  if (rule === undefined) return groups;
  const targets = Object.entries(rule.to ?? {});
  const targetOf = ({ locality }: LocalityGroup<T>) =>
    targets.findIndex(([pattern]) => matches(locality, pattern));
  const totals = targets.map(() => 0);
  for (const group of groups) {
    const index = targetOf(group);
    if (index >= 0) totals[index] = (totals[index] ?? 0) + (group.weight ?? 1);
  }
  return groups.map((group) => {
    const index = targetOf(group);
    const target = targets[index];
    if (target === undefined) return { ...group, members: [] };
    // Localities that one pattern covers share its weight in proportion to their own.
    const share = ((group.weight ?? 1) * target[1]) / (totals[index] ?? 1);
    return share > 0 ? { ...group, weight: Math.ceil(share) } : group;
  });
}

/** Istio (LocalityMatch): `*` or nothing stands for any zone, `*` alone for any region. */
function matches(locality: Locality, pattern: string): boolean {
  const { region, zone, subZone } = parseLocality(pattern);
  const isAny = (part: string, own: string) => part === '*' || part === '' || part === own;
  return (
    (region === '*' || region === locality.region) &&
    isAny(zone, locality.zone) &&
    isAny(subZone, locality.subZone)
  );
}

/** Istio (LbPriority, applyLocalityFailover): how far away a locality is, a region one fails over to before others. */
function tier(locality: Locality, failover: Failover, own: Locality): number {
  if (locality.region === own.region) {
    if (locality.zone !== own.zone) return 2;
    return locality.subZone === own.subZone ? 0 : 1;
  }
  const rule = failover.find(({ from = '' }) => from === own.region);
  return rule === undefined || rule.to === locality.region ? 3 : 4;
}

function regionalTier(locality: Locality, failover: Failover, own: Locality): number {
  return locality.region === own.region ? 0 : tier(locality, failover, own);
}

/** Tiers of places within the priorities there are. */
function byPlace<T>(
  groups: readonly LocalityGroup<T>[],
  tierOf: (locality: Locality) => number,
): readonly LocalityGroup<T>[] {
  return compacted(
    groups.map((group) => ({ ...group, priority: group.priority * 5 + tierOf(group.locality) })),
  );
}

/**
 * Istio (applyFailoverPriorities): the more labels, in order, an endpoint shares with the client, the better its
 * priority. A locality whose endpoints differ is split.
 */
function byLabels<T extends Member>(
  groups: readonly LocalityGroup<T>[],
  failoverPriority: readonly string[],
  { labels }: ClientPlace,
): readonly LocalityGroup<T>[] {
  if (failoverPriority.length === 0 || Object.keys(labels).length === 0) return groups;
  const wanted = wantedLabels(failoverPriority, labels);
  const split = groups.flatMap((group) => {
    const parts = new Map<number, T[]>();
    for (const member of group.members) {
      const differs = wanted.findIndex(([name, value]) => labelOf(member.labels, name) !== value);
      const priority = differs < 0 ? 0 : wanted.length - differs;
      const part = parts.get(priority);
      if (part === undefined) parts.set(priority, [member]);
      else part.push(member);
    }
    return [...parts]
      .sort(([a], [b]) => a - b)
      .map(([priority, members]) => ({
        ...group,
        priority,
        weight: members.reduce((sum, one) => sum + one.weight, 0),
        members,
      }));
  });
  return compacted(split);
}

/** Names of labels with the values that count as near; `name=value` in the setting replaces the client's own value. */
function wantedLabels(
  failoverPriority: readonly string[],
  own: Readonly<Record<string, string>>,
): readonly (readonly [string, string])[] {
  const overridden = new Map<string, string>();
  const names = failoverPriority.map((entry) => {
    const [name = '', value, ...more] = entry.split('=');
    if (value !== undefined && more.length === 0) overridden.set(name, value);
    return name;
  });
  return names.map((name) => [name, overridden.get(name) ?? labelOf(own, name)]);
}

function labelOf(labels: Readonly<Record<string, string>>, name: string): string {
  return (Object.hasOwn(labels, name) ? labels[name] : undefined) ?? '';
}

/** Envoy: priorities are 0, 1, 2 …, without gaps. */
function compacted<T>(groups: readonly LocalityGroup<T>[]): readonly LocalityGroup<T>[] {
  const order = [...new Set(groups.map(({ priority }) => priority))].sort((a, b) => a - b);
  const ranks = new Map(order.map((priority, rank) => [priority, rank]));
  return groups.map((group) => ({ ...group, priority: ranks.get(group.priority) ?? 0 }));
}

/** Names the cluster that a workload runs in. */
export const CLUSTER_LABEL = 'topology.istio.io/cluster';

/** Labels with those of the place that Istio adds to workloads and clients (AugmentLabels). */
export function withTopology(
  labels: Readonly<Record<string, string>>,
  { region, zone, subZone }: Locality,
  clusterId: string,
): Readonly<Record<string, string>> {
  return {
    ...labels,
    ...(clusterId !== '' && { [CLUSTER_LABEL]: clusterId }),
    ...(region !== '' && { 'topology.kubernetes.io/region': region }),
    ...(zone !== '' && { 'topology.kubernetes.io/zone': zone }),
    ...(subZone !== '' && { 'topology.istio.io/subzone': subZone }),
  };
}
