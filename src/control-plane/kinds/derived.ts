import type { Steps } from '../../runtime/steps.js';
import { isSameAnswer, type Question, Reads } from './reads.js';
import type { ConfigView, Document, KindName } from './view.js';

/** Makes something of documents; it must not keep the view. */
type Compute<T> = (view: ConfigView) => T;

/** What of the former result is kept in the new one, so that who depends on it sees that it is the same. */
type Keep<T> = (before: T, after: T) => T;

function keepSame<T>(before: T, after: T): T {
  return isSameAnswer(before, after) ? before : after;
}

/** What follows from documents, remembered with them. */
export type Derived<T> = Question<ConfigView, undefined, T> & ((view: ConfigView) => T);

interface Entry {
  readonly reads: Reads<ConfigView>;
  readonly value: unknown;
  /** For which it was last seen to hold. */
  view: WeakRef<ConfigView>;
}

type Memory = Map<object, Entry | Memory>;

/** One for all views that came after each other. */
const memories = new WeakMap<ConfigView, Memory>();

function memoryOf(view: ConfigView): Memory {
  let memory = memories.get(view);
  if (memory === undefined) {
    memory = new Map();
    memories.set(view, memory);
  }
  return memory;
}

/** A view follows another: what was derived from documents that are the same in both is not derived again. */
export function follow(view: ConfigView, before: ConfigView): void {
  memories.set(view, memoryOf(before));
}

/**
 * What follows from documents: made once, and made again only when one of those lists and documents is another that were
 * read while it was made. Who reads it depends on it alone, and so on nothing as long as it stays the same.
 */
export function derived<T>(compute: Compute<T>, keep: Keep<T> = keepSame): Derived<T> {
  const find = (given: ConfigView): T => {
    if (given instanceof RecordingView) return given.ask(question, undefined);
    const memory = memoryOf(given);
    // Under each question is what answers it.
    const known = memory.get(question) as (Entry & { readonly value: T }) | undefined;
    if (known !== undefined) {
      if (known.view.deref() === given) return known.value;
      if (known.reads.hold(given)) {
        known.view = new WeakRef(given);
        return known.value;
      }
    }
    const { value: made, reads } = record(given, compute);
    const value = known === undefined ? made : keep(known.value, made);
    memory.set(question, { reads, value, view: new WeakRef(given) });
    return value;
  };
  const question: Derived<T> = Object.assign((view: ConfigView) => find(view), { basis: find });
  return question;
}

/** A part of what is derived, found by a key: who reads it depends on that part alone. */
export function lookup<I, K, A>(
  index: (view: ConfigView) => I,
  find: (index: I, key: K) => A,
  isSame?: (left: A, right: A) => boolean,
): (view: ConfigView, key: K) => A {
  const question: Question<ConfigView, K, A> = Object.assign(
    (view: ConfigView, key: K): A =>
      view instanceof RecordingView ? view.ask(question, key) : find(index(view), key),
    { basis: index, isSame },
  );
  return question;
}

/** Makes something of a view and tells what was read for it. */
export function record<T>(
  view: ConfigView,
  compute: Compute<T>,
): { readonly value: T; readonly reads: Reads<ConfigView> } {
  const reads = new Reads<ConfigView>();
  const recording = new RecordingView(view, reads);
  const value = compute(recording);
  recording.end();
  return { value, reads };
}

/** The same for what is made with pauses. */
export function* recordSteps<T>(
  view: ConfigView,
  compute: (view: ConfigView) => Steps<T>,
): Steps<{ readonly value: T; readonly reads: Reads<ConfigView> }> {
  const reads = new Reads<ConfigView>();
  const recording = new RecordingView(view, reads);
  const value = yield* compute(recording);
  recording.end();
  return { value, reads };
}

const listOf: Question<ConfigView, KindName, readonly Document[]> = (view, kind) => view.list(kind);

const documentAt: Question<ConfigView, string, Document | undefined> = (view, key) => {
  const [kind, namespace = '', name = ''] = key.split('/');
  // Such keys are made below alone.
  return view.get(kind as KindName, namespace, name);
};

/** The kind of whose documents a question is about some or all; undefined = it is about what is derived. */
export function listRead(question: unknown, key: unknown): KindName | undefined {
  if (question === listOf) return key as KindName;
  return question === documentAt ? (String(key).split('/')[0] as KindName) : undefined;
}

/** Writes down what is read of a view. */
class RecordingView implements ConfigView {
  readonly #base: ConfigView;
  #reads: Reads<ConfigView> | undefined;

  constructor(base: ConfigView, reads: Reads<ConfigView>) {
    this.#base = base;
    this.#reads = reads;
  }

  get revision(): number {
    return this.ask(revisionOf, undefined);
  }

  list<K extends KindName>(kind: K): readonly Document<K>[] {
    // Filed under its own kind.
    return this.ask(listOf, kind) as readonly Document<K>[];
  }

  get<K extends KindName>(kind: K, namespace: string, name: string): Document<K> | undefined {
    // Filed under its own kind.
    return this.ask(documentAt, `${kind}/${namespace}/${name}`) as Document<K> | undefined;
  }

  ask<K, A>(question: Question<ConfigView, K, A>, key: K): A {
    // What reads later would not be made again when its answer changes.
    if (this.#reads === undefined)
      throw new Error('documents are read after what is derived from them was made');
    return this.#reads.ask(this.#base, question, key);
  }

  end(): void {
    this.#reads?.end();
    this.#reads = undefined;
  }
}

const revisionOf: Question<ConfigView, undefined, number> = ({ revision }) => revision;

/** Kinds of which other documents stand in a view than in the one below. */
export type StandIns = { readonly [K in KindName]?: (below: ConfigView) => readonly Document<K>[] };

/** A view with other documents of some kinds. Views of the same stand-ins over views that follow each other do so, too. */
export function overlay(below: ConfigView, standIns: StandIns): ConfigView {
  const view: ConfigView = Object.freeze({
    revision: below.revision,
    list<K extends KindName>(kind: K): readonly Document<K>[] {
      // Each kind has documents of its own.
      const own = standIns[kind];
      return own === undefined ? below.list(kind) : own(below);
    },
    get: below.get.bind(below),
  });
  const memory = memoryOf(below);
  // Under stand-ins is the memory of the views that have them.
  const own = (memory.get(standIns) as Memory | undefined) ?? new Map();
  memory.set(standIns, own);
  memories.set(view, own);
  return view;
}
