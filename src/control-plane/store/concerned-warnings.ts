import { formatPath, type Violation } from '../schema/violation.js';
import type { ObjectName } from './object.js';

/**
 * What a change is told of all warnings: those about its own objects, and those that there were not before it. What else
 * is wrong with a mesh is not said to everybody who changes something.
 */
export function concernedWarnings(
  all: readonly Violation[],
  before: readonly Violation[],
  changed: readonly ObjectName[],
): readonly Violation[] {
  const own = new Set(changed.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`));
  const known = new Set(before.map(textOf));
  return all.filter(
    (one) => (one.resource !== undefined && own.has(one.resource)) || !known.has(textOf(one)),
  );
}

/** Not its line: that moves with what stands above it. */
function textOf({ code, resource, path, message }: Violation): string {
  return JSON.stringify([code, resource, formatPath(path), message]);
}
