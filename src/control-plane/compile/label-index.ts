import { selects } from '../mesh/visibility.js';

export type Labels = Readonly<Record<string, string>>;

interface Labelled {
  readonly namespace: string;
}

interface Group<T> {
  readonly all: Map<string, T>;
  /** By `key=value`. */
  readonly byLabel: Map<string, Map<string, T>>;
}

/** Finds what a selector chooses without looking at everything. */
export class LabelIndex<T extends Labelled> {
  readonly #setsOf: (item: T) => readonly Labels[];
  readonly #groups = new Map<string, Group<T>>();

  /** An item may have several sets of labels: one that matches is enough. */
  constructor(setsOf: (item: T) => readonly Labels[]) {
    this.#setsOf = setsOf;
  }

  add(key: string, item: T): void {
    let group = this.#groups.get(item.namespace);
    if (group === undefined) {
      group = { all: new Map(), byLabel: new Map() };
      this.#groups.set(item.namespace, group);
    }
    group.all.set(key, item);
    for (const pair of this.#pairsOf(item)) {
      const having = group.byLabel.get(pair);
      if (having === undefined) group.byLabel.set(pair, new Map([[key, item]]));
      else having.set(key, item);
    }
  }

  delete(key: string, item: T): void {
    const group = this.#groups.get(item.namespace);
    if (group === undefined) return;
    group.all.delete(key);
    for (const pair of this.#pairsOf(item)) {
      const having = group.byLabel.get(pair);
      having?.delete(key);
      if (having?.size === 0) group.byLabel.delete(pair);
    }
    if (group.all.size === 0) this.#groups.delete(item.namespace);
  }

  /** In order of keys, whatever came first. An empty selector chooses all of the namespace. */
  find(namespace: string, selector: Labels = {}): readonly T[] {
    const group = this.#groups.get(namespace);
    if (group === undefined) return [];
    let fewest: ReadonlyMap<string, T> = group.all;
    for (const pair of pairsIn(selector)) {
      const having = group.byLabel.get(pair);
      if (having === undefined) return [];
      if (having.size < fewest.size) fewest = having;
    }
    return [...fewest]
      .filter(([, item]) => this.#setsOf(item).some((labels) => selects(selector, labels)))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, item]) => item);
  }

  #pairsOf(item: T): ReadonlySet<string> {
    return new Set(this.#setsOf(item).flatMap(pairsIn));
  }
}

/** Each label as one text. */
export function pairsIn(labels: Labels): readonly string[] {
  return Object.entries(labels).map(([key, value]) => `${key}=${value}`);
}
