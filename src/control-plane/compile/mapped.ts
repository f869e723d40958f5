import { isEqual } from '../../runtime/equal.js';
import { ShardedMap } from '../../runtime/sharded-map.js';
import { Pauses, type Steps } from '../../runtime/steps.js';
import type { PieceChange } from './pieces.js';

interface Made<B> {
  readonly value: B | undefined;
}

/** What each resource of a map comes to, made anew only for those that change. Undefined = it comes to nothing. */
export class Mapped<A extends object, B> {
  readonly #make: (resource: A) => B | undefined;
  #from = ShardedMap.from<A>([]);
  #to = ShardedMap.from<B>([]);
  /** By `prepare`. */
  #made = new WeakMap<A, Made<B>>();

  constructor(make: (resource: A) => B | undefined) {
    this.#make = make;
  }

  /** Makes with pauses what `of` will need; may be left in the middle. */
  *prepare(from: ShardedMap<A>): Steps<void> {
    const pauses = new Pauses();
    for (const [, , resource] of this.#from.changesTo(from)) {
      if (resource === undefined) continue;
      this.#made.set(resource, this.#made.get(resource) ?? { value: this.#make(resource) });
      if (pauses.areDue()) yield;
    }
  }

  /** The map, and what is not as in the one before. What comes to the same is the same object. */
  of(from: ShardedMap<A>): { readonly map: ShardedMap<B>; readonly changes: readonly PieceChange<B>[] } {
    const changes: PieceChange<B>[] = [];
    const changed: [string, B | undefined][] = [];
    for (const [name, , resource] of this.#from.changesTo(from)) {
      const before = this.#to.get(name);
      const after = resource === undefined ? undefined : this.#after(resource);
      if (before === after || isEqual(before, after)) continue;
      changes.push({ before, after });
      changed.push([name, after]);
    }
    if (changed.length > 0) this.#to = this.#to.with(changed);
    this.#from = from;
    this.#made = new WeakMap();
    return { map: this.#to, changes };
  }

  #after(resource: A): B | undefined {
    const made = this.#made.get(resource) ?? { value: this.#make(resource) };
    return made.value;
  }
}
