import type { SubsetPolicy } from '../../../model/lb-policy.js';
import { LB_NAMESPACE, type MetadataStruct } from '../../../model/metadata.js';
import type { Clock } from '../../../runtime/clock.js';
import { isEqual } from '../../../runtime/equal.js';
import type { Host, HostHealth } from '../../host.js';
import type { HostSet } from '../../host-set.js';
import { hasPairs, selectorKey, subsetKeysOf } from './criteria.js';
import { HostSubset, type Member, SingleHostSubset, type Subset, type SubsetScope } from './subset.js';

const NO_LABELS: MetadataStruct = {};

/** A host as it was when the subsets were last looked through. */
interface Known extends Member {
  subsets: readonly Subset[];
  labels: MetadataStruct;
  health: HostHealth;
  isExcluded: boolean;
  weight: number;
  hostname: string;
  seen: number;
}

/**
 * Which hosts are in which subsets. An update goes through all hosts once, to see what changed; only the subsets of
 * hosts that did are prepared anew, and those when they are next asked for.
 */
export class Partition {
  /** Those that have hosts, by the values that their hosts share. */
  readonly subsets = new Map<string, Subset>();
  readonly byDefault: Subset;
  created = 0;
  removed = 0;
  readonly #scope: SubsetScope;
  readonly #clock: Clock;
  readonly #selectors: SubsetPolicy['selectors'];
  readonly #known = new Map<Host, Known>();
  #round = 0;

  constructor(scope: SubsetScope, clock: Clock) {
    this.#scope = scope;
    this.#clock = clock;
    this.byDefault = new HostSubset(scope);
    // Envoy: of selectors with the same keys the first says what its subsets are.
    const byKeys = new Map([...scope.policy.selectors].reverse().map((one) => [selectorKey(one.keys), one]));
    this.#selectors = [...byKeys.values()].reverse();
  }

  /** Takes over the hosts of the scope; says whether subsets came or went. */
  update(before: readonly HostSet[]): boolean {
    const { created, removed } = this;
    const { sets } = this.#scope;
    this.#round++;
    const isAnew = !this.#seeAll(sets) || !isSameFrame(before, sets);
    for (const known of this.#known.values()) if (known.seen !== this.#round) this.#forget(known);
    this.#purge();
    if (isAnew) for (const subset of [this.byDefault, ...this.subsets.values()]) subset.touch();
    return created !== this.created || removed !== this.removed;
  }

  /** Looks through all hosts; says whether those that were known are in the order of before. */
  #seeAll(sets: readonly HostSet[]): boolean {
    let index = 0;
    let last = -1;
    let isInOrder = true;
    for (const [priority, { localities }] of sets.entries()) {
      for (const [locality, { hosts }] of localities.entries()) {
        for (const host of hosts) {
          const known = this.#known.get(host);
          if (known !== undefined) {
            // The order of hosts is part of every choice.
            isInOrder &&= known.index > last;
            last = known.index;
          }
          this.#see(host, known, { host, index: index++, priority, locality });
        }
      }
    }
    return isInOrder;
  }

  /** Hosts that no subset of a single host took. */
  get singleHostDuplicates(): number {
    let count = 0;
    for (const subset of this.subsets.values()) {
      if (!(subset instanceof SingleHostSubset)) continue;
      const priorities = new Set([...subset.members].map(({ priority }) => priority));
      count += subset.members.size - priorities.size;
    }
    return count;
  }

  unreachable(host: Host): void {
    for (const subset of this.#known.get(host)?.subsets ?? []) subset.unreachable(host);
  }

  close(): void {
    for (const subset of [this.byDefault, ...this.subsets.values()]) subset.close();
  }

  #see(host: Host, known: Known | undefined, place: Member): void {
    const { health, isExcluded, weight, hostname } = host;
    const labels = host.endpoint.metadata[LB_NAMESPACE] ?? NO_LABELS;
    // Slow start begins now, though the subset may be prepared later.
    if (health === 'healthy') host.healthySinceMs ??= this.#clock.now();
    if (known === undefined) {
      const fresh = {
        ...place,
        subsets: [],
        labels,
        health,
        isExcluded,
        weight,
        hostname,
        seen: this.#round,
      };
      this.#known.set(host, fresh);
      this.#join(fresh);
      return;
    }
    const isSame =
      known.health === health &&
      known.isExcluded === isExcluded &&
      known.weight === weight &&
      known.hostname === hostname &&
      known.priority === place.priority &&
      known.locality === place.locality;
    const isLabelled = known.labels === labels || isEqual(known.labels, labels);
    // Field by field: this runs for every host of a cluster with each of its updates.
    known.index = place.index;
    known.priority = place.priority;
    known.locality = place.locality;
    known.labels = labels;
    known.health = health;
    known.isExcluded = isExcluded;
    known.weight = weight;
    known.hostname = hostname;
    known.seen = this.#round;
    if (!isLabelled) this.#join(known);
    // Labels may be what a hash table knows a host by, too.
    if (!isSame || !isLabelled) for (const subset of known.subsets) subset.touch();
  }

  /** Puts a host into the subsets of its labels, and takes it out of the others. */
  #join(known: Known): void {
    const next = new Set<Subset>();
    const { defaultSubset, listAsAny } = this.#scope.policy;
    if (hasPairs(known.labels, defaultSubset, listAsAny)) next.add(this.byDefault);
    for (const { keys, singleHostPerSubset } of this.#selectors) {
      for (const key of subsetKeysOf(known.labels, keys, listAsAny)) {
        next.add(this.subsets.get(key) ?? this.#create(key, singleHostPerSubset));
      }
    }
    for (const subset of known.subsets) if (!next.has(subset)) leave(subset, known);
    for (const subset of next) {
      if (subset.members.has(known)) continue;
      subset.members.add(known);
      subset.touch();
    }
    known.subsets = [...next];
  }

  #forget(known: Known): void {
    this.#known.delete(known.host);
    for (const subset of known.subsets) leave(subset, known);
  }

  #create(key: string, isSingle: boolean): Subset {
    const subset = isSingle ? new SingleHostSubset() : new HostSubset(this.#scope);
    this.subsets.set(key, subset);
    this.created++;
    return subset;
  }

  #purge(): void {
    for (const [key, subset] of this.subsets) {
      if (subset.members.size > 0) continue;
      this.subsets.delete(key);
      subset.close();
      this.removed++;
    }
  }
}

function leave(subset: Subset, known: Known): void {
  subset.members.delete(known);
  subset.touch();
}

/** Whether all that subsets take from the cluster besides its hosts is as before. */
function isSameFrame(before: readonly HostSet[], sets: readonly HostSet[]): boolean {
  return (
    before.length === sets.length &&
    sets.every((set, priority) => {
      const old = before[priority];
      return (
        old !== undefined &&
        old.overprovisioningFactor === set.overprovisioningFactor &&
        old.weightedPriorityHealth === set.weightedPriorityHealth &&
        old.localities.length === set.localities.length &&
        set.localities.every(({ weight, locality, hosts }, i) => {
          const one = old.localities[i];
          // The number of hosts is what weights are scaled by.
          return (
            one?.weight === weight && one.hosts.length === hosts.length && isEqual(one.locality, locality)
          );
        })
      );
    })
  );
}
