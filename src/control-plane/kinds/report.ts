import type { RuleViolation } from '../schema/violation.js';
import type { FieldPath } from './view.js';

/** Collects what the rules of a kind have to say. */
export interface Report {
  readonly violations: readonly RuleViolation[];
  /** The value at the path breaks a rule. */
  invalid(path: FieldPath, message: string): void;
  /** The value at the path is odd, but not refused. */
  warn(path: FieldPath, message: string): void;
  /** Any other complaint. */
  add(violation: RuleViolation): void;
}

/** Makes an empty report. */
export function createReport(): Report {
  const violations: RuleViolation[] = [];
  const add = (violation: RuleViolation): void => void violations.push(violation);
  return {
    violations,
    add,
    invalid: (path, message) => add({ code: 'INMESH_CONFIG_INVALID', severity: 'error', message, path }),
    warn: (path, message) => add({ code: 'INMESH_CONFIG_INVALID', severity: 'warning', message, path }),
  };
}

/** The entries of a list that may be missing, with their paths. */
export function* entriesOf<T>(list: readonly T[] | undefined, path: FieldPath): Iterable<[T, FieldPath]> {
  for (const [index, item] of (list ?? []).entries()) yield [item, [...path, index]];
}

/** The names of the fields that are set. */
export function fieldsOf(value: object | undefined): string[] {
  if (value === undefined) return [];
  return Object.entries(value).flatMap(([name, field]) => (field === undefined ? [] : [name]));
}
