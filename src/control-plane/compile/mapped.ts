import { ShardedMap } from '../../runtime/sharded-map.js';
import type { PieceChange } from './pieces.js';

/** What each resource of a map comes to, made anew only for those that change. */
export class Mapped<A, B> {
  readonly #make: (resource: A) => B;
  #last: { readonly from: ShardedMap<A>; readonly to: ShardedMap<B> } | undefined;

  constructor(make: (resource: A) => B) {
    this.#make = make;
  }

  /** The map, and what is not as in the one before. */
  of(from: ShardedMap<A>): { readonly map: ShardedMap<B>; readonly changes: readonly PieceChange<B>[] } {
    const last = this.#last ?? { from: ShardedMap.from<A>([]), to: ShardedMap.from<B>([]) };
    const changes: PieceChange<B>[] = [];
    const changed: [string, B | undefined][] = [];
    for (const [name, , resource] of last.from.changesTo(from)) {
      const after = resource === undefined ? undefined : this.#make(resource);
      changes.push({ before: last.to.get(name), after });
      changed.push([name, after]);
    }
    const to = changed.length === 0 ? last.to : last.to.with(changed);
    this.#last = { from, to };
    return { map: to, changes };
  }
}
