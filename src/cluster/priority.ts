import type { Host } from './host.js';
import type { HostSet } from './host-set.js';

/** What the load of a priority depends on: numbers of hosts or, for weighted health, sums of their weights. */
export interface PrioritySummary {
  readonly hosts: number;
  readonly healthy: number;
  readonly degraded: number;
  readonly excluded: number;
  /** In percent; 140 by default. */
  readonly overprovisioningFactor: number;
  /** Weights in place of the numbers above for availability (Envoy `weighted_priority_health`). */
  readonly weights?: {
    readonly hosts: number;
    readonly healthy: number;
    readonly degraded: number;
    readonly excluded: number;
  };
}

/** How requests are spread over priorities, in percent; index = priority. */
export interface PriorityShares {
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
}

/** What a cluster's hosts can take. */
export interface PriorityLoad extends PriorityShares {
  /** In panic all hosts of the priority are used, whatever their health. */
  readonly panic: readonly boolean[];
  /** What each priority could take, in percent, whatever it gets (Envoy per-priority health). */
  readonly available: PriorityShares;
}

/** Envoy's distribution of load over priorities (`LoadBalancerBase::recalculatePerPriorityState` and panic). */
export function priorityLoad(
  priorities: readonly PrioritySummary[],
  panicThresholdPercent: number,
): PriorityLoad {
  const healthy = priorities.map((one) => availability(one, 'healthy'));
  const degraded = priorities.map((one) => availability(one, 'degraded'));
  const total = Math.min(100, sum(healthy) + sum(degraded));
  const available = { healthy, degraded };
  const threshold = Math.min(100, panicThresholdPercent);
  // Panic is judged only while the cluster as a whole can't carry the load.
  const panic = priorities.map((one) => total < 100 && threshold > 0 && isBelow(one, threshold));
  if (priorities.length > 0 && panic.every(Boolean)) {
    const degraded = priorities.map(() => 0);
    return { healthy: byHostCount(priorities), degraded, panic, available };
  }
  return { ...spread(healthy, degraded, total), panic, available };
}

function availability(one: PrioritySummary, kind: 'healthy' | 'degraded'): number {
  if (one.hosts <= one.excluded) return 0;
  const counted = one.weights ?? one;
  const total = counted.hosts - counted.excluded;
  return Math.min(100, Math.floor((one.overprovisioningFactor * counted[kind]) / total));
}

function isBelow({ hosts, excluded, healthy, degraded }: PrioritySummary, threshold: number): boolean {
  const counted = hosts - excluded;
  const usable = counted === 0 ? 0 : (100 * healthy) / counted + (100 * degraded) / counted;
  return usable < threshold;
}

/** Load by availability, in order of priority; `total` is their sum, at most 100. */
export function spread(
  healthyAvailability: readonly number[],
  degradedAvailability: readonly number[],
  total: number,
): { healthy: number[]; degraded: number[] } {
  // Nothing is available and panic is off: the load stands at priority 0, where nobody can be picked.
  if (total === 0) {
    return {
      healthy: healthyAvailability.map((_, priority) => (priority === 0 ? 100 : 0)),
      degraded: degradedAvailability.map(() => 0),
    };
  }
  let left = 100;
  const take = (available: number) => {
    const load = Math.min(left, Math.floor((available * 100) / total));
    left -= load;
    return load;
  };
  const healthy = healthyAvailability.map(take);
  const degraded = degradedAvailability.map(take);
  // What rounding left over goes to the first priority that can take it.
  const first = healthyAvailability.findIndex((available) => available > 0);
  if (first >= 0) addTo(healthy, first, left);
  else
    addTo(
      degraded,
      degradedAvailability.findIndex((available) => available > 0),
      left,
    );
  return { healthy, degraded };
}

/** In total panic the number of hosts decides, healthy or not. */
function byHostCount(priorities: readonly PrioritySummary[]): number[] {
  const total = sum(priorities.map(({ hosts }) => hosts));
  if (total === 0) return priorities.map((_, priority) => (priority === 0 ? 100 : 0));
  const load = priorities.map(({ hosts }) => Math.floor((100 * hosts) / total));
  addTo(
    load,
    priorities.findIndex(({ hosts }) => hosts > 0),
    100 - sum(load),
  );
  return load;
}

function addTo(load: number[], at: number, amount: number): void {
  load[at] = (load[at] ?? 0) + amount;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** The load of a cluster's hosts. */
export function priorityLoadOf(sets: readonly HostSet[], panicThresholdPercent: number): PriorityLoad {
  return priorityLoad(sets.map(summarize), panicThresholdPercent);
}

function summarize(set: HostSet): PrioritySummary {
  const { hosts, healthy, degraded, excluded, overprovisioningFactor } = set;
  const numbers = {
    hosts: hosts.length,
    healthy: healthy.length,
    degraded: degraded.length,
    excluded,
    overprovisioningFactor,
  };
  return set.weightedPriorityHealth ? { ...numbers, weights: weightsOf(set) } : numbers;
}

function weightsOf({ hosts, healthy, degraded }: HostSet): NonNullable<PrioritySummary['weights']> {
  return {
    hosts: totalWeight(hosts),
    healthy: totalWeight(healthy),
    degraded: totalWeight(degraded),
    excluded: totalWeight(hosts.filter(({ isExcluded }) => isExcluded)),
  };
}

function totalWeight(hosts: readonly Host[]): number {
  return hosts.reduce((total, { weight }) => total + weight, 0);
}

/**
 * Envoy: `value` is `hash % 100 + 1`; healthy loads, then degraded loads in order of priority. Says 2 x priority, and
 * one more when its degraded hosts are to serve.
 */
export function choosePriority({ healthy, degraded }: PriorityShares, value: number): number {
  let left = value;
  for (let priority = 0; priority < healthy.length; priority++) {
    left -= healthy[priority] ?? 0;
    if (left <= 0) return 2 * priority;
  }
  for (let priority = 0; priority < degraded.length; priority++) {
    left -= degraded[priority] ?? 0;
    if (left <= 0) return 2 * priority + 1;
  }
  return 0;
}

/** Envoy: whether too few hosts of one priority are usable. */
export function isInPanic(set: HostSet, thresholdPercent: number): boolean {
  return isBelow(summarize(set), Math.min(100, thresholdPercent));
}
