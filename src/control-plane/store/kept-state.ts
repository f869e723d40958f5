import { z } from 'zod';
import { MeshError } from '../../runtime/errors.js';
import { keyOf } from '../documents/document.js';
import { isKindName } from '../kinds/kinds.js';
import type { KindName } from '../kinds/view.js';
import type { PlainObject } from '../schema/value.js';
import type { HistoryEntry, ObjectChange } from './history.js';
import type { Journal } from './journal.js';
import { KeptSources, type KeptText } from './kept-sources.js';
import type { ObjectName } from './object.js';
import { STORE_SOURCE } from './store-source.js';

/** An object of the store. */
export interface StoredObject extends ObjectName {
  readonly value: PlainObject;
  /** In which it became what it is: its `resourceVersion`. */
  readonly revision: number;
}

/** All of the store at one moment, as a snapshot holds it. */
export interface KeptState {
  readonly revision: number;
  readonly objects: readonly StoredObject[];
  readonly entries: readonly HistoryEntry[];
  /** Of other sources, as they were in force. */
  readonly texts: readonly KeptText[];
}

const kind = z.custom<KindName>((value) => typeof value === 'string' && isKindName(value));
const name = { kind, namespace: z.string(), name: z.string() };
// Objects are checked as every other document is.
const value = z.custom<PlainObject>((one) => typeof one === 'object' && one !== null);
const change = z.object({ ...name, before: value.optional(), after: value.optional() });
const entry = z.object({
  revision: z.int(),
  at: z.number(),
  source: z.string(),
  author: z.string().optional(),
  message: z.string().optional(),
  changes: z.array(change).optional(),
  changeCount: z.int(),
});
const text = z.object({ source: z.string(), file: z.string(), content: z.string().nullable() });
/** What other sources changed; without a count it only says what is in force. */
const sourceRecord = z.object({
  ...entry.shape,
  source: z.string().optional(),
  changeCount: z.int().optional(),
  texts: z.array(text),
});
/** One batch; null = the object is gone. */
const record = z.object({
  revision: z.int(),
  at: z.number(),
  author: z.string().optional(),
  message: z.string().optional(),
  objects: z.array(z.object({ ...name, value: value.nullable() })),
});
const head = z.object({ revision: z.int() });
const snapshot = z.object({
  revision: z.int(),
  objects: z.array(z.object({ ...name, value, revision: z.int() })),
  entries: z.array(entry),
  texts: z.array(text).default([]),
});

/** What a journal comes to. */
export interface ReadState extends Omit<KeptState, 'objects' | 'texts'> {
  readonly sources: KeptSources;
  /** In order of their making. */
  readonly objects: ReadonlyMap<string, StoredObject>;
}

/** @throws MeshError `INMESH_STORE_CORRUPT`. */
export function readKept(journal: Journal | undefined): ReadState {
  if (journal === undefined)
    return { revision: 0, objects: new Map(), entries: [], sources: new KeptSources([]) };
  const start = journal.snapshot === undefined ? undefined : read(snapshot, journal.snapshot);
  const sources = new KeptSources(start?.texts ?? []);
  const state: Replayed = {
    revision: start?.revision ?? 0,
    objects: new Map((start?.objects ?? []).map((one) => [keyOf(one.kind, one.namespace, one.name), one])),
    // Optional fields of zod may be undefined, ours may not be; what is read has no such fields.
    entries: [...((start?.entries ?? []) as HistoryEntry[])],
    sources,
  };
  const snapshotRevision = state.revision;
  for (const one of journal.records) {
    const isText = isOfSource(one);
    const { revision } = read(head, one);
    // A crash between a snapshot and the end of the journal leaves what the snapshot has.
    if (revision <= snapshotRevision) continue;
    state.revision = Math.max(state.revision, revision);
    if (isText) replayTexts(state, read(sourceRecord, one));
    else replayBatch(state, read(record, one));
  }
  return state;
}

interface Replayed extends ReadState {
  revision: number;
  readonly objects: Map<string, StoredObject>;
  readonly entries: HistoryEntry[];
}

function replayTexts(state: Replayed, { texts, ...one }: z.output<typeof sourceRecord>): void {
  state.sources.take(texts);
  // What only says what is in force is nobody's change.
  if (one.source === undefined || one.changeCount === undefined) return;
  state.entries.push(one as HistoryEntry);
}

function replayBatch(state: Replayed, { objects: changed, ...one }: z.output<typeof record>): void {
  const changes: ObjectChange[] = [];
  for (const { kind: of, namespace, name: called, value: now } of changed) {
    const own = { kind: of, namespace, name: called };
    const key = keyOf(of, namespace, called);
    const before = state.objects.get(key)?.value;
    changes.push({ ...own, ...(before !== undefined && { before }), ...(now !== null && { after: now }) });
    if (now === null) state.objects.delete(key);
    else state.objects.set(key, { ...own, value: now, revision: one.revision });
  }
  state.entries.push({ ...one, source: STORE_SOURCE, changes, changeCount: changes.length });
}

function isOfSource(record: unknown): boolean {
  return typeof record === 'object' && record !== null && 'texts' in record;
}

function read<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new MeshError('INMESH_STORE_CORRUPT', 'a record of the store is none that this version writes', {
    cause: parsed.error,
    hint: 'Start the version that wrote it, or restore the folder from a backup',
  });
}
