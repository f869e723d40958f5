import type { MeshError } from '../runtime/errors.js';
import type { DecodableType, HeldBytes, HeldResources } from './protocol.js';

/** What a response has under a name; neither bytes nor error: a heartbeat. */
export interface Present {
  readonly bytes: Uint8Array | undefined;
  readonly error: MeshError | undefined;
  readonly version: string;
  readonly ttlMs: number | undefined;
}

/** What came of decoding a resource. */
export type Outcome =
  | { readonly decoded: ReturnType<DecodableType['decode']>; readonly error: undefined }
  | { readonly decoded: undefined; readonly error: unknown };

/** Decodes, with pauses, what may be large and is not known yet. */
export function* decodeLarge(
  type: DecodableType,
  present: ReadonlyMap<string, Present>,
  held: HeldResources,
): Generator<void, ReadonlyMap<string, Outcome>> {
  const decoded = new Map<string, Outcome>();
  if (type.decodeInSteps === undefined) return decoded;
  for (const [name, { bytes, error }] of present) {
    const known = held.get(type.typeUrl, name);
    if (bytes === undefined || error !== undefined || isKnown(bytes, known)) continue;
    decoded.set(name, yield* attempt(type.decodeInSteps(bytes, heldValue(known))));
  }
  return decoded;
}

function* attempt(steps: Generator<void, ReturnType<DecodableType['decode']>>): Generator<void, Outcome> {
  try {
    return { decoded: yield* steps, error: undefined };
  } catch (error) {
    return { decoded: undefined, error };
  }
}

/** Decodes without a pause. */
export function attemptAtOnce(type: DecodableType, bytes: Uint8Array): Outcome {
  try {
    return { decoded: type.decode(bytes), error: undefined };
  } catch (error) {
    return { decoded: undefined, error };
  }
}

function isKnown(bytes: Uint8Array, held: HeldBytes | undefined): boolean {
  const { accepted, rejected: refused } = held ?? {};
  return (
    (accepted !== undefined && isSameBytes(bytes, accepted)) ||
    (refused !== undefined && isSameBytes(bytes, refused.bytes))
  );
}

function heldValue(held: HeldBytes | undefined): { bytes: Uint8Array; resource: unknown } | undefined {
  return held?.accepted === undefined ? undefined : { bytes: held.accepted, resource: held.resource };
}

/** Whether two byte strings are equal. */
export function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
