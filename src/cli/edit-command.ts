import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ChangeOptions, type DryRun, isDryRun, sendChanges } from './changes.js';
import { type ObjectEdit, withEdits } from './edit.js';
import { editedFile, fileText, writeEdited } from './edit-files.js';
import { kindOf, namespaceOf, objectsIn, plainObject, type ShownObject, SOURCE, yamlOf } from './objects.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';
import { documentsOf } from './yaml-edit.js';

/** How an edit is carried out. */
export interface EditOptions extends PlaneOptions {
  readonly namespace: string;
  /** Files of YAML that are edited in place of the control plane. */
  readonly file?: readonly string[];
  readonly dryRun?: DryRun;
  readonly message?: string;
  readonly format: 'yaml' | 'json';
}

type EditsOf = (objects: readonly ShownObject[]) => readonly ObjectEdit[];

/** Carries out edits of objects, and prints what they wrote. */
export async function edit(editsOf: EditsOf, options: EditOptions, output: Output): Promise<number> {
  const { file, format } = options;
  return file === undefined
    ? editInForce(editsOf, options, output)
    : editFiles(file, editsOf, { format, isDry: isDryRun(options) }, output);
}

/** An object as it is after an edit. */
function written(objects: readonly ShownObject[], one: ObjectEdit): object {
  const known = find(objects, one);
  return known === undefined ? one.create : withEdits(plainObject(known), one.set);
}

function find(
  objects: readonly ShownObject[],
  { kind, name, namespace }: ObjectEdit,
): ShownObject | undefined {
  return objects.find(
    (one) => kindOf(one) === kind && one.metadata.name === name && namespaceOf(one) === namespace,
  );
}

async function editInForce(editsOf: EditsOf, options: EditOptions, output: Output): Promise<number> {
  const found = await objectsIn({ ...options, file: undefined, allNamespaces: true }, undefined, output);
  if (found.objects === undefined) return found.code;
  const { objects } = found;
  const all = editsOf(objects).map((one) => written(objects, one));
  const { format, namespace: _, ...rest } = options;
  const change: ChangeOptions = { ...rest, format: 'table' };
  if (options.dryRun !== 'client') {
    // What it tells of the change goes where talk goes: data is what was written.
    const told: Output = { ...output, out: output.err };
    const code = await sendChanges(
      all.map((object) => ({ op: 'apply', object })),
      change,
      told,
    );
    if (code !== 0) return code;
  }
  await showWritten(all, format, output);
  return 0;
}

interface FileEditing {
  readonly format: 'yaml' | 'json';
  readonly isDry: boolean;
}

async function editFiles(
  paths: readonly string[],
  editsOf: EditsOf,
  { format, isDry }: FileEditing,
  output: Output,
): Promise<number> {
  if (paths.includes('/dev/stdin')) return editStandardInput(editsOf, output);
  const there = paths.filter((path) => existsSync(path));
  const found = await objectsIn({ file: there, controlPlane: '', format }, undefined, output);
  if (found.objects === undefined) return found.code;
  const { objects } = found;
  const edits = editsOf(objects);
  const byFile = new Map<string, ObjectEdit[]>();
  for (const one of edits) {
    const known = find(objects, one);
    const file = known === undefined ? fileForNew(paths, objects, one) : fileOf(known);
    byFile.set(file, [...(byFile.get(file) ?? []), one]);
  }
  const texts: string[] = [];
  for (const [path, own] of byFile) {
    const edited = editedFile(path, await fileText(path), own);
    texts.push(...edited.written);
    if (edited.isChanged && !isDry) await writeEdited(edited);
    output.err(
      `${path} ${!edited.isChanged ? 'is as it should be already' : isDry ? 'would be written' : 'is written'}\n`,
    );
  }
  if (format === 'json')
    await showWritten(
      edits.map((one) => written(objects, one)),
      format,
      output,
    );
  else output.out(texts.join('---\n'));
  return 0;
}

/** As a filter: what was read, with the edits, is what is printed. */
async function editStandardInput(editsOf: EditsOf, output: Output): Promise<number> {
  let text = '';
  for await (const chunk of process.stdin) text += String(chunk);
  output.out(editedFile('standard input', text, editsOf(objectsOf(text))).text);
  return 0;
}

/** The file in which an object stands. */
function fileOf({ metadata }: ShownObject): string {
  return (metadata.annotations?.[SOURCE] ?? '').replace(/:\d+$/, '');
}

/** New objects come into the first file; of a folder, into that with the service, or one of their own. */
function fileForNew(paths: readonly string[], objects: readonly ShownObject[], { name }: ObjectEdit): string {
  const [first = ''] = paths;
  if (!existsSync(first) || !statSync(first).isDirectory()) return first;
  const beside = objects.find((one) => one.metadata.name === name && dirname(fileOf(one)) === join(first));
  return beside === undefined ? join(first, `${name}.yaml`) : fileOf(beside);
}

async function showWritten(all: readonly object[], format: 'yaml' | 'json', output: Output): Promise<void> {
  const value = all.length === 1 ? all[0] : { apiVersion: 'v1', kind: 'List', items: all };
  output.out(format === 'json' ? `${JSON.stringify(value, undefined, 2)}\n` : await yamlOf(all));
}

/** The objects of a text; what is none is left to those who read it. */
function objectsOf(text: string): readonly ShownObject[] {
  const plain = (value: unknown): readonly ShownObject[] => {
    if (typeof value !== 'object' || value === null || !('kind' in value)) return [];
    if ('items' in value && Array.isArray(value.items)) return value.items.flatMap(plain);
    const { apiVersion, metadata } = value as Partial<ShownObject>;
    if (typeof metadata?.name !== 'string') return [];
    return [{ ...value, apiVersion: String(apiVersion), kind: String(value.kind), metadata }];
  };
  return documentsOf(text).flatMap((one) => plain(one.toJS()));
}
