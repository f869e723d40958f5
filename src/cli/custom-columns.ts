import { MeshError } from '../runtime/errors.js';
import { textOf, valuesAt } from './jsonpath/evaluate.js';
import { parseExpression } from './jsonpath/parse.js';
import type { Path } from './jsonpath/syntax.js';

/** A column of `-o custom-columns`. */
export interface CustomColumn {
  readonly head: string;
  readonly path: Path;
  /** The expression as it was written, for complaints. */
  readonly source: string;
}

/** What kubectl shows where a field is not there. */
const NONE = '<none>';

/**
 * Columns of `NAME:.metadata.name,HOSTS:.spec.hosts`.
 * @throws MeshError `INMESH_OPTION_INVALID`.
 */
export function columnsOf(text: string): readonly CustomColumn[] {
  // Commas within brackets belong to an expression.
  return text.split(/,(?![^[\]]*\])/).map((part) => {
    const at = part.indexOf(':');
    if (at > 0 && at < part.length - 1) return columnOf(part.slice(0, at), part.slice(at + 1));
    throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(part)} is no column`, {
      resource: text,
      hint: 'Write columns as HEAD:expression with commas between: NAME:.metadata.name,HOSTS:.spec.hosts',
    });
  });
}

/**
 * Columns of a file: heads in the first line, expressions in the second.
 * @throws MeshError `INMESH_OPTION_INVALID`.
 */
export function columnsOfFile(text: string, path: string): readonly CustomColumn[] {
  const [heads = [], expressions = []] = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/\s+/));
  if (heads.length > 0 && heads.length === expressions.length)
    return heads.map((head, index) => columnOf(head, expressions[index] ?? ''));
  throw new MeshError(
    'INMESH_OPTION_INVALID',
    `there are ${heads.length} heads of columns and ${expressions.length} expressions`,
    { resource: path, hint: 'Write the heads in the first line, and as many expressions in the second' },
  );
}

function columnOf(head: string, expression: string): CustomColumn {
  const { path, source } = parseExpression(expression);
  return { head, path, source };
}

/** A row for each item of a list, or one. */
export function columnRows(
  columns: readonly CustomColumn[],
  document: unknown,
): readonly (readonly string[])[] {
  return itemsOf(document).map((item) =>
    columns.map(({ path, source }) => {
      const values = valuesAt(path, item, source);
      return values.length === 0 ? NONE : values.map(cellOf).join(',');
    }),
  );
}

function cellOf(value: unknown): string {
  if (value === null) return NONE;
  return Array.isArray(value) && value.every((one) => typeof one !== 'object')
    ? value.join(',')
    : textOf(value);
}

function itemsOf(document: unknown): readonly unknown[] {
  if (Array.isArray(document)) return document;
  if (typeof document !== 'object' || document === null) return [document];
  return 'kind' in document &&
    document.kind === 'List' &&
    'items' in document &&
    Array.isArray(document.items)
    ? document.items
    : [document];
}
