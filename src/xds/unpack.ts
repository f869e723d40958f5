import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { anyIs } from '../proto/any.js';
import { readMessage } from '../proto/read-message.js';
import { discovery, type wkt } from '../proto/xds.js';
import { messageOf } from '../runtime/errors.js';
import { canonicalName } from './resource-name.js';

/** A resource taken out of its wrappers. */
export interface Unpacked {
  /** In its canonical spelling; undefined when it could not be read. */
  readonly name: string | undefined;
  /** Undefined: a heartbeat, or unreadable. */
  readonly bytes: Uint8Array | undefined;
  /** Why it can't be used. */
  readonly error: string | undefined;
  /** Of the `Resource` around it; empty without one. */
  readonly version: string;
  /** How long it counts from now on; undefined = until it is removed. */
  readonly ttlMs: number | undefined;
}

/** Takes a resource out of its `Any` and, if it is there, out of `envoy.service.discovery.v3.Resource`. */
export function unpackAny(any: wkt.Any, typeUrl: string): Unpacked {
  try {
    return anyIs(any, discovery.ResourceSchema)
      ? unpackResource(readMessage(discovery.ResourceSchema, any.value), typeUrl)
      : { ...readBody(any, typeUrl, ''), version: '', ttlMs: undefined };
  } catch (error) {
    return unreadable(`cannot be decoded: ${messageOf(error)}`);
  }
}

/** Takes a resource out of its wrapper. Without a body it is a heartbeat: the resource is still there, unchanged. */
export function unpackResource(
  { name: spelled, resource, version, ttl }: discovery.Resource,
  typeUrl: string,
): Unpacked {
  const ttlMs = ttl && Number(ttl.seconds) * 1000 + Math.ceil(ttl.nanos / 1e6);
  const about = { version, ttlMs };
  const name = canonicalName(spelled);
  if (ttlMs !== undefined && ttlMs < 0) {
    return { ...about, name: name || undefined, bytes: undefined, error: 'ttl: must not be negative' };
  }
  if (resource !== undefined) return { ...readBody(resource, typeUrl, name), ...about };
  if (name === '') return unreadable('resource: is missing');
  return { ...about, name, bytes: undefined, error: undefined };
}

function readBody(
  any: wkt.Any,
  typeUrl: string,
  outerName: string,
): Pick<Unpacked, 'name' | 'bytes' | 'error'> {
  const failed = (error: string) => ({ name: outerName || undefined, bytes: undefined, error });
  if (typeNameIn(any.typeUrl) !== typeNameIn(typeUrl)) {
    return failed(
      `is of type ${JSON.stringify(any.typeUrl)} in a response of type ${JSON.stringify(typeUrl)}`,
    );
  }
  try {
    const name = outerName === '' ? canonicalName(peekName(any.value)) : outerName;
    return name === '' ? failed('name: must not be empty') : { name, bytes: any.value, error: undefined };
  } catch (error) {
    return failed(`cannot be decoded: ${messageOf(error)}`);
  }
}

function unreadable(error: string): Unpacked {
  return { name: undefined, bytes: undefined, error, version: '', ttlMs: undefined };
}

function typeNameIn(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}

/**
 * The resource's name without decoding the rest: every top-level xDS resource carries it in field 1. Reading it first
 * lets unrequested and unchanged resources pass undecoded, and names a resource whose rest does not decode.
 */
function peekName(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes);
  let name = '';
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    // Protobuf: the last occurrence of a field wins.
    if (field === 1 && wireType === WireType.LengthDelimited) name = reader.string();
    else reader.skip(wireType, field);
  }
  return name;
}
