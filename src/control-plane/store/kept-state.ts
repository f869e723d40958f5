import { z } from 'zod';
import { MeshError } from '../../runtime/errors.js';
import { keyOf } from '../documents/config-view.js';
import { isKindName } from '../kinds/kinds.js';
import type { KindName } from '../kinds/view.js';
import type { PlainObject } from '../schema/value.js';
import type { HistoryEntry, ObjectChange } from './history.js';
import type { Journal } from './journal.js';
import type { ObjectName } from './object.js';

/** Source name under which the store proposes. */
export const STORE_SOURCE = 'store';

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
/** One batch; null = the object is gone. */
const record = z.object({
  revision: z.int(),
  at: z.number(),
  author: z.string().optional(),
  message: z.string().optional(),
  objects: z.array(z.object({ ...name, value: value.nullable() })),
});
const snapshot = z.object({
  revision: z.int(),
  objects: z.array(z.object({ ...name, value, revision: z.int() })),
  entries: z.array(entry),
});

/** What a journal comes to. */
export interface ReadState extends Omit<KeptState, 'objects'> {
  /** In order of their making. */
  readonly objects: ReadonlyMap<string, StoredObject>;
}

/** @throws MeshError `INMESH_STORE_CORRUPT`. */
export function readKept(journal: Journal | undefined): ReadState {
  if (journal === undefined) return { revision: 0, objects: new Map(), entries: [] };
  const start = journal.snapshot === undefined ? undefined : read(snapshot, journal.snapshot);
  const objects = new Map(
    (start?.objects ?? []).map((one) => [keyOf(one.kind, one.namespace, one.name), one]),
  );
  // Optional fields of zod may be undefined, ours may not be; what is read has no such fields.
  const entries = [...((start?.entries ?? []) as HistoryEntry[])];
  let revision = start?.revision ?? 0;
  for (const one of journal.records) {
    const { objects: changed, ...head } = read(record, one);
    // A crash between a snapshot and the end of the journal leaves what the snapshot has.
    if (head.revision <= revision) continue;
    revision = head.revision;
    const changes: ObjectChange[] = [];
    for (const { kind: of, namespace, name: called, value: now } of changed) {
      const own = { kind: of, namespace, name: called };
      const key = keyOf(of, namespace, called);
      const before = objects.get(key)?.value;
      changes.push({ ...own, ...(before !== undefined && { before }), ...(now !== null && { after: now }) });
      if (now === null) objects.delete(key);
      else objects.set(key, { ...own, value: now, revision });
    }
    entries.push({ ...head, source: STORE_SOURCE, changes, changeCount: changes.length });
  }
  return { revision, objects, entries };
}

function read<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new MeshError('INMESH_STORE_CORRUPT', 'a record of the store is none that this version writes', {
    cause: parsed.error,
    hint: 'Start the version that wrote it, or restore the folder from a backup',
  });
}
