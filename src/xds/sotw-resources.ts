import { MeshError } from '../runtime/errors.js';
import { type DecodableType, type ResourceChange, WILDCARD } from './protocol.js';
import { canonicalName } from './resource-name.js';
import { type SotwResponse, unpackResource } from './sotw-messages.js';

/** What a client asked for of one type. */
export interface Subscription {
  readonly type: DecodableType;
  readonly names: ReadonlySet<string>;
}

/** A complaint about one resource; the name is missing when it could not be read. */
export interface Complaint {
  readonly name: string | undefined;
  readonly text: string;
}

/** One resource of a response. */
export interface Item {
  readonly type: DecodableType;
  readonly name: string;
  readonly bytes: Uint8Array | undefined;
  readonly version: string;
}

/** What a response has under a name. */
export interface Present {
  readonly bytes: Uint8Array | undefined;
  readonly error: MeshError | undefined;
}

/** The subscribed resources of a response by name, the unreadable ones as complaints. */
export function collect(
  { type, names }: Subscription,
  response: SotwResponse,
  complaints: Complaint[],
): Map<string, Present> {
  const present = new Map<string, Present>();
  const isWildcard = names.has(WILDCARD);
  for (const [index, any] of response.resources.entries()) {
    const { name: spelled, bytes, error } = unpackResource(any, type.typeUrl);
    const name = spelled === undefined ? undefined : canonicalName(spelled);
    if (name === undefined) {
      complaints.push({
        name,
        text: `${type.short} resources[${index}]: ${error ?? 'name: is missing'}`,
      });
      continue;
    }
    if (!isWildcard && !names.has(name)) continue;
    if (present.has(name)) present.set(name, { bytes, error: decodeError('is in the response twice', name) });
    else present.set(name, { bytes, error: error === undefined ? undefined : decodeError(error, name) });
  }
  return present;
}

/** The change that a refusal is. */
export function rejected({ type, name, bytes, version }: Item, error: MeshError): ResourceChange {
  return { kind: 'rejected', type, name, bytes: (bytes ?? new Uint8Array()).slice(), error, version };
}

/** A complaint about a resource as an error. */
export function decodeError(text: string, name: string | undefined, cause?: unknown): MeshError {
  return new MeshError('INMESH_XDS_DECODE', text, { resource: name, cause });
}

/** Whether two byte strings are equal. */
export function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
