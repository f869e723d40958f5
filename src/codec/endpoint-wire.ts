import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/**
 * Reads endpoints straight from the wire. An EDS resource may hold ten thousand of them, and building generated messages
 * with their metadata costs more than all of this (10,000 endpoints with labels, CPU: 60 ms for the messages alone, 32 ms
 * for the whole decoding by this way).
 */

/** A message's bytes taken apart: the values of one repeated message field, and all else. */
export interface SplitMessage {
  readonly rest: Uint8Array;
  readonly values: readonly Uint8Array[];
}

/** Takes the values of a repeated message field out of a message. Throws when the bytes are malformed. */
export function splitField(bytes: Uint8Array, fieldNumber: number): SplitMessage {
  const reader = new BinaryReader(bytes);
  const values: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  // Neighbours of the rest are one piece, however many they are.
  let restFrom = 0;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, wireType] = reader.tag();
    if (field !== fieldNumber || wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, field);
      continue;
    }
    if (start > restFrom) rest.push(bytes.subarray(restFrom, start));
    values.push(reader.bytes());
    restFrom = reader.pos;
  }
  if (bytes.length > restFrom) rest.push(bytes.subarray(restFrom));
  return { rest: Buffer.concat(rest), values };
}

/** An endpoint that says only what nearly all endpoints say. */
export interface PlainEndpoint {
  readonly address: string;
  readonly port: number;
  readonly hostname: string;
  readonly health: number;
  readonly weight: number | undefined;
  /** The bytes of `core.v3.Metadata`. */
  readonly metadata: Uint8Array | undefined;
}

interface Draft {
  address: string;
  port: number | undefined;
  hostname: string;
  health: number;
  weight: number | undefined;
  metadata: Uint8Array | undefined;
}

/** How to read one field: its wire type, and a function that is false when the endpoint is not plain. */
interface Field {
  readonly wireType: WireType;
  readonly read: (reader: BinaryReader, draft: Draft) => boolean;
}

/** The fields that a plain endpoint has, by field number. */
type Fields = Readonly<Record<number, Field>>;

function varint(set: (value: number, draft: Draft) => void): Field {
  return {
    wireType: WireType.Varint,
    read(reader, draft) {
      set(reader.uint32(), draft);
      return true;
    },
  };
}

function string(set: (value: string, draft: Draft) => void): Field {
  return {
    wireType: WireType.LengthDelimited,
    read(reader, draft) {
      set(reader.string(true), draft);
      return true;
    },
  };
}

function message(fields: Fields, begin?: (draft: Draft) => void): Field {
  return {
    wireType: WireType.LengthDelimited,
    read(reader, draft) {
      begin?.(draft);
      const length = reader.uint32();
      const end = reader.pos + length;
      return end <= reader.len && readFields(reader, { fields, end }, draft);
    },
  };
}

const SOCKET_ADDRESS: Fields = {
  2: string((value, draft) => {
    draft.address = value;
  }),
  3: varint((value, draft) => {
    draft.port = value;
  }),
};

const ENDPOINT: Fields = {
  1: message({ 1: message(SOCKET_ADDRESS) }),
  3: string((value, draft) => {
    draft.hostname = value;
  }),
};

const LB_ENDPOINT: Fields = {
  1: message(ENDPOINT),
  2: varint((value, draft) => {
    draft.health = value;
  }),
  3: {
    wireType: WireType.LengthDelimited,
    read(reader, draft) {
      // A second one would have to be merged with the first.
      if (draft.metadata !== undefined) return false;
      draft.metadata = reader.bytes();
      return true;
    },
  },
  4: message(
    {
      1: varint((value, draft) => {
        draft.weight = value;
      }),
    },
    (draft) => {
      // An empty UInt32Value is 0.
      draft.weight = 0;
    },
  ),
};

/** The endpoint, or undefined when it says more or otherwise than a plain one; then the generated code decides. */
export function readPlainEndpoint(bytes: Uint8Array): PlainEndpoint | undefined {
  const draft: Draft = {
    address: '',
    port: undefined,
    hostname: '',
    health: 0,
    weight: undefined,
    metadata: undefined,
  };
  try {
    if (!readFields(new BinaryReader(bytes), { fields: LB_ENDPOINT, end: bytes.length }, draft))
      return undefined;
  } catch {
    // Malformed; the generated code says how.
    return undefined;
  }
  const { port } = draft;
  return port === undefined ? undefined : { ...draft, port };
}

interface Extent {
  readonly fields: Fields;
  readonly end: number;
}

function readFields(reader: BinaryReader, { fields, end }: Extent, draft: Draft): boolean {
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = fields[number];
    if (field === undefined || field.wireType !== wireType || !field.read(reader, draft)) return false;
  }
  // A field that runs over the end of its message is malformed.
  return reader.pos === end;
}
