import { type FileObject, formatViolation, type Violation } from '../control-plane.js';

/** What the API says is wrong. */
export interface Complaint {
  readonly severity: Violation['severity'];
  readonly code: Violation['code'];
  readonly message: string;
  /** `Kind namespace/name`. */
  readonly resource?: string | undefined;
  /** As text: `spec.http[0].timeout`. */
  readonly path?: string | undefined;
  readonly atKey?: boolean | undefined;
  readonly suggestion?: string | undefined;
  readonly file?: string | undefined;
  readonly line?: number;
  readonly column?: number;
}

/** The complaints with the places of the files that the objects were read from, where they are about one of these. */
export function withPlaces(
  complaints: readonly Complaint[],
  objects: readonly FileObject[],
  namespace: string | undefined,
): readonly Complaint[] {
  return complaints.map((one) => {
    const found = placeOf(one, objects, namespace);
    return found === undefined ? one : { ...one, ...found.origin };
  });
}

/** A complaint for people: with the line of the file that it is about, or with the name of the object. */
export function complaintText(
  complaint: Complaint,
  objects: readonly FileObject[],
  namespace: string | undefined,
): string {
  const { resource, path, severity, code, message, suggestion } = complaint;
  const found = placeOf(complaint, objects, namespace);
  if (found !== undefined)
    return formatViolation({ severity, code, message, suggestion, resource, path: [], ...found });
  const where = [resource, path].filter((text) => text !== undefined && text !== '').join(' ');
  const hint = suggestion === undefined ? '' : ` (did you mean ${JSON.stringify(suggestion)}?)`;
  return `${where === '' ? '' : `${where}: `}${severity} ${code} ${message}${hint}`;
}

function placeOf(
  { resource, path = '', atKey = false }: Complaint,
  objects: readonly FileObject[],
  namespace: string | undefined,
): ReturnType<FileObject['place']> | undefined {
  const found = objects.find((one) => nameOf(one, namespace) === resource);
  return found?.place(pathIn(found.object, path), atKey);
}

/** An object that names no namespace is in the one that the command names. */
function nameOf({ kind, namespace, name, object }: FileObject, wanted: string | undefined): string {
  const { metadata } = object;
  const isSaid = typeof metadata === 'object' && metadata !== null && 'namespace' in metadata;
  return `${kind} ${isSaid ? namespace : (wanted ?? namespace)}/${name}`;
}

/** The way that a text means. Names with dots are known by the object; what is not there is taken apart at the dots. */
function pathIn(object: unknown, text: string): readonly (string | number)[] {
  const path: (string | number)[] = [];
  let at: unknown = object;
  let rest = text;
  while (rest !== '') {
    const step = indexAt(rest) ?? keyAt(rest, at);
    path.push(step.value);
    rest = rest.slice(step.length).replace(/^\./, '');
    at = typeof at === 'object' && at !== null ? Reflect.get(at, step.value) : undefined;
  }
  return path;
}

interface Step {
  readonly value: string | number;
  readonly length: number;
}

function indexAt(text: string): Step | undefined {
  const found = /^\[(\d+)\]/.exec(text);
  return found === null ? undefined : { value: Number(found[1]), length: found[0].length };
}

function keyAt(text: string, at: unknown): Step {
  const known = typeof at === 'object' && at !== null ? Object.keys(at) : [];
  const fitting = known
    .filter((key) => text === key || text.startsWith(`${key}.`) || text.startsWith(`${key}[`))
    .sort((a, b) => b.length - a.length);
  const value = fitting[0] ?? /^[^.[]*/.exec(text)?.[0] ?? text;
  // A text that begins with neither a name nor an index is taken whole, so that it ends.
  return value === '' ? { value: text, length: text.length } : { value, length: value.length };
}
