import { listRead } from './derived.js';
import { type AnyQuestion, isSameAnswer, type Reads } from './reads.js';
import type { ConfigView, Document, KindName } from './view.js';

/**
 * What many things stand on that were made of documents, in short: as long as it is the same, none of them needs to be
 * looked at. It only grows: what stood on a part of it may be gone.
 */
export class Ground {
  readonly #lists = new Map<KindName, readonly Document[]>();
  readonly #bases = new Map<AnyQuestion<ConfigView>, unknown>();
  #isSettled = false;

  add(reads: Reads<ConfigView>): void {
    for (const [question, key] of reads.asked()) {
      const kind = listRead(question, key);
      if (kind !== undefined) {
        if (!this.#lists.has(kind)) this.#lists.set(kind, []);
      } else if (!this.#bases.has(question)) this.#bases.set(question, undefined);
    }
  }

  /** Everything was made of this view, or holds for it. */
  settle(view: ConfigView): void {
    for (const kind of this.#lists.keys()) this.#lists.set(kind, view.list(kind));
    for (const question of this.#bases.keys()) this.#bases.set(question, question.basis?.(view));
    this.#isSettled = true;
  }

  holds(view: ConfigView): boolean {
    if (!this.#isSettled) return false;
    for (const [kind, list] of this.#lists) if (!isSameAnswer(view.list(kind), list)) return false;
    for (const [question, basis] of this.#bases) {
      // What has no basis may always be another.
      if (question.basis === undefined || question.basis(view) !== basis) return false;
    }
    return true;
  }
}
