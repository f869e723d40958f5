import { counted } from '../../runtime/counted.js';
import { formatPath, type Violation } from '../schema/violation.js';
import { type Answer, problem } from './http.js';

/** A complaint as the API tells it. */
export function describeViolation({
  code,
  severity,
  message,
  origin,
  path,
  atKey,
  suggestion,
  resource,
}: Violation): object {
  return { code, severity, message, ...origin, path: formatPath(path), atKey, suggestion, resource };
}

/** The answer to documents that are not valid: everything that is wrong with them. */
export function invalid(violations: readonly Violation[]): Answer {
  const errors = violations.filter(({ severity }) => severity === 'error').length;
  const { body } = problem(
    422,
    'INMESH_CONFIG_INVALID',
    `the configuration would be invalid: ${counted(errors, 'error')}`,
  );
  return { status: 422, body: { ...(body as object), violations: violations.map(describeViolation) } };
}
