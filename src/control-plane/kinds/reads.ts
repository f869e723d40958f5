/**
 * A question that is asked of something immutable, of which there will be a later state: with the same answer there,
 * whatever follows from the answer is the same.
 */
export interface Question<W, K = unknown, A = unknown> {
  (world: W, key: K): A;
  /** What all answers follow from: where it is the same object, they are the same. */
  readonly basis?: ((world: W) => unknown) | undefined;
  /** Whether two answers come to the same. Default `isSameAnswer`. */
  readonly isSame?: ((left: A, right: A) => boolean) | undefined;
}

/** A question, whatever its keys and answers are. */
export interface AnyQuestion<W> {
  (world: W, key: never): unknown;
  readonly basis?: ((world: W) => unknown) | undefined;
  readonly isSame?: ((left: never, right: never) => boolean) | undefined;
}

interface Read<W> {
  readonly ask: AnyQuestion<W>;
  readonly key: unknown;
  readonly answer: unknown;
  /** Of the state in which the answer was last seen to hold. */
  basis: unknown;
}

/** Of so many it is not looked up any more, but indexed, which were asked before. */
const FEW = 8;

/** Everything that was asked while something was made. What was made holds as long as the answers do. */
export class Reads<W> {
  readonly #reads: Read<W>[] = [];
  /** While much is asked. */
  #asked: Map<unknown, Set<unknown>> | undefined;

  /** Asks, and remembers the answer. */
  ask<K, A>(world: W, question: Question<W, K, A>, key: K): A {
    const answer = question(world, key);
    if (!this.#isKnown(question, key))
      this.#reads.push({ ask: question, key, answer, basis: question.basis?.(world) });
    return answer;
  }

  /** Whether all answers are what they were. */
  hold(world: W): boolean {
    return this.#reads.every((read) => {
      const { isSame = isSameAnswer, basis: basisOf } = read.ask;
      const basis = basisOf?.(world);
      if (basis !== undefined && basis === read.basis) return true;
      // It was asked with this key, and such are its answers.
      const holds = isSame(read.ask(world, read.key as never) as never, read.answer as never);
      if (holds) read.basis = basis;
      return holds;
    });
  }

  /** What was asked. */
  *asked(): Iterable<readonly [AnyQuestion<W>, unknown]> {
    for (const { ask, key } of this.#reads) yield [ask, key];
  }

  /** Nothing is asked any more. */
  end(): void {
    this.#asked = undefined;
  }

  #isKnown(question: unknown, key: unknown): boolean {
    if (this.#reads.length < FEW) return this.#reads.some((one) => one.ask === question && one.key === key);
    if (this.#asked === undefined) {
      this.#asked = new Map();
      for (const { ask, key: own } of this.#reads) setOf(this.#asked, ask).add(own);
    }
    const keys = setOf(this.#asked, question);
    if (keys.has(key)) return true;
    keys.add(key);
    return false;
  }
}

function setOf(map: Map<unknown, Set<unknown>>, key: unknown): Set<unknown> {
  let set = map.get(key);
  if (set === undefined) {
    set = new Set();
    map.set(key, set);
  }
  return set;
}

/** Answers are the same objects, lists of such, or documents that say the same. */
export function isSameAnswer(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (Array.isArray(left)) {
    return (
      Array.isArray(right) &&
      left.length === right.length &&
      left.every((one, at) => isSameAnswer(one, right[at]))
    );
  }
  return isDocument(left) && isDocument(right) && CONTENT.every((field) => left[field] === right[field]);
}

/** What documents say. Where they stand may change under the same content. */
const CONTENT = ['spec', 'labels', 'annotations', 'namespace', 'name', 'kind', 'order'] as const;

function isDocument(value: unknown): value is Readonly<Record<(typeof CONTENT)[number], unknown>> {
  return (
    typeof value === 'object' && value !== null && 'spec' in value && 'order' in value && 'kind' in value
  );
}
