import type { LocalityBalancing } from '../../model/lb-policy.js';
import { type Random, randomInt } from '../../runtime/random.js';
import type { HostSet } from '../host-set.js';
import { choosePriority, type PriorityLoad, type PriorityShares, priorityLoadOf } from '../priority.js';
import type { LocalZone } from '../zone.js';
import { createLbCounts, type LbCounts } from './lb-counts.js';
import type { Balancer, ListPicker, ListPolicy, PickContext } from './load-balancer.js';
import { localitySchedule } from './locality-weights.js';
import { zoneAware } from './zone-aware.js';

/** What policies that look at one list at a time are made with. */
export interface ListBalancerTools {
  readonly random: Random;
  readonly panicThresholdPercent: number;
  readonly zone?: LocalZone | undefined;
  /** Where picks are counted; by default nowhere. */
  readonly counts?: LbCounts | undefined;
}

const nobody: ListPicker = () => undefined;

/**
 * Chooses in steps: the priority, whether its healthy or degraded hosts serve, the locality, and with a list policy the
 * host. Lists that get no load are not prepared until somebody asks for them.
 */
export function listBalancer(
  list: ListPolicy,
  { locality }: { readonly locality?: LocalityBalancing | undefined },
  tools: ListBalancerTools,
  seed: number,
): Balancer {
  const { random, panicThresholdPercent } = tools;
  return {
    picker(sets) {
      if (sets.length === 0) return nobody;
      const load = priorityLoadOf(sets, panicThresholdPercent);
      const sources = new Sources(sets, load, { ...tools, list, locality, seed });
      const choose = (shares: PriorityShares) =>
        sources.at(choosePriority(shares, randomInt(random, 100) + 1))();
      const only = onlyTarget(load);
      const own = only === undefined ? () => choose(load) : sources.at(only);
      return ({ priorityLoad }: PickContext) =>
        priorityLoad === undefined ? own() : choose(priorityLoad(load));
    },
  };
}

/** The target that gets everything, when there is one. */
function onlyTarget(load: PriorityLoad): number | undefined {
  const healthy = load.healthy.indexOf(100);
  if (healthy >= 0) return 2 * healthy;
  const degraded = load.degraded.indexOf(100);
  return degraded >= 0 ? 2 * degraded + 1 : undefined;
}

interface SourceOptions extends ListBalancerTools {
  readonly list: ListPolicy;
  readonly locality: LocalityBalancing | undefined;
  readonly seed: number;
}

/** The pickers of each priority's healthy (even index) and degraded hosts (odd index). */
class Sources {
  readonly #sets: readonly HostSet[];
  readonly #load: PriorityLoad;
  readonly #options: SourceOptions;
  readonly #pickers: (ListPicker | undefined)[];

  constructor(sets: readonly HostSet[], load: PriorityLoad, options: SourceOptions) {
    this.#sets = sets;
    this.#load = load;
    this.#options = options;
    this.#pickers = sets.flatMap(() => [undefined, undefined]);
  }

  at(target: number): ListPicker {
    let picker = this.#pickers[target];
    if (picker === undefined) {
      picker = this.#create(target >> 1, (target & 1) === 0 ? 'healthy' : 'degraded');
      this.#pickers[target] = picker;
    }
    return picker;
  }

  #create(priority: number, kind: 'healthy' | 'degraded'): ListPicker {
    const set = this.#sets[priority];
    if (set === undefined) return nobody;
    const { list, locality, seed, zone, counts = createLbCounts(), ...rest } = this.#options;
    // Envoy: in panic all hosts of the priority are used, whatever their health.
    if (this.#load.panic[priority] === true) {
      const fails = locality?.kind === 'zone-aware' && locality.failTrafficOnPanic;
      const all = fails ? nobody : list(set.hosts, `${priority}:all`);
      return () => {
        counts.healthyPanic++;
        return all();
      };
    }
    const source = `${priority}:${kind}`;
    if (locality?.kind === 'weighted') {
      return weighted(set, kind, { list, source, seed }) ?? list(set[kind], source);
    }
    // Envoy: only the first priority is zone-aware.
    if (zone === undefined || priority > 0) return list(set[kind], source);
    return zoneAware(set, kind, { ...rest, counts, list, source, zone, config: locality });
  }
}

/** By the weights of localities; undefined when none has any. */
function weighted(
  set: HostSet,
  kind: 'healthy' | 'degraded',
  { list, source, seed }: { readonly list: ListPolicy; readonly source: string; readonly seed: number },
): ListPicker | undefined {
  const schedule = localitySchedule(set, kind, seed);
  if (schedule === undefined) return undefined;
  const pickers = new Map(set.localities.map((one, i) => [one, list(one[kind], `${source}:${i}`)]));
  return () => {
    const locality = schedule.pick();
    return locality === undefined ? undefined : pickers.get(locality)?.();
  };
}
