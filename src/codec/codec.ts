import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import type { ResourceShortName } from '../model/resource-short-name.js';
import { anyIs } from '../proto/any.js';
import type { wkt } from '../proto/xds.js';
import { messageOf } from '../runtime/errors.js';
import { type Path, refuse, rootPath } from './path.js';

/** How one type of xDS resource travels: the two-way border between bytes and the model. */
export interface ResourceType<T> {
  readonly typeUrl: string;
  readonly short: ResourceShortName;
  /** State of the world: a response is the complete set, so absence means removal (LDS, CDS). */
  readonly complete: boolean;
  /** Throws a MeshError `INMESH_XDS_DECODE` that names the field which we can't enforce or which is wrong. */
  decode(bytes: Uint8Array): { readonly name: string; readonly resource: T };
  encode(resource: T): Uint8Array;
}

/** What a resource type is made of; `M` is what stands between bytes and model. */
export interface ResourceTypeDefinition<T, M> {
  readonly typeUrl: string;
  readonly short: ResourceShortName;
  readonly complete: boolean;
  readonly parse: (bytes: Uint8Array, path: Path) => M;
  readonly nameOf: (parsed: M) => string;
  readonly decode: (parsed: M, path: Path) => T;
  readonly encode: (resource: T) => Uint8Array;
}

/** Makes a resource type. */
export function defineResourceType<T, M>(definition: ResourceTypeDefinition<T, M>): ResourceType<T> {
  const { typeUrl, short, complete, parse, nameOf, decode, encode } = definition;
  return {
    typeUrl,
    short,
    complete,
    decode(bytes) {
      const parsed = parse(bytes, rootPath(short));
      const name = nameOf(parsed);
      if (name === '') refuse(rootPath(short), 'the name must not be empty');
      return { name, resource: decode(parsed, rootPath(`${short} ${name}`)) };
    },
    encode,
  };
}

/** The message in the bytes; refuses bytes that are none. */
export function decodeMessage<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
  path: Path,
): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    return refuse(path, `is no valid ${schema.typeName}: ${messageOf(cause)}`, cause);
  }
}

/** The message in the `Any`, or undefined when it carries another type; refuses bytes that do not decode. */
export function decodeAny<Desc extends DescMessage>(
  schema: Desc,
  any: wkt.Any,
  path: Path,
): MessageShape<Desc> | undefined {
  return anyIs(any, schema) ? decodeMessage(schema, any.value, path) : undefined;
}
