import { formatPath, formatViolations, type Violation } from '../control-plane.js';
import type { Output } from './output.js';
import { print } from './print.js';

/**
 * Tells what is wrong with documents that a command can't go on with: on stderr for people and, where programs are to read
 * it, as one document. 1 = they are invalid, 2 = one of them can't be read.
 */
export async function tellInvalid(
  violations: readonly Violation[],
  format: string,
  output: Output,
): Promise<number> {
  output.err(`${formatViolations(violations)}\n`);
  if (violations.some(({ code }) => code === 'INMESH_CONFIG_READ')) return 2;
  if (format === 'json' || format === 'yaml')
    await print(output, format, { valid: false, violations: violations.map(violationJson) }, () => []);
  return 1;
}

/** A violation as programs read it. */
export function violationJson({
  code,
  severity,
  message,
  resource,
  path,
  suggestion,
  origin,
}: Violation): object {
  const { file, line, column } = origin;
  return { code, severity, resource, message, suggestion, path: formatPath(path), file, line, column };
}
