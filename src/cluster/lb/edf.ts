interface Entry<T> {
  readonly item: T;
  deadline: number;
  order: number;
}

/** Envoy's bound on notional picks at the start. */
export const MAX_PREPICKS = 429_496_729;

/**
 * Earliest deadline first: an item's deadline grows by 1/weight with each pick, so that picks are spread evenly in
 * proportion to the weights. Ties go to the entry that was put back first; a weight is read when the entry is put back.
 */
export class EdfSchedule<T> {
  readonly #heap: Entry<T>[] = [];
  readonly #weightOf: (item: T) => number;
  #order = 0;

  /** `prepicks` is how many picks are taken as done, so that many clients do not start with the same item. */
  constructor(items: readonly T[], weightOf: (item: T) => number, prepicks = 0) {
    this.#weightOf = weightOf;
    const weights = items.map(weightOf);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let left = prepicks;
    items.forEach((item, i) => {
      const weight = weights[i] ?? 1;
      const picks = Math.floor((weight * prepicks) / total);
      left -= picks;
      this.#push({ item, deadline: (picks + 1) / weight, order: this.#order++ });
    });
    for (; left > 0 && this.#heap.length > 0; left--) this.pick();
  }

  /** The next item; undefined when there are none. */
  pick(): T | undefined {
    const first = this.#heap[0];
    if (first === undefined) return undefined;
    first.deadline += 1 / this.#weightOf(first.item);
    first.order = this.#order++;
    this.#sink(first);
    return first.item;
  }

  #push(entry: Entry<T>): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || !isBefore(entry, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = entry;
  }

  #sink(entry: Entry<T>): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      let child = heap[down];
      if (child === undefined) break;
      const right = heap[down + 1];
      if (right !== undefined && isBefore(right, child)) {
        child = right;
        down++;
      }
      if (!isBefore(child, entry)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = entry;
  }
}

function isBefore<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order);
}
