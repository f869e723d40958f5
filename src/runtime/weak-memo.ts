/** Remembers what was made from some objects, for as long as these live. */
export class WeakMemo<T> {
  readonly #root = new Level<T>();

  /** What was made from these very objects, in this order; makes it the first time. There must be at least one. */
  get(keys: readonly object[], make: () => T): T {
    let level = this.#root;
    for (const key of keys) level = level.below(key);
    level.made ??= { value: make() };
    return level.made.value;
  }
}

class Level<T> {
  made: { readonly value: T } | undefined;
  readonly #below = new WeakMap<object, Level<T>>();

  below(key: object): Level<T> {
    let level = this.#below.get(key);
    if (level === undefined) {
      level = new Level();
      this.#below.set(key, level);
    }
    return level;
  }
}
