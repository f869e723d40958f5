import { ShardedMap } from '../../runtime/sharded-map.js';
import type { PieceChange } from './pieces.js';

/** Named resources of many pieces in one map, which follows the pieces at the cost of what changes. */
export class Joined<T, R> {
  readonly #resourcesOf: (piece: T) => Iterable<readonly [string, R]>;
  /** How many pieces have something of that name, where it is more than one. */
  readonly #shared = new Map<string, number>();
  #map: ShardedMap<R> | undefined;

  constructor(resourcesOf: (piece: T) => Iterable<readonly [string, R]>) {
    this.#resourcesOf = resourcesOf;
  }

  /** The resources after some pieces changed; `all` has every piece, in order: of one name the last counts. */
  after(changes: readonly PieceChange<T>[], all: () => Iterable<T>): ShardedMap<R> {
    const before = this.#map;
    const map =
      before === undefined || this.#shared.size > 0 ? this.#anew(all()) : this.#changed(before, changes, all);
    this.#map = map;
    return map;
  }

  #anew(all: Iterable<T>): ShardedMap<R> {
    const resources = new Map<string, R>();
    this.#shared.clear();
    for (const piece of all) {
      for (const [name, resource] of this.#resourcesOf(piece)) {
        if (resources.has(name)) this.#shared.set(name, (this.#shared.get(name) ?? 1) + 1);
        resources.set(name, resource);
      }
    }
    return this.#map?.replacedBy(resources) ?? ShardedMap.from(resources);
  }

  #changed(before: ShardedMap<R>, changes: readonly PieceChange<T>[], all: () => Iterable<T>): ShardedMap<R> {
    if (changes.length === 0) return before;
    const different = new Map<string, R | undefined>();
    for (const { before: piece } of changes)
      for (const [name] of this.#namesOf(piece)) different.set(name, undefined);
    for (const { after: piece } of changes) {
      for (const [name, resource] of this.#namesOf(piece)) {
        const taken = different.has(name) ? different.get(name) : before.get(name);
        // Which of two pieces counts is a matter of their order.
        if (taken !== undefined) return this.#anew(all());
        different.set(name, resource);
      }
    }
    return before.with(different);
  }

  #namesOf(piece: T | undefined): Iterable<readonly [string, R]> {
    return piece === undefined ? [] : this.#resourcesOf(piece);
  }
}
