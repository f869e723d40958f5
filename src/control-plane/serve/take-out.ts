import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** One field of a message, with its tags, and everything else. */
export interface TakenOut {
  readonly field: Uint8Array;
  readonly rest: Uint8Array;
}

/** Takes a field out of an encoded message without decoding the rest. Throws when the bytes are no message. */
export function takeOut(message: Uint8Array, number: number): TakenOut {
  const reader = new BinaryReader(message);
  const field: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  // Neighbours of the same sort are one piece.
  let start = 0;
  let wasField = false;
  while (reader.pos < reader.len) {
    const at = reader.pos;
    const [found, wireType] = reader.tag();
    reader.skip(wireType, found);
    const isField = found === number && wireType === WireType.LengthDelimited;
    if (isField === wasField) continue;
    if (at > start) (wasField ? field : rest).push(message.subarray(start, at));
    start = at;
    wasField = isField;
  }
  if (message.length > start) (wasField ? field : rest).push(message.subarray(start));
  return { field: join(field), rest: join(rest) };
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
}
