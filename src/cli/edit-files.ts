import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../runtime/atomic-file.js';
import { codeOf, MeshError } from '../runtime/errors.js';
import type { ObjectEdit } from './edit.js';

/** Carries edits out in a file of YAML: comments and everything else in it stay. Objects that are new come at its end. */
export async function editFile(
  path: string,
  edits: readonly ObjectEdit[],
  isDryRun: boolean,
): Promise<readonly string[]> {
  const { parseAllDocuments, Document } = await import('yaml');
  const text = await textOf(path);
  const parsed = parseAllDocuments(text);
  const documents = Array.isArray(parsed) ? [...parsed] : [];
  const broken = documents.find(({ errors }) => errors.length > 0);
  if (broken !== undefined) {
    throw new MeshError('INMESH_CONFIG_SYNTAX', `it can not be edited: ${broken.errors[0]?.message ?? ''}`, {
      resource: path,
    });
  }
  const written: string[] = [];
  for (const { kind, namespace, name, create, set } of edits) {
    let document = documents.find(
      (one) =>
        one.get('kind') === kind &&
        one.getIn(['metadata', 'name']) === name &&
        (one.getIn(['metadata', 'namespace']) ?? 'default') === namespace,
    );
    if (document === undefined) {
      // A document of its own, of the same type as those that were read.
      document = new Document(create) as unknown as (typeof documents)[number];
      documents.push(document);
    } else {
      for (const { path: field, value } of set) {
        if (value === undefined) document.deleteIn(field);
        else document.setIn(field, document.createNode(value));
      }
    }
    written.push(document.toString({ directives: false, lineWidth: 0 }));
  }
  if (!isDryRun) {
    const all = documents.map((one) =>
      one.toString({ directives: false, lineWidth: 0 }).replace(/\n*$/, '\n'),
    );
    await writeFileAtomic(path, [Buffer.from(all.join('---\n'))], { mode: 0o644, dirMode: 0o755 });
  }
  return written;
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return '';
    throw new MeshError('INMESH_CONFIG_READ', 'it can not be read', { resource: path, cause: error });
  }
}
