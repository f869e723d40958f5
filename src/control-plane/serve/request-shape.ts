import { BinaryReader } from '@bufbuild/protobuf/wire';

/** What a request may consist of. */
export interface RequestShape {
  /** Numbers of the fields that list names. */
  readonly lists: readonly number[];
  /** Entries of all of them together. */
  readonly maxEntries: number;
}

/** Everything but the lists: who the client is, and what it says of the last response. */
const MAX_OTHER_BYTES = 256 * 1024;

/**
 * Why a request is refused before it is decoded; undefined = it is not. Two bytes are enough for an empty message inside of
 * it, which would become an object: so what may be long has to be a list of names, and short in entries.
 * @throws Error when the bytes are no message.
 */
export function misshapen(message: Uint8Array, { lists, maxEntries }: RequestShape): string | undefined {
  // Most requests are small, and cost no look.
  if (message.length <= MAX_OTHER_BYTES) return undefined;
  const reader = new BinaryReader(message);
  let others = 0;
  let entries = 0;
  while (reader.pos < reader.len) {
    const before = reader.pos;
    const [field, wireType] = reader.tag();
    reader.skip(wireType, field);
    if (lists.includes(field)) entries++;
    else others += reader.pos - before;
    if (others > MAX_OTHER_BYTES) return `it has more than ${MAX_OTHER_BYTES} bytes besides names`;
    if (entries > maxEntries) return `it lists more than ${maxEntries} names`;
  }
  return undefined;
}
