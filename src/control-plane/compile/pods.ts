import type { RegisteredService, RegistrySnapshot } from '../registry/snapshot.js';
import { LabelIndex, type Labels } from './label-index.js';

const labelSets = new WeakMap<RegisteredService, readonly Labels[]>();

/** The different sets of labels that workloads of a name have; few, however many workloads there are. */
export function labelSetsOf(registered: RegisteredService): readonly Labels[] {
  let sets = labelSets.get(registered);
  if (sets === undefined) {
    sets = [...new Map(registered.workloads.map(({ labels }) => [JSON.stringify(labels), labels])).values()];
    labelSets.set(registered, sets);
  }
  return sets;
}

/** Whether they registered as the members of a WorkloadGroup, under no service's name. */
export function isOfMembers({ workloads }: RegisteredService): boolean {
  return workloads[0]?.isMember === true;
}

/** Finds registered workloads by their labels; follows the registry at the cost of what changes. */
export class PodIndex {
  #index = new LabelIndex<RegisteredService>(labelSetsOf);
  #indexed: RegistrySnapshot['services'] | undefined;

  /** Who registered under which names, some of whose workloads are chosen. */
  find(
    { services }: RegistrySnapshot,
    namespace: string,
    selector: Labels | undefined,
  ): readonly RegisteredService[] {
    this.#follow(services);
    return this.#index.find(namespace, selector);
  }

  #follow(services: RegistrySnapshot['services']): void {
    const before = this.#indexed;
    this.#indexed = services;
    if (before === undefined) {
      for (const [key, one] of services) this.#index.add(key, one);
      return;
    }
    for (const [key, then, now] of before.changesTo(services)) {
      if (then !== undefined) this.#index.delete(key, then);
      if (now !== undefined) this.#index.add(key, now);
    }
  }
}
