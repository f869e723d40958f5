import { type ProtoField, type ProtoType, protoType } from './protos.js';

/** A resource as Envoy's documentation writes it: field names in snake case, durations as `1s`, `@type` in an Any. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

const TYPE_URL = 'type.googleapis.com/';
const WRAPPER = /^\.google\.protobuf\.(?:\w+)Value$/;

/** Encodes a message given as JSON; a name that the type does not have is a mistake of the test. */
export function encodeJson(typeName: string, json: Json): Uint8Array {
  const type = protoType(typeName);
  return type.encode(messageOf(type, json)).finish();
}

function messageOf(type: ProtoType, json: Json): object {
  const special = wellKnown(type.fullName, json);
  if (special !== undefined) return special;
  const message: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(asObject(json))) {
    const field = type.fields[name]?.resolve();
    if (field === undefined) throw new Error(`${type.fullName} has no field ${name}`);
    message[name] = fieldOf(field, value);
  }
  return message;
}

function fieldOf(field: ProtoField, json: Json): unknown {
  if (field.map)
    return Object.fromEntries(
      Object.entries(asObject(json)).map(([key, value]) => [key, single(field, value)]),
    );
  if (!field.repeated) return single(field, json);
  if (!Array.isArray(json)) throw new Error(`${field.type}: is a list`);
  return json.map((one: Json) => single(field, one));
}

function single(field: ProtoField, json: Json): unknown {
  const { resolvedType, type } = field;
  if (type === 'bytes') return Buffer.from(String(json), 'base64');
  if (resolvedType === null) return json;
  if (resolvedType.values === undefined) return messageOf(resolvedType, json);
  if (typeof json !== 'string') return json;
  const number = resolvedType.values[json];
  if (number === undefined) throw new Error(`${resolvedType.fullName} has no value ${json}`);
  return number;
}

function wellKnown(fullName: string, json: Json): object | undefined {
  if (fullName === '.google.protobuf.Duration') return duration(json);
  if (fullName === '.google.protobuf.Any') return any(json);
  if (fullName === '.google.protobuf.Struct')
    return {
      fields: Object.fromEntries(
        Object.entries(asObject(json)).map(([key, value]) => [key, structValue(value)]),
      ),
    };
  if (fullName === '.google.protobuf.Value') return structValue(json);
  if (WRAPPER.test(fullName)) return { value: json };
  return undefined;
}

function duration(json: Json): { readonly seconds: number; readonly nanos: number } {
  const [, seconds = '', fraction = ''] = /^(-?\d+)(?:\.(\d{1,9}))?s$/.exec(String(json)) ?? [];
  if (seconds === '') throw new Error(`${JSON.stringify(json)} is no duration`);
  return { seconds: Number(seconds), nanos: Number(fraction.padEnd(9, '0')) };
}

/** Packs `{ "@type": ..., fields }` into an Any. */
export function any(json: Json): { readonly type_url: string; readonly value: Uint8Array } {
  const { '@type': url, ...fields } = asObject(json);
  if (typeof url !== 'string') throw new Error('an Any needs its @type');
  return { type_url: url, value: encodeJson(url.slice(TYPE_URL.length), fields) };
}

function structValue(json: Json): object {
  if (json === null) return { nullValue: 0 };
  if (typeof json === 'string') return { stringValue: json };
  if (typeof json === 'number') return { numberValue: json };
  if (typeof json === 'boolean') return { boolValue: json };
  if (Array.isArray(json)) return { listValue: { values: json.map((one: Json) => structValue(one)) } };
  return {
    structValue: {
      fields: Object.fromEntries(
        Object.entries(asObject(json)).map(([key, value]) => [key, structValue(value)]),
      ),
    },
  };
}

function asObject(json: Json): { readonly [key: string]: Json } {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new Error(`${JSON.stringify(json)} is no object`);
  }
  // The check above leaves no other form.
  return json as { readonly [key: string]: Json };
}

/** Every string in a value: whatever a resource refers to is among them. */
export function* stringsIn(json: Json): Generator<string> {
  if (typeof json === 'string') yield json;
  else if (typeof json === 'object' && json !== null) {
    for (const value of Array.isArray(json) ? json : Object.values(asObject(json))) yield* stringsIn(value);
  }
}
