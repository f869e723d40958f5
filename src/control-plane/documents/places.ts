import { type ConfigDocument, isSameDocument } from './document.js';

/**
 * Gives documents their places in the load order. A document that others come before, or are taken away from before, keeps its
 * place and stays the same object: places are numbers with room between them.
 */
export class Places {
  /** Documents as they were read, and as they stand. */
  readonly #placed = new WeakMap<ConfigDocument, ConfigDocument>();

  /** What is read of a file that was edited: what stayed there keeps its content and its place. */
  follow(before: readonly ConfigDocument[], after: readonly ConfigDocument[]): readonly ConfigDocument[] {
    if (before.length === 0) return after;
    const byKey = new Map(before.map((one) => [one.key, one]));
    return after.map((one) => {
      const last = byKey.get(one.key);
      if (last === undefined) return one;
      const kept = isSameDocument(last, one) ? one.like(last) : one;
      const placed = this.#placed.get(last);
      if (placed !== undefined) this.#placed.set(kept, kept.at(placed.order));
      return kept;
    });
  }

  /** The documents in load order, each with its place. */
  place(documents: readonly ConfigDocument[]): readonly ConfigDocument[] {
    const placed: ConfigDocument[] = [];
    let last = -1;
    while (placed.length < documents.length) {
      const at = placed.length;
      const end = this.#fitting(documents, at, last);
      const next = this.#orderOf(documents[end]) ?? Number.POSITIVE_INFINITY;
      const step = next === Number.POSITIVE_INFINITY ? 1 : (next - last) / (end - at + 1);
      for (const document of documents.slice(at, end)) {
        const order = last + step;
        // There is no number left in between.
        if (!(order > last && order < next)) return documents.map((one, index) => this.#at(one, index));
        placed.push(this.#at(document, order));
        last = order;
      }
      const fitting = documents[end];
      if (fitting !== undefined) placed.push(this.#at(fitting, next));
      last = next;
    }
    return placed;
  }

  /** The first document from there on whose place is after another. */
  #fitting(documents: readonly ConfigDocument[], from: number, after: number): number {
    let at = from;
    while (at < documents.length && (this.#orderOf(documents[at]) ?? after) <= after) at++;
    return at;
  }

  #orderOf(document: ConfigDocument | undefined): number | undefined {
    return document && this.#placed.get(document)?.order;
  }

  #at(document: ConfigDocument, order: number): ConfigDocument {
    const last = this.#placed.get(document);
    if (last?.order === order) return last;
    const now = document.at(order);
    this.#placed.set(document, now);
    return now;
  }
}
