import type { SubsetPolicy } from '../../../model/lb-policy.js';
import type { MetadataStruct } from '../../../model/metadata.js';
import type { Clock } from '../../../runtime/clock.js';
import type { Host } from '../../host.js';
import type { HostSet } from '../../host-set.js';
import type { Balancer, PickContext, Picker, SubsetStats } from '../load-balancer.js';
import { Partition } from './partition.js';
import { type Plan, Planner } from './plans.js';
import { HostSubset, type SubsetScope, wholeSets } from './subset.js';

/** Envoy's subset load balancer. `createChild` makes the policy that chooses within one subset. */
export function subsetBalancer(policy: SubsetPolicy, createChild: () => Balancer, clock: Clock): Balancer {
  return new SubsetBalancer(policy, createChild, clock);
}

class SubsetBalancer implements Balancer {
  readonly delegates = true;
  readonly #scope: SubsetScope;
  readonly #partition: Partition;
  readonly #any: HostSubset;
  readonly #planner: Planner;
  readonly #counts = { selected: 0, fallback: 0, fallbackPanic: 0 };
  /** The plans of routes, as long as no subset comes or goes. */
  #plans = new WeakMap<MetadataStruct, Plan>();
  #withoutCriteria: Plan | undefined;

  constructor(policy: SubsetPolicy, createChild: () => Balancer, clock: Clock) {
    this.#scope = { policy, sets: [], createChild };
    this.#partition = new Partition(this.#scope, clock);
    this.#any = new HostSubset(this.#scope, wholeSets);
    const { subsets, byDefault } = this.#partition;
    this.#planner = new Planner({ policy, subsets, any: this.#any, byDefault });
  }

  picker(sets: readonly HostSet[]): Picker {
    const before = this.#scope.sets;
    this.#scope.sets = sets;
    this.#any.touch();
    if (this.#partition.update(before)) {
      this.#plans = new WeakMap();
      this.#withoutCriteria = undefined;
    }
    return (context, attempt) => this.#pick(context, attempt);
  }

  subsets(): SubsetStats {
    const { subsets, created, removed, singleHostDuplicates } = this.#partition;
    return { active: subsets.size, created, removed, ...this.#counts, singleHostDuplicates };
  }

  unreachable(host: Host): void {
    this.#any.unreachable(host);
    this.#partition.unreachable(host);
  }

  close(): void {
    this.#any.close();
    this.#partition.close();
  }

  #pick(context: PickContext, attempt: number): Host | undefined {
    for (const { subset, counts } of this.#planOf(context.metadataMatch)) {
      const host = subset.pick(context, attempt);
      if (counts !== undefined && (host !== undefined || counts === 'selected')) this.#counts[counts]++;
      if (host !== undefined) return host;
    }
    return undefined;
  }

  #planOf(asked: MetadataStruct | undefined): Plan {
    if (asked === undefined) {
      this.#withoutCriteria ??= this.#planner.plan(undefined);
      return this.#withoutCriteria;
    }
    let plan = this.#plans.get(asked);
    if (plan === undefined) {
      plan = this.#planner.plan(asked);
      this.#plans.set(asked, plan);
    }
    return plan;
  }
}
