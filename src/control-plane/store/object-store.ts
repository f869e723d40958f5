import type { Clock } from '../../runtime/clock.js';
import { isEqual } from '../../runtime/equal.js';
import { MeshError, messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import { keyOf } from '../documents/document.js';
import type { ConfigInput } from '../documents/file-reader.js';
import type { ConfigView } from '../kinds/view.js';
import type { PlainObject } from '../schema/value.js';
import { hasError, type Violation } from '../schema/violation.js';
import { concernedWarnings } from './concerned-warnings.js';
import type { ConfigStore } from './config-store.js';
import { differences, type History, type HistoryEntry, keptChanges, type ObjectChange } from './history.js';
import type { Journal } from './journal.js';
import type { KeptSources } from './kept-sources.js';
import { type KeptState, type ReadState, readKept, type StoredObject } from './kept-state.js';
import { allDocuments, type Removal } from './mass-removal.js';
import { nameObject, type ObjectName, objectText } from './object.js';
import { STORE_SOURCE } from './store-source.js';

/** One change that a client asks for. */
export type RequestedChange =
  /** Creates or replaces; with a `metadata.resourceVersion`, only what still has that one. */
  | { readonly op: 'apply' | 'create'; readonly object: unknown }
  | ({ readonly op: 'delete'; readonly resourceVersion?: string | undefined } & ObjectName);

/** Changes that take effect together, or not at all. */
export interface Batch {
  readonly changes: readonly RequestedChange[];
  /** The configuration must still have this revision. */
  readonly ifRevision?: number | undefined;
  readonly author?: string | undefined;
  readonly message?: string | undefined;
  /** Looks only. */
  readonly isDryRun?: boolean | undefined;
  /** It may remove as much as it likes. */
  readonly isConfirmed?: boolean | undefined;
}

/** What became of one change. */
export interface AppliedChange extends ObjectName {
  readonly result: 'created' | 'configured' | 'unchanged' | 'deleted';
  readonly resourceVersion: string | undefined;
}

/** What became of a batch. */
export type BatchResult =
  | {
      readonly kind: 'accepted';
      /** Of the configuration; in a dry run the one that it would have. */
      readonly revision: number;
      readonly changes: readonly AppliedChange[];
      /** Those about the changed objects, and those that the change brings. */
      readonly warnings: readonly Violation[];
      /** Before and after, for a dry run. */
      readonly before: ConfigView;
      readonly after: ConfigView;
    }
  /** Somebody was faster, or it is not there, or stands in a file. */
  | { readonly kind: 'conflict'; readonly reasons: readonly string[] }
  | { readonly kind: 'missing'; readonly reasons: readonly string[] }
  | { readonly kind: 'invalid'; readonly violations: readonly Violation[] }
  | { readonly kind: 'held'; readonly removals: readonly Removal[] };

export interface ObjectStoreTools {
  readonly store: ConfigStore;
  readonly history: History;
  /** Undefined = in memory. */
  readonly journal: Journal | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Beyond that a snapshot takes the place of the journal. */
const MAX_JOURNAL_BYTES = 4 * 1024 * 1024;

/**
 * The objects that clients wrote, beside those of files and other sources. A batch is checked with everything else, then
 * written, then in force; nothing can come in between.
 */
export class ObjectStore {
  readonly #tools: ObjectStoreTools;
  #objects: ReadonlyMap<string, StoredObject>;
  #revision: number;
  #journal: Journal | undefined;
  #sources: KeptSources;

  /** @throws MeshError `INMESH_STORE_CORRUPT`. */
  constructor(tools: ObjectStoreTools) {
    const { store, history, journal, logger } = tools;
    this.#tools = tools;
    const kept = readKept(journal);
    this.#objects = kept.objects;
    this.#revision = kept.revision;
    this.#journal = journal;
    this.#sources = kept.sources;
    for (const entry of kept.entries) history.add(entry);
    for (const object of kept.objects.values()) history.setVersion(object, object.revision);
    if (journal !== undefined && journal.tornBytes > 0)
      logger.warn({ bytes: journal.tornBytes }, 'an unfinished record at the end of the store was cut off');
    const inputs = new Map(kept.sources.inputs);
    if (kept.objects.size > 0) inputs.set(STORE_SOURCE, inputOf(this.#objects));
    if (kept.revision > 0) store.restore(inputs, kept.revision);
    for (const document of allDocuments(store.current.value))
      if (history.versionOf(document) === undefined) history.setVersion(document, kept.revision);
  }

  /** What other sources had in force, as far as it is written down. */
  get sources(): KeptSources {
    return this.#sources;
  }

  /** Takes over what another process wrote since. */
  follow({ objects, revision, entries }: ReadState): void {
    const { store, history } = this.#tools;
    // Nothing is taken back: a journal that is read while it is written may seem older.
    if (revision <= this.#revision) return;
    const news = entries.filter((one) => one.source === STORE_SOURCE && one.revision > this.#revision);
    this.#objects = objects;
    this.#revision = revision;
    for (const entry of news) history.add(entry);
    for (const object of objects.values()) history.setVersion(object, object.revision);
    store.propose(STORE_SOURCE, inputOf(objects), { isConfirmed: true, revision });
  }

  /** From now on this process writes. @throws MeshError `INMESH_STORE_CORRUPT`. */
  takeOver(journal: Journal): void {
    const kept = readKept(journal);
    this.follow(kept);
    this.#journal = journal;
    this.#sources = kept.sources;
  }

  get(name: ObjectName): StoredObject | undefined {
    return this.#objects.get(keyOf(name.kind, name.namespace, name.name));
  }

  /** @throws MeshError `INMESH_STORE_WRITE`, `INMESH_OPTION_INVALID`. */
  apply(batch: Batch): BatchResult {
    const { store, history } = this.#tools;
    const before = store.current.value;
    if (batch.ifRevision !== undefined && batch.ifRevision !== before.revision) {
      const reasons = [`the configuration has revision ${before.revision}, not ${batch.ifRevision}`];
      return { kind: 'conflict', reasons };
    }
    const plan = this.#plan(batch);
    if (plan.conflicts.length > 0) return { kind: 'conflict', reasons: plan.conflicts };
    if (plan.missing.length > 0) return { kind: 'missing', reasons: plan.missing };
    const revision = Math.max(before.revision, this.#revision) + 1;
    const objects = this.#withChanges(plan.steps, revision);
    const input = inputOf(objects);
    const options = { isConfirmed: batch.isConfirmed ?? false, revision };
    const { view, violations, removals } = store.check(STORE_SOURCE, input, options);
    if (hasError(violations)) return { kind: 'invalid', violations };
    if (removals.length > 0) return { kind: 'held', removals };
    const warnings = concernedWarnings(violations, store.warnings.value, plan.steps);
    const isNothing = plan.steps.every(({ result }) => result === 'unchanged');
    const done = (after: ConfigView): BatchResult => ({
      kind: 'accepted',
      revision: isNothing ? before.revision : after.revision,
      changes: plan.steps.map((step) => this.#applied(step, revision)),
      warnings,
      before,
      after,
    });
    if (batch.isDryRun === true || isNothing) return done(view);
    const entry: HistoryEntry = {
      revision,
      at: this.#tools.clock.wallTime(),
      source: STORE_SOURCE,
      author: batch.author,
      message: batch.message,
      ...changesIn(plan.steps, differences({ before, after: view })),
    };
    const { at, author, message } = entry;
    this.#journal?.append({ revision, at, author, message, objects: recordOf(plan.steps) });
    this.#objects = objects;
    this.#revision = revision;
    history.add(entry);
    store.propose(STORE_SOURCE, input, { isConfirmed: true, revision });
    this.compact();
    return done(store.current.value);
  }

  /** What each change comes to, and what stands against it. */
  #plan({ changes }: Batch): Plan {
    const plan: Plan = { steps: [], conflicts: [], missing: [] };
    const seen = new Set<string>();
    for (const change of changes) {
      const wanted = change.op === 'delete' ? { ...change, value: undefined } : nameObject(change.object);
      const { kind, namespace, name, value, resourceVersion } = wanted;
      const key = keyOf(kind, namespace, name);
      if (seen.has(key)) throw new MeshError('INMESH_OPTION_INVALID', `${objectText(wanted)} is there twice`);
      seen.add(key);
      const known = this.#objects.get(key);
      const conflict = this.#conflictOf({ kind, namespace, name }, change.op, resourceVersion);
      if (conflict !== undefined) plan.conflicts.push(conflict);
      else if (change.op === 'delete' && known === undefined)
        plan.missing.push(`there is no ${objectText(wanted)}`);
      else plan.steps.push({ kind, namespace, name, key, value, result: resultOf(known, value) });
    }
    return plan;
  }

  #conflictOf(name: ObjectName, op: RequestedChange['op'], wanted: string | undefined): string | undefined {
    const known = this.get(name);
    const text = objectText(name);
    const inForce = this.#tools.store.current.value.get(name.kind, name.namespace, name.name);
    if (known === undefined && inForce !== undefined) {
      const { file, line } = inForce.origin;
      return `${text} stands at ${file}:${line}: change it there`;
    }
    if (op === 'create' && known !== undefined) return `${text} is there already`;
    const own = known === undefined ? undefined : String(known.revision);
    if (wanted === undefined || wanted === own) return undefined;
    return own === undefined
      ? `${text} is not there any more, it had resourceVersion ${wanted}`
      : `${text} has resourceVersion ${own}, not ${wanted}: somebody changed it`;
  }

  #withChanges(steps: readonly Step[], revision: number): ReadonlyMap<string, StoredObject> {
    const objects = new Map(this.#objects);
    for (const { key, kind, namespace, name, value, result } of steps) {
      if (value === undefined) objects.delete(key);
      else if (result !== 'unchanged') objects.set(key, { kind, namespace, name, value, revision });
    }
    return objects;
  }

  #applied({ kind, namespace, name, result }: Step, revision: number): AppliedChange {
    const version = result === 'unchanged' ? this.get({ kind, namespace, name })?.revision : revision;
    const isGone = result === 'deleted' || version === undefined;
    return { kind, namespace, name, result, resourceVersion: isGone ? undefined : String(version) };
  }

  /** Puts a snapshot in the place of a journal that has become long. */
  compact(): void {
    const { store, history, logger } = this.#tools;
    const journal = this.#journal;
    if (journal === undefined || journal.sizeBytes < MAX_JOURNAL_BYTES) return;
    const state: KeptState = {
      revision: Math.max(this.#revision, store.current.value.revision),
      objects: [...this.#objects.values()],
      entries: history.entries,
      texts: this.#sources.texts,
    };
    try {
      journal.compact(state);
    } catch (error) {
      // Everything is still in the journal.
      logger.warn({ error: messageOf(error) }, 'the store could not be compacted');
    }
  }
}

interface Step extends ObjectName {
  readonly key: string;
  readonly value: PlainObject | undefined;
  readonly result: AppliedChange['result'];
}

interface Plan {
  readonly steps: Step[];
  readonly conflicts: string[];
  readonly missing: string[];
}

function resultOf(known: StoredObject | undefined, value: PlainObject | undefined): AppliedChange['result'] {
  if (value === undefined) return 'deleted';
  if (known === undefined) return 'created';
  return isEqual(known.value, value) ? 'unchanged' : 'configured';
}

/** What a record holds: the objects as they are then; null = gone. */
function recordOf(steps: readonly Step[]): readonly (ObjectName & { readonly value: PlainObject | null })[] {
  return steps
    .filter(({ result }) => result !== 'unchanged')
    .map(({ kind, namespace, name, value }) => ({ kind, namespace, name, value: value ?? null }));
}

/** Objects of which only what nobody reads has changed are in the entry, too. */
function changesIn(
  steps: readonly Step[],
  found: ReturnType<typeof differences>,
): Pick<HistoryEntry, 'changes' | 'changeCount'> {
  const kept = keptChanges(found);
  const names = new Set(found.map(({ kind, namespace, name }) => keyOf(kind, namespace, name)));
  const others: ObjectChange[] = steps
    .filter(({ key, result }) => result !== 'unchanged' && !names.has(key))
    .map(({ kind, namespace, name, value }) => ({
      kind,
      namespace,
      name,
      ...(value !== undefined && { after: value }),
    }));
  return {
    changes: kept.changes && [...kept.changes, ...others],
    changeCount: kept.changeCount + others.length,
  };
}

/** One file for each object, so that only those that changed are read anew. */
function inputOf(objects: ReadonlyMap<string, StoredObject>): ConfigInput {
  return {
    files: [...objects].map(([key, { value }]) => ({ file: key, content: textOf(value) })),
  };
}

const texts = new WeakMap<PlainObject, string>();

function textOf(value: PlainObject): string {
  let text = texts.get(value);
  if (text === undefined) {
    text = JSON.stringify(value, undefined, 2);
    texts.set(value, text);
  }
  return text;
}
