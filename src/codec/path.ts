import type { CustomFilterTypes } from '../model/custom-filter.js';
import { MeshError } from '../runtime/errors.js';

/** Where in a resource a decoder is. The text grows with each level and is shown when something is refused. */
export interface Path {
  /** What the resource is and its name, e.g. `RDS reviews`. */
  readonly resource: string;
  /** E.g. `virtual_hosts[0].routes[2].match`; empty at the top. */
  readonly text: string;
  /** Filters of the application that the resource may configure; known wherever a decoder is in it. */
  readonly custom?: CustomFilterTypes | undefined;
}

/** The path of a whole resource. */
export function rootPath(resource: string, custom?: CustomFilterTypes): Path {
  return { resource, text: '', custom };
}

/** The path of a field, or of one of its elements, below `path`. */
export function at(path: Path, field: string, index?: number): Path {
  const element = index === undefined ? field : `${field}[${index}]`;
  const { resource, text, custom } = path;
  return { resource, text: text === '' ? element : `${text}.${element}`, custom };
}

/** The path of one entry of a map field below `path`. */
export function atKey(path: Path, field: string, key: string): Path {
  return at(path, `${field}[${JSON.stringify(key)}]`);
}

/** Refuses the resource because of what stands at `path`. */
export function refuse(path: Path, what: string, cause?: unknown): never {
  const where = path.text === '' ? what : `${path.text}: ${what}`;
  throw new MeshError('INMESH_XDS_DECODE', where, { resource: path.resource, cause });
}

/** The value, or a refusal when the field that holds it is not set. */
export function required<T>(value: T | undefined, path: Path): T {
  return value === undefined ? refuse(path, 'is required') : value;
}
