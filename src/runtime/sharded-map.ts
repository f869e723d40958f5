/** Of 256 parts each is small enough to copy at every change, up to some hundred thousand entries. */
const SHARDS = 256;

/**
 * An immutable map of which a changed copy costs little, and of which two copies can be compared without looking at all
 * they share.
 */
export class ShardedMap<V> implements ReadonlyMap<string, V> {
  readonly size: number;
  readonly #shards: readonly ReadonlyMap<string, V>[];

  private constructor(shards: readonly ReadonlyMap<string, V>[], size: number) {
    this.#shards = shards;
    this.size = size;
  }

  static from<V>(entries: Iterable<readonly [string, V]>): ShardedMap<V> {
    const shards: Map<string, V>[] = Array.from({ length: SHARDS }, () => new Map());
    for (const [key, value] of entries) shards[shardOf(key)]?.set(key, value);
    return new ShardedMap<V>(
      shards,
      shards.reduce((sum, shard) => sum + shard.size, 0),
    );
  }

  /** A copy with other values for some keys; undefined = without the key. */
  with(changes: Iterable<readonly [string, V | undefined]>): ShardedMap<V> {
    const shards = [...this.#shards];
    const copied = new Map<number, Map<string, V>>();
    let { size } = this;
    for (const [key, value] of changes) {
      const at = shardOf(key);
      const shard = copied.get(at) ?? new Map(shards[at]);
      copied.set(at, shard);
      size -= shard.size;
      if (value === undefined) shard.delete(key);
      else shard.set(key, value);
      size += shard.size;
    }
    for (const [at, shard] of copied) shards[at] = shard;
    return new ShardedMap(shards, size);
  }

  /** A copy that has these entries, and shares what is the same. */
  replacedBy(entries: ReadonlyMap<string, V>): ShardedMap<V> {
    const changes: [string, V | undefined][] = [];
    for (const key of this.keys()) if (!entries.has(key)) changes.push([key, undefined]);
    for (const [key, value] of entries)
      if (this.get(key) !== value || !this.has(key)) changes.push([key, value]);
    return changes.length === 0 ? this : this.with(changes);
  }

  /** The keys whose values are not the same in another copy, with both values. */
  *changesTo(later: ShardedMap<V>): Generator<readonly [string, V | undefined, V | undefined]> {
    if (this === later) return;
    for (let at = 0; at < SHARDS; at++) {
      const before = this.#shards[at];
      const after = later.#shards[at];
      if (before === after || before === undefined || after === undefined) continue;
      for (const [key, value] of after) if (before.get(key) !== value) yield [key, before.get(key), value];
      for (const [key, value] of before) if (!after.has(key)) yield [key, value, undefined];
    }
  }

  get(key: string): V | undefined {
    return this.#shards[shardOf(key)]?.get(key);
  }

  has(key: string): boolean {
    return this.#shards[shardOf(key)]?.has(key) === true;
  }

  forEach(act: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this) act(value, key, this);
  }

  *entries(): MapIterator<[string, V]> {
    for (const shard of this.#shards) yield* shard.entries();
  }

  *keys(): MapIterator<string> {
    for (const shard of this.#shards) yield* shard.keys();
  }

  *values(): MapIterator<V> {
    for (const shard of this.#shards) yield* shard.values();
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries();
  }
}

/** FNV-1a. */
function shardOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash ^ (hash >>> 16)) & (SHARDS - 1);
}
