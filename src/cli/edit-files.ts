import { readFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { isConfigModule } from '../control-plane.js';
import { writeFileAtomic } from '../runtime/atomic-file.js';
import { isEqual } from '../runtime/equal.js';
import { codeOf, MeshError } from '../runtime/errors.js';
import { type FieldEdit, type ObjectEdit, withEdits } from './edit.js';
import { kindOf } from './objects.js';
import { documentsOf, withFieldText } from './yaml-edit.js';

/** A file as it is after edits. */
export interface EditedFile {
  readonly path: string;
  readonly text: string;
  readonly isChanged: boolean;
  /** The objects that were edited, as they stand in it. */
  readonly written: readonly string[];
}

/**
 * Carries edits out in a text: what they do not change stays as it is, letter by letter. Objects that are new come at its
 * end.
 * @throws MeshError `INMESH_CONFIG_SYNTAX`.
 */
export function editedFile(path: string, before: string, edits: readonly ObjectEdit[]): EditedFile {
  if (/\.[cm]?[jt]s$/.test(path)) {
    throw new MeshError('INMESH_CONFIG_SYNTAX', 'a mesh that is written as code is not edited', {
      resource: path,
      hint: 'Change the code, or name a file of YAML',
    });
  }
  const isJson = isJsonText(before);
  let text = before;
  for (const one of edits) text = isJson ? editedJson(text, one) : editedYaml(path, text, one);
  const written = edits.map((one) => (isJson ? jsonTextOf(text, one) : textOf(text, one)));
  return { path, text, isChanged: text !== before, written };
}

/** What begins with a bracket may be YAML as well. */
function isJsonText(text: string): boolean {
  if (!/^\s*[{[]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The text of a file; nothing when it is not there. */
export async function fileText(path: string): Promise<string> {
  if (isConfigModule(path)) {
    throw new MeshError('INMESH_OPTION_INVALID', 'code is not edited by commands', {
      resource: path,
      hint: 'Edit it by hand, or name a file of YAML',
    });
  }
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return '';
    throw new MeshError('INMESH_CONFIG_READ', 'it can not be read', { resource: path, cause: error });
  }
}

/** Writes a file at once. */
export async function writeEdited({ path, text }: EditedFile): Promise<void> {
  await writeFileAtomic(path, [Buffer.from(text)], { mode: 0o644, dirMode: 0o755 });
}

type Plain = Readonly<Record<string, unknown>>;
type Path = FieldEdit['path'];

/** Where an object stands: the number of its document, and the way to it in a list. */
interface Seat {
  readonly index: number;
  readonly prefix: Path;
}

function editedYaml(path: string, text: string, edit: ObjectEdit): string {
  const documents = documentsOf(text);
  const broken = documents.find(({ errors }) => errors.length > 0);
  if (broken !== undefined) {
    throw new MeshError('INMESH_CONFIG_SYNTAX', `it can not be edited: ${broken.errors[0]?.message ?? ''}`, {
      resource: path,
    });
  }
  const seat = seatOf(
    documents.map((one) => one.toJS()),
    edit,
  );
  if (seat === undefined) {
    const own = stringify(edit.create, { lineWidth: 0 });
    if (text.trim() === '') return own;
    return `${text.replace(/\n*$/, '\n')}---\n${own}`;
  }
  let edited = text;
  for (const { path: field, value } of edit.set)
    edited = withField(path, edited, seat.index, { path: [...seat.prefix, ...field], value });
  return edited;
}

/** By the lines of the field where that says what is meant; else the file is written anew, which keeps comments only. */
function withField(file: string, text: string, index: number, edit: FieldEdit): string {
  const before: unknown = documentsOf(text)[index]?.toJS();
  const wanted = withEdits(before, [edit]);
  if (isEqual(before, wanted)) return text;
  const short = withFieldText(text, index, edit);
  if (short !== undefined && isSame(short, index, wanted)) return short;
  const documents = documentsOf(text);
  const document = documents[index];
  if (edit.value === undefined) document?.deleteIn(edit.path);
  else document?.setIn(edit.path, document.createNode(edit.value));
  const whole = documents
    .map((one) => one.toString({ directives: false, lineWidth: 0 }).replace(/\n*$/, '\n'))
    .join('---\n');
  if (isSame(whole, index, wanted)) return whole;
  throw new MeshError(
    'INMESH_CONFIG_SYNTAX',
    'it can not be edited: an alias stands where the field would be',
    {
      resource: file,
      hint: 'Write out what the alias stands for',
    },
  );
}

function isSame(text: string, index: number, wanted: unknown): boolean {
  const document = documentsOf(text)[index];
  return (
    document !== undefined &&
    document.errors.length === 0 &&
    isEqual(JSON.parse(JSON.stringify(document.toJS())), wanted)
  );
}

function textOf(text: string, edit: ObjectEdit): string {
  const documents = documentsOf(text);
  const seat = seatOf(
    documents.map((one) => one.toJS()),
    edit,
  );
  const document = documents[seat?.index ?? -1];
  if (seat === undefined || document === undefined) return '';
  if (seat.prefix.length > 0) return stringify(document.getIn(seat.prefix), { lineWidth: 0 });
  const [from, , to] = document.range;
  return `${text
    .slice(from, to)
    .replace(/^---.*\n/, '')
    .replace(/\n(?:---|\.\.\.)\s*$/, '\n')
    .trim()}\n`;
}

function editedJson(text: string, edit: ObjectEdit): string {
  const root: unknown = JSON.parse(text);
  const seat = seatOf([root], edit);
  const isList = seat === undefined && isListed(root);
  const changed =
    seat === undefined
      ? isList
        ? { ...root, items: [...root.items, edit.create] }
        : { apiVersion: 'v1', kind: 'List', items: [root, edit.create] }
      : withEdits(
          root,
          edit.set.map(({ path, value }) => ({ path: [...seat.prefix, ...path], value })),
        );
  return isEqual(root, changed) ? text : `${JSON.stringify(changed, undefined, 2)}\n`;
}

function jsonTextOf(text: string, edit: ObjectEdit): string {
  const root: unknown = JSON.parse(text);
  const seat = seatOf([root], edit);
  let at: unknown = root;
  for (const step of seat?.prefix ?? [])
    at = typeof at === 'object' && at !== null ? Reflect.get(at, step) : undefined;
  return stringify(at, { lineWidth: 0 });
}

function isListed(value: unknown): value is Plain & { readonly items: readonly unknown[] } {
  return typeof value === 'object' && value !== null && 'items' in value && Array.isArray(value.items);
}

function seatOf(documents: readonly unknown[], edit: ObjectEdit): Seat | undefined {
  for (const [index, document] of documents.entries()) {
    const prefix = pathTo(document, edit, []);
    if (prefix !== undefined) return { index, prefix };
  }
  return undefined;
}

function pathTo(value: unknown, edit: ObjectEdit, prefix: Path): Path | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (isListed(value) && String(value['kind']).endsWith('List')) {
    for (const [index, item] of value.items.entries()) {
      const found = pathTo(item, edit, [...prefix, 'items', index]);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  const { apiVersion, kind, metadata } = value as Plain;
  const { name, namespace = 'default' } =
    typeof metadata === 'object' && metadata !== null ? (metadata as Plain) : {};
  const own = kindOf({ apiVersion: String(apiVersion), kind: String(kind) });
  return own === edit.kind && name === edit.name && namespace === edit.namespace ? prefix : undefined;
}
