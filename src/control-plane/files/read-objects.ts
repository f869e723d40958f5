import { kindNamed } from '../kinds/kind-names.js';
import { kindNameOf } from '../kinds/kinds.js';
import type { FieldPath } from '../kinds/view.js';
import { type ConfigText, openConfigFile, type Place } from '../schema/config-file.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import { isPlainObject, type PlainObject, type PlainValue } from '../schema/value.js';
import type { Violation } from '../schema/violation.js';
import { readFiles } from '../sources/read-files.js';

/** An object as it stands in a file; nothing but its form was looked at. */
export interface FileObject {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly object: Readonly<Record<string, unknown>>;
  readonly file: string;
  /** From 1; 0 when a program made it. */
  readonly line: number;
  /** Where the value at a path of the object stands (or its key), or the deepest part of the path that is there. */
  place(path: FieldPath, atKey?: boolean): Place;
}

/** The objects of files and folders, and what of them can't be read. */
export interface FileObjects {
  readonly objects: readonly FileObject[];
  readonly violations: readonly Violation[];
}

/** Reads the objects of files and folders, those within lists one by one. `-` is standard input. */
export async function readObjects(paths: readonly string[]): Promise<FileObjects> {
  const named = paths.map((path) => (path === '-' ? '/dev/stdin' : path));
  const { files, violations } = await readFiles(named, DEFAULT_LIMITS);
  const read = objectsOf(files);
  return { ...read, violations: [...violations, ...read.violations] };
}

/** The objects of texts, those within lists one by one. */
export function objectsOf(files: readonly ConfigText[]): FileObjects {
  const objects: FileObject[] = [];
  const wrong: Violation[] = [];
  for (const text of files) {
    const opened = openConfigFile(text, DEFAULT_LIMITS);
    if ('violation' in opened) {
      wrong.push(opened.violation);
      continue;
    }
    const { documents, violations: own } = opened.file.read();
    wrong.push(...own);
    for (const { index, value } of documents) {
      const { file } = opened;
      for (const { object, prefix } of itemsOf(value)) {
        const place = (path: FieldPath, atKey = false) => file.place(index, [...prefix, ...path], atKey);
        objects.push({ ...nameOf(object), object, file: text.file, line: place([]).origin.line, place });
      }
    }
  }
  return { objects, violations: wrong };
}

/** The name of a kind that somebody means (`vs`, `services`); undefined = there is none. */
export function kindMeant(text: string): string | undefined {
  return kindNamed(text);
}

interface Item {
  readonly object: PlainObject;
  readonly prefix: FieldPath;
}

/** The objects of a document: itself, or those of the list that it is. */
function itemsOf(value: PlainValue, prefix: FieldPath = []): readonly Item[] {
  if (!isPlainObject(value)) return [];
  const { kind, items } = value;
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items))
    return [{ object: value, prefix }];
  return items.flatMap((item, index) => itemsOf(item, [...prefix, 'items', index]));
}

function nameOf(object: Readonly<Record<string, PlainValue>>) {
  const { kind, apiVersion, metadata } = object;
  const { name, namespace } = isPlainObject(metadata) ? metadata : {};
  return {
    kind: typeof kind === 'string' ? kindNameOf(kind, apiVersion) : '',
    namespace: typeof namespace === 'string' ? namespace : 'default',
    name: typeof name === 'string' ? name : '',
  };
}
