import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';

/** Field number and type of each field of a message; a list type is repeated, a map is of doubles by name. */
type FieldType =
  | 'int32'
  | 'bool'
  | 'bytes'
  | 'string'
  | 'double'
  | 'map'
  | Message<object>
  | [Message<object>];
type Fields = Readonly<Record<string, readonly [number: number, type: FieldType]>>;

/** A message type of gRPC's interop tests: encodes and decodes plain objects. Fields that are not set are left out. */
export interface Message<T extends object> {
  encode(value: T): Buffer;
  decode(bytes: Uint8Array): T;
}

/** A message type by its fields. */
function message<T extends object>(fields: Fields): Message<T> {
  const byNumber = new Map(Object.entries(fields).map(([name, [number, type]]) => [number, { name, type }]));
  return {
    encode(value) {
      const writer = new BinaryWriter();
      for (const [name, [number, type]] of Object.entries(fields)) {
        const field = (value as Record<string, unknown>)[name];
        if (field !== undefined) write(writer, number, type, field);
      }
      return Buffer.from(writer.finish());
    },
    decode(bytes) {
      const reader = new BinaryReader(bytes);
      const value: Record<string, unknown> = {};
      while (reader.pos < reader.len) {
        const [number, wire] = reader.tag();
        const field = byNumber.get(number);
        if (field === undefined) reader.skip(wire, number);
        else read(reader, field.type, value, field.name);
      }
      return value as T;
    },
  };
}

/** Wire types of protobuf. */
const WIRE = { int32: 0, bool: 0, double: 1, bytes: 2, string: 2 } as const;

function write(writer: BinaryWriter, number: number, type: FieldType, value: unknown): void {
  if (Array.isArray(type)) {
    for (const one of value as object[]) write(writer, number, type[0], one);
  } else if (type === 'map') {
    for (const [key, one] of Object.entries(value as Record<string, number>)) {
      const entry = new BinaryWriter().tag(1, 2).string(key).tag(2, 1).double(one).finish();
      writer.tag(number, 2).bytes(entry);
    }
  } else if (typeof type === 'object') {
    writer.tag(number, 2).bytes(type.encode(value as object));
  } else {
    writer.tag(number, WIRE[type]);
    // The table and the type of the message say the same.
    writer[type](value as never);
  }
}

function read(reader: BinaryReader, type: FieldType, into: Record<string, unknown>, name: string): void {
  if (Array.isArray(type)) {
    const before = (into[name] ?? []) as unknown[];
    into[name] = [...before, type[0].decode(reader.bytes())];
  } else if (type === 'map') {
    const { key = '', value = 0 } = ENTRY.decode(reader.bytes());
    into[name] = { ...(into[name] as object | undefined), [key]: value };
  } else if (typeof type === 'object') into[name] = type.decode(reader.bytes());
  else into[name] = reader[type]();
}

const ENTRY = message<{ key?: string; value?: number }>({ key: [1, 'string'], value: [2, 'double'] });

export interface Payload {
  type?: number;
  body?: Uint8Array;
}
export interface EchoStatus {
  code?: number;
  message?: string;
}
export interface OrcaReport {
  cpuUtilization?: number;
  memoryUtilization?: number;
  requestCost?: Record<string, number>;
  utilization?: Record<string, number>;
}
export interface SimpleRequest {
  responseType?: number;
  responseSize?: number;
  payload?: Payload;
  fillUsername?: boolean;
  fillOauthScope?: boolean;
  responseCompressed?: { value?: boolean };
  responseStatus?: EchoStatus;
  expectCompressed?: { value?: boolean };
  fillServerId?: boolean;
  orcaPerQueryReport?: OrcaReport;
}
export interface SimpleResponse {
  payload?: Payload;
  username?: string;
  oauthScope?: string;
  serverId?: string;
  hostname?: string;
}
export interface StreamingInputCallRequest {
  payload?: Payload;
  expectCompressed?: { value?: boolean };
}
export interface StreamingInputCallResponse {
  aggregatedPayloadSize?: number;
}
export interface ResponseParameters {
  size?: number;
  intervalUs?: number;
  compressed?: { value?: boolean };
}
export interface StreamingOutputCallRequest {
  responseType?: number;
  responseParameters?: ResponseParameters[];
  payload?: Payload;
  responseStatus?: EchoStatus;
  orcaOobReport?: OrcaReport;
}
export interface StreamingOutputCallResponse {
  payload?: Payload;
}

const BoolValue = message<{ value?: boolean }>({ value: [1, 'bool'] });
const PayloadType = message<Payload>({ type: [1, 'int32'], body: [2, 'bytes'] });
const EchoStatusType = message<EchoStatus>({ code: [1, 'int32'], message: [2, 'string'] });
const OrcaReportType = message<OrcaReport>({
  cpuUtilization: [1, 'double'],
  memoryUtilization: [2, 'double'],
  requestCost: [3, 'map'],
  utilization: [4, 'map'],
});
const ResponseParametersType = message<ResponseParameters>({
  size: [1, 'int32'],
  intervalUs: [2, 'int32'],
  compressed: [3, BoolValue],
});

/** The messages of `grpc.testing` by their names. */
export const MESSAGES = {
  Empty: message<object>({}),
  SimpleRequest: message<SimpleRequest>({
    responseType: [1, 'int32'],
    responseSize: [2, 'int32'],
    payload: [3, PayloadType],
    fillUsername: [4, 'bool'],
    fillOauthScope: [5, 'bool'],
    responseCompressed: [6, BoolValue],
    responseStatus: [7, EchoStatusType],
    expectCompressed: [8, BoolValue],
    fillServerId: [9, 'bool'],
    orcaPerQueryReport: [11, OrcaReportType],
  }),
  SimpleResponse: message<SimpleResponse>({
    payload: [1, PayloadType],
    username: [2, 'string'],
    oauthScope: [3, 'string'],
    serverId: [4, 'string'],
    hostname: [6, 'string'],
  }),
  StreamingInputCallRequest: message<StreamingInputCallRequest>({
    payload: [1, PayloadType],
    expectCompressed: [2, BoolValue],
  }),
  StreamingInputCallResponse: message<StreamingInputCallResponse>({
    aggregatedPayloadSize: [1, 'int32'],
  }),
  StreamingOutputCallRequest: message<StreamingOutputCallRequest>({
    responseType: [1, 'int32'],
    responseParameters: [2, [ResponseParametersType]],
    payload: [3, PayloadType],
    responseStatus: [7, EchoStatusType],
    orcaOobReport: [8, OrcaReportType],
  }),
  StreamingOutputCallResponse: message<StreamingOutputCallResponse>({ payload: [1, PayloadType] }),
} as const;
