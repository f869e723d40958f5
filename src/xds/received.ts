import { MeshError, messageOf } from '../runtime/errors.js';
import { attemptAtOnce, isSameBytes, type Outcome, type Present } from './decode-large.js';
import type { DecodableType, HeldBytes, Received, ResourceChange } from './protocol.js';
import type { ResourceFailure } from './resource-errors.js';
import { canonicalName } from './resource-name.js';

/** A complaint about one resource; the name is missing when it could not be read. */
export interface Complaint {
  readonly name: string | undefined;
  readonly text: string;
}

/** One resource of a response. */
export interface Item extends Omit<Present, 'error'> {
  readonly type: DecodableType;
  readonly name: string;
}

/**
 * What a resource of a response changes, given what is held under its name. `known` is its outcome when it was decoded
 * already, `isCurrent` tells of a heartbeat that the server counts from the version in force.
 */
export function judge(
  item: Item,
  held: HeldBytes | undefined,
  known: Outcome | undefined,
  isCurrent: boolean,
): ResourceChange {
  const { type, name, bytes, version, ttlMs } = item;
  const unchanged = { kind: 'unchanged', type, name, version, ttlMs } as const;
  if (bytes === undefined) {
    const isHeld = held?.accepted !== undefined && isCurrent;
    return isHeld ? unchanged : rejected(item, decodeError('resource: is missing', name));
  }
  if (
    held?.accepted !== undefined &&
    isSameBytes(bytes, held.accepted) &&
    type.countsAnew?.(held.resource) !== true
  ) {
    return unchanged;
  }
  if (held?.rejected !== undefined && isSameBytes(bytes, held.rejected.bytes)) {
    return rejected(item, held.rejected.error);
  }
  const { decoded, error } = known ?? attemptAtOnce(type, bytes);
  if (decoded === undefined) {
    return rejected(item, MeshError.is(error) ? error : decodeError(messageOf(error), name, error));
  }
  if (type.isNamespaced !== true && canonicalName(decoded.name) !== name) {
    return rejected(item, decodeError(`name: reads ${JSON.stringify(decoded.name)}`, name));
  }
  // A copy, so that one small resource does not keep a whole response in memory.
  return {
    kind: 'updated',
    type,
    name,
    bytes: bytes.slice(),
    resource: decoded.resource,
    version,
    ttlMs,
  };
}

/** The change that a refusal is. */
export function rejected(
  { type, name, bytes, version }: Omit<Item, 'ttlMs'>,
  error: MeshError,
): Extract<ResourceChange, { kind: 'rejected' }> {
  return { kind: 'rejected', type, name, bytes: (bytes ?? new Uint8Array()).slice(), error, version };
}

/** The complaint that a refusal is: the codec's own errors name the resource already. */
export function complaintOf({ type, name, error }: Extract<ResourceChange, { kind: 'rejected' }>): Complaint {
  const resource = `${type.short} ${name}`;
  return { name, text: error.resource === resource ? error.message : `${resource}: ${error.message}` };
}

/** The changes that errors of the server are, of the names that are meant. */
export function failuresOf(
  type: DecodableType,
  failures: readonly ResourceFailure[],
  isMeant: (name: string) => boolean,
): ResourceChange[] {
  return failures.flatMap((failure) => (isMeant(failure.name) ? [{ kind: 'failed', type, ...failure }] : []));
}

/** The complaints about what has no name, as errors. */
export function namelessErrors(complaints: readonly Complaint[]): MeshError[] {
  return complaints.filter(({ name }) => name === undefined).map(({ text }) => decodeError(text, undefined));
}

/** What follows from a response that is not answered. */
export function ignored({ typeUrl, server }: Pick<Received, 'typeUrl' | 'server'>, text: string): Received {
  const errors = [new MeshError('INMESH_XDS_REJECTED', text)];
  return { typeUrl, server, changes: [], errors, reply: undefined, withheld: undefined };
}

/** A complaint about a resource as an error. */
export function decodeError(text: string, name: string | undefined, cause?: unknown): MeshError {
  return new MeshError('INMESH_XDS_DECODE', text, { resource: name, cause });
}
