import { MeshError } from '../runtime/errors.js';
import { valuesAt } from './jsonpath/evaluate.js';
import { parseExpression } from './jsonpath/parse.js';
import type { ShownObject } from './objects.js';

/** Numbers within texts count as such, as for kubectl: `v9` is before `v10`. */
const NATURAL = new Intl.Collator('en', { numeric: true });

/**
 * Objects in the order of what an expression finds in them; those in which it finds nothing are first.
 * @throws MeshError `INMESH_OPTION_INVALID`: it can't be understood, or none of them has such a field.
 */
export function sortedBy(expression: string, objects: readonly ShownObject[]): readonly ShownObject[] {
  const { path, source } = parseExpression(expression);
  const keyed = objects.map((object) => ({ object, key: valuesAt(path, object, source)[0] }));
  if (objects.length > 0 && keyed.every(({ key }) => key === undefined)) {
    throw new MeshError('INMESH_OPTION_INVALID', 'no object has the field of --sort-by', {
      resource: expression,
      hint: 'Name one that they have, such as .metadata.name',
    });
  }
  return keyed.sort((a, b) => compare(a.key, b.key)).map(({ object }) => object);
}

function compare(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return NATURAL.compare(textOf(a), textOf(b));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
