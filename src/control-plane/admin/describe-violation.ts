import { formatPath, type Violation } from '../schema/violation.js';

/** A complaint as the API tells it. */
export function describeViolation({
  code,
  severity,
  message,
  origin,
  path,
  suggestion,
  resource,
}: Violation): object {
  return { code, severity, message, ...origin, path: formatPath(path), suggestion, resource };
}
