import { isPlainObject } from '../schema/value.js';
import type { FieldPath } from './view.js';

/** Every value that the steps lead to, with its path; the step `*` stands for every element of a list or map. */
export function* valuesAt(
  value: unknown,
  steps: readonly string[],
  path: FieldPath,
): Iterable<[unknown, FieldPath]> {
  const [step, ...rest] = steps;
  if (step === undefined) yield [value, path];
  else if (step !== '*') {
    if (isPlainObject(value)) yield* valuesAt(value[step], rest, [...path, step]);
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* valuesAt(item, rest, [...path, index]);
  } else if (isPlainObject(value)) {
    for (const [key, item] of Object.entries(value)) yield* valuesAt(item, rest, [...path, key]);
  }
}
