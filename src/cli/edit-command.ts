import { type ChangeOptions, sendChanges } from './apply.js';
import { type ObjectEdit, withEdits } from './edit.js';
import { editFile } from './edit-files.js';
import { objectsIn, plainObject, type ShownObject, yamlOf } from './objects.js';
import type { Output } from './output.js';
import type { PlaneOptions } from './plane-options.js';

/** How an edit is carried out. */
export interface EditOptions extends PlaneOptions {
  readonly namespace: string;
  /** A file of YAML that is edited in place of the control plane. */
  readonly file?: string;
  readonly dryRun?: boolean;
  readonly message?: string;
  readonly format: 'yaml' | 'json';
}

/** Carries out edits of objects, and prints what they wrote. */
export async function edit(
  editsOf: (objects: readonly ShownObject[]) => readonly ObjectEdit[],
  options: EditOptions,
  output: Output,
): Promise<number> {
  const { file, format } = options;
  const isThere = file === undefined || (await import('node:fs')).existsSync(file);
  const query = { ...options, allNamespaces: true, ...(file === undefined ? {} : { file: [file] }) };
  const { file: _, ...plane } = query;
  const objects = !isThere
    ? []
    : await objectsIn(file === undefined ? plane : { ...plane, file: [file] }, undefined, output);
  if (objects === undefined) return 1;
  const edits = editsOf(objects);
  const written = edits.map((one) => {
    const known = objects.find(
      ({ kind, metadata }) =>
        kind === one.kind &&
        metadata.name === one.name &&
        (metadata.namespace ?? 'default') === one.namespace,
    );
    return known === undefined ? one.create : withEdits(plainObject(known), one.set);
  });
  if (file !== undefined) {
    await editFile(file, edits, options.dryRun === true);
    output.err(`${file} ${options.dryRun === true ? 'would be' : 'is'} written\n`);
  } else {
    const change: ChangeOptions = { ...plane, format: 'table' };
    const told: Output = { ...output, out: output.err };
    const code = await sendChanges(
      written.map((object) => ({ op: 'apply', object })),
      change,
      told,
    );
    if (code !== 0) return code;
  }
  output.out(
    format === 'json'
      ? `${JSON.stringify(written.length === 1 ? written[0] : { apiVersion: 'v1', kind: 'List', items: written }, undefined, 2)}\n`
      : await yamlOf(written),
  );
  return 0;
}
