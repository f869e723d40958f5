import type { MeshErrorCode } from '../../runtime/errors.js';
import type { FieldPath, Origin } from './origin.js';

/** An error refuses the configuration; a warning does not. */
export type Severity = 'error' | 'warning';

/** A complaint of a rule about one value of a document, before anybody looked up where it stands. */
export interface RuleViolation {
  readonly code: MeshErrorCode;
  readonly severity: Severity;
  /** What is wrong, complete in itself. */
  readonly message: string;
  /** The way from the document's root to the value. */
  readonly path: FieldPath;
  /** Whether the name of the field is meant rather than its value. */
  readonly atKey?: boolean | undefined;
  /** What was probably meant. */
  readonly suggestion?: string | undefined;
}

/** One complaint about the configuration, with its place. */
export interface Violation extends RuleViolation {
  readonly origin: Origin;
  /** The object it is about, e.g. `VirtualService default/reviews`; undefined when that is not known. */
  readonly resource: string | undefined;
  /** The line of text at the origin; undefined when there is none. */
  readonly excerpt: string | undefined;
  /** How many characters of the line are meant. */
  readonly length: number;
}

/** The text of a path: `spec.http[0].timeout`. */
export function formatPath(path: FieldPath): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** Whether one of the violations refuses the configuration. */
export function hasError(violations: readonly Violation[]): boolean {
  return violations.some((violation) => violation.severity === 'error');
}
