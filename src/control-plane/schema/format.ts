import type { Place } from './config-file.js';
import { formatPath, type Violation } from './violation.js';

const MAX_EXCERPT = 160;

/**
 * The text of a violation for people: one line with place, severity, code and message (and what was probably meant),
 * then the line of the file with a mark under the place.
 */
export function formatViolation(violation: Violation): string {
  const { origin, severity, code, message, suggestion } = violation;
  const place =
    origin.line === 0 ? placeWithoutLine(violation) : `${origin.file}:${origin.line}:${origin.column}`;
  const hint = suggestion === undefined ? '' : ` (did you mean ${JSON.stringify(suggestion)}?)`;
  const head = `${place} ${severity} ${code} ${message}${hint}`;
  return [head, ...excerptOf(violation)].join('\n');
}

/** Where there are no lines the document and its field say where to look. */
function placeWithoutLine({ origin, resource, path }: Violation): string {
  if (resource === undefined) return origin.file;
  const field = formatPath(path);
  return `${origin.file} ${resource}${field === '' ? '' : ` ${field}`}`;
}

/** The texts of several violations, one after the other. */
export function formatViolations(violations: readonly Violation[]): string {
  return violations.map(formatViolation).join('\n');
}

/** The line of a place with a mark under it; nothing when the line is not shown. */
export function excerptOf({ excerpt, origin, length }: Place): string[] {
  if (excerpt === undefined || origin.column > MAX_EXCERPT) return [];
  const shown = excerpt.slice(0, MAX_EXCERPT);
  const before = shown.slice(0, origin.column - 1);
  // A tab must stay a tab for the mark to stand under its character.
  const indent = before.replaceAll(/[^\t]/g, ' ');
  const mark = '^'.repeat(Math.max(1, Math.min(length, shown.length - before.length)));
  const number = String(origin.line).padStart(5);
  return [`${number} | ${shown}`, `${' '.repeat(number.length)} | ${indent}${mark}`];
}
