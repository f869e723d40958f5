/** A field of an object that gets another value; undefined takes it away. */
export interface FieldEdit {
  readonly path: readonly (string | number)[];
  readonly value: unknown;
}

/** What a command does to one object: it is made, or fields of it are set. */
export interface ObjectEdit {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** As it is when it is not there yet. */
  readonly create: Readonly<Record<string, unknown>>;
  /** What is set where it is there. */
  readonly set: readonly FieldEdit[];
}

/** An object with fields set; the given one stays as it is. */
export function withEdits<T>(object: T, edits: readonly FieldEdit[]): T {
  // Not a clone: what stands in two places (an alias of YAML) is edited in one.
  const copy: T = JSON.parse(JSON.stringify(object));
  for (const { path, value } of edits) setIn(copy, path, value);
  return copy;
}

function setIn(root: unknown, path: readonly (string | number)[], value: unknown): void {
  let at = root as Record<string | number, unknown>;
  for (const [index, step] of path.entries()) {
    if (index === path.length - 1) {
      if (value === undefined) delete at[step];
      else at[step] = value;
      return;
    }
    if (typeof at[step] !== 'object' || at[step] === null) {
      // Nothing is made in order to take something away from it.
      if (value === undefined) return;
      at[step] = typeof path[index + 1] === 'number' ? [] : {};
    }
    at = at[step] as Record<string | number, unknown>;
  }
}
