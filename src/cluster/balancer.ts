import { type Random, randomInt } from '../runtime/random.js';
import type { Host } from './host.js';
import type { HostSet, LocalityHosts } from './host-set.js';
import { EdfSchedule, MAX_PREPICKS } from './lb/edf.js';
import type { LoadBalancer, PickContext, Picker } from './lb/load-balancer.js';
import { type PrioritySummary, priorityLoad } from './priority.js';

export interface BalancerOptions {
  readonly loadBalancer: LoadBalancer;
  readonly random: Random;
  readonly panicThresholdPercent: number;
}

/** A list of hosts and its share of the load in percent. */
interface Target {
  readonly share: number;
  readonly picker: Picker;
}

const nobody: Picker = () => undefined;

/**
 * The picker of a whole cluster: chooses the priority and whether healthy or degraded hosts serve, then the locality
 * when localities have weights, then the host. Built anew whenever membership or health changes.
 */
export function createPicker(sets: readonly HostSet[], options: BalancerOptions): Picker {
  if (sets.length === 0) return nobody;
  const load = priorityLoad(sets.map(summarize), options.panicThresholdPercent);
  const targets: Target[] = [];
  for (const kind of ['healthy', 'degraded'] as const) {
    sets.forEach((set, priority) => {
      const share = load[kind][priority] ?? 0;
      if (share === 0) return;
      // Envoy: in panic all hosts of the priority are used, whatever their health.
      const picker =
        load.panic[priority] === true
          ? options.loadBalancer(set.hosts, `${priority}:all`)
          : fromSet(set, kind, `${priority}:${kind}`, options);
      targets.push({ share, picker });
    });
  }
  const [only] = targets;
  if (only !== undefined && targets.length === 1) return only.picker;
  return (context) => {
    // Envoy: `random % 100 + 1`, then healthy loads and degraded loads in order of priority.
    let left = randomInt(options.random, 100) + 1;
    for (const { share, picker } of targets) {
      left -= share;
      if (left <= 0) return picker(context);
    }
    return undefined;
  };
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
  return hosts.reduce((sum, { weight }) => sum + weight, 0);
}

function fromSet(
  set: HostSet,
  kind: 'healthy' | 'degraded',
  source: string,
  options: BalancerOptions,
): Picker {
  const { loadBalancer, random } = options;
  const schedule = localitySchedule(set, kind, randomInt(random, MAX_PREPICKS));
  if (schedule === undefined) return loadBalancer(set[kind], source);
  const pickers = new Map<LocalityHosts, Picker>();
  set.localities.forEach((locality, i) => {
    pickers.set(locality, loadBalancer(locality[kind], `${source}:${i}`));
  });
  return (context) => {
    const locality = schedule.pick();
    return locality === undefined ? undefined : pickers.get(locality)?.(context);
  };
}

/** The schedule over localities, when any of them has weight and hosts. */
export function localitySchedule(
  set: HostSet,
  kind: 'healthy' | 'degraded',
  prepicks: number,
): EdfSchedule<LocalityHosts> | undefined {
  const weights = new Map<LocalityHosts, number>();
  for (const locality of set.localities) {
    const weight = effectiveWeight(locality, kind, set.overprovisioningFactor);
    if (weight > 0) weights.set(locality, weight);
  }
  if (weights.size === 0) return undefined;
  return new EdfSchedule([...weights.keys()], (locality) => weights.get(locality) ?? 1, prepicks);
}

/** Envoy: a locality's weight shrinks with its usable hosts once overprovisioning does not cover the loss. */
function effectiveWeight(
  { weight, hosts, excluded, ...eligible }: LocalityHosts,
  kind: 'healthy' | 'degraded',
  overprovisioningFactor: number,
): number {
  const counted = hosts.length - excluded;
  if (counted <= 0 || eligible[kind].length === 0) return 0;
  return weight * Math.min(1, ((overprovisioningFactor / 100) * eligible[kind].length) / counted);
}

/** Picks until a host comes up that was not tried yet, as often as the policy allows; then takes the last one. */
export function pickAvoiding(picker: Picker, context: PickContext): Host | undefined {
  const { avoid } = context;
  let host = picker(context);
  if (avoid === undefined || avoid.length === 0) return host;
  for (let i = 0; i < context.selectionAttempts && host !== undefined && avoid.includes(host); i++) {
    host = picker(context);
  }
  return host;
}
