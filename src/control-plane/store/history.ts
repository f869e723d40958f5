import { isSameDocument, keyOf } from '../documents/document.js';
import { KIND_NAMES } from '../kinds/kinds.js';
import type { ConfigView, Document, KindName } from '../kinds/view.js';
import type { ConfigChange } from './config-store.js';
import type { ObjectName } from './object.js';

/** What happened to one object; without `before` it is new, without `after` it is gone. */
export interface ObjectChange extends ObjectName {
  readonly before?: object | undefined;
  readonly after?: object | undefined;
}

/** One revision of the configuration. */
export interface HistoryEntry {
  readonly revision: number;
  /** Calendar time in milliseconds since 1970. */
  readonly at: number;
  /** `store` for what was written by the API, else the source, such as `files`. */
  readonly source: string;
  readonly author?: string | undefined;
  readonly message?: string | undefined;
  /** Undefined when it was too much to keep. */
  readonly changes: readonly ObjectChange[] | undefined;
  readonly changeCount: number;
}

const MAX_ENTRIES = 100;
/** A source that is read for the first time, or as a whole, is not kept object by object. */
const MAX_KEPT_CHANGES = 1_000;

/** The last revisions, and since which revision each object is as it is. */
export class History {
  #entries: HistoryEntry[] = [];
  readonly #versions = new Map<string, number>();

  /** Newest last. */
  get entries(): readonly HistoryEntry[] {
    return this.#entries;
  }

  add(entry: HistoryEntry): void {
    this.#entries.push(entry);
    if (this.#entries.length > MAX_ENTRIES) this.#entries = this.#entries.slice(-MAX_ENTRIES);
    for (const { kind, namespace, name, after } of entry.changes ?? []) {
      this.setVersion({ kind, namespace, name }, after === undefined ? undefined : entry.revision);
    }
  }

  /** The revision in which the object became what it is. */
  versionOf({ kind, namespace, name }: ObjectName): number | undefined {
    return this.#versions.get(keyOf(kind, namespace, name));
  }

  setVersion({ kind, namespace, name }: ObjectName, revision: number | undefined): void {
    const key = keyOf(kind, namespace, name);
    if (revision === undefined) this.#versions.delete(key);
    else this.#versions.set(key, revision);
  }

  /**
   * What changed after one revision up to another, each object once; backwards when `to` is older. Undefined when that is
   * no longer known.
   */
  between(from: number, to: number): readonly ObjectChange[] | undefined {
    if (from > to) {
      const forward = this.between(to, from);
      return forward?.map(({ before, after, ...name }) => ({ ...name, before: after, after: before }));
    }
    const steps = this.#entries.filter(({ revision }) => revision > from && revision <= to);
    if (from < to && !this.#reaches(from)) return undefined;
    const merged = new Map<string, ObjectChange>();
    for (const { changes } of steps) {
      if (changes === undefined) return undefined;
      for (const change of changes) {
        const key = keyOf(change.kind, change.namespace, change.name);
        merged.set(key, { ...change, before: merged.has(key) ? merged.get(key)?.before : change.before });
      }
    }
    return [...merged.values()].filter(
      ({ before, after }) => JSON.stringify(before) !== JSON.stringify(after),
    );
  }

  /** Whether everything after the revision is still there. */
  #reaches(revision: number): boolean {
    const first = this.#entries[0];
    return first !== undefined && (first.revision <= revision + 1 || this.#entries.length < MAX_ENTRIES);
  }
}

/** An object that is different in two views. */
interface Difference extends ObjectName {
  readonly old: Document | undefined;
  readonly now: Document | undefined;
}

/** What is different between two views, object by object. */
export function differences({
  before,
  after,
}: Pick<ConfigChange, 'before' | 'after'>): readonly Difference[] {
  const kinds = KIND_NAMES.filter((kind) => before.list(kind) !== after.list(kind));
  const [olds, nows] = [byKey(before, kinds), byKey(after, kinds)];
  const found: Difference[] = [];
  for (const [key, now] of nows) {
    const { kind, namespace, name } = now;
    const old = olds.get(key);
    if (old === undefined || !isSameDocument(old, now)) found.push({ kind, namespace, name, old, now });
  }
  for (const [key, old] of olds) {
    const { kind, namespace, name } = old;
    if (!nows.has(key)) found.push({ kind, namespace, name, old, now: undefined });
  }
  return found;
}

/** Differences with the objects themselves. */
export function changesOf(found: readonly Difference[]): readonly ObjectChange[] {
  return found.map(({ kind, namespace, name, old, now }) => ({
    kind,
    namespace,
    name,
    ...(old !== undefined && { before: old.raw() }),
    ...(now !== undefined && { after: now.raw() }),
  }));
}

/** Differences as an entry keeps them. */
export function keptChanges(found: readonly Difference[]): Pick<HistoryEntry, 'changes' | 'changeCount'> {
  const isTooMuch = found.length > MAX_KEPT_CHANGES;
  return { changes: isTooMuch ? undefined : changesOf(found), changeCount: found.length };
}

function byKey(view: ConfigView, kinds: readonly KindName[]): ReadonlyMap<string, Document> {
  const documents = kinds.flatMap((kind): readonly Document[] => view.list(kind));
  return new Map(documents.map((one) => [keyOf(one.kind, one.namespace, one.name), one]));
}
