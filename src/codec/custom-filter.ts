import { create, fromJson, type JsonObject, toBinary, toJson } from '@bufbuild/protobuf';
import type { CustomFilterConfig, CustomFilterSource, CustomFilterType } from '../model/custom-filter.js';
import { packAny, typeNameOf } from '../proto/any.js';
import { readMessage } from '../proto/read-message.js';
import { wkt, xdsType } from '../proto/xds.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import { type Path, refuse } from './path.js';

/** The configuration of a filter as it arrived. */
export interface FilterBytes {
  /** Of the message itself, also when it came as JSON within a TypedStruct. */
  readonly typeUrl: string;
  readonly bytes: Uint8Array;
  /** Undefined when it did not come as JSON. */
  readonly json: JsonObject | undefined;
}

/** A filter of the application with the configuration that is meant for it. */
export interface FoundCustom {
  readonly type: CustomFilterType;
  decode(level: 'filter' | 'route', path: Path): CustomFilterConfig;
}

/** Messages that say nothing of whose configuration they are: there the filter's name says it. */
const ANONYMOUS = ['google.protobuf.Struct', 'google.protobuf.Empty'];

/** The filter of the application that a configuration is for: by the type of its message, or by the filter's name. */
export function findCustom(given: FilterBytes, name: string, path: Path): FoundCustom | undefined {
  const typeName = typeNameOf(given.typeUrl);
  const isAnonymous = ANONYMOUS.includes(typeName);
  const type = path.custom?.find(isAnonymous ? name : typeName);
  if (type === undefined) return undefined;
  return {
    type,
    decode(level, where) {
      const source = sourceOf(given, typeName, where);
      return { kind: 'custom', type: type.name, source, ...parse(type, source, level, where) };
    },
  };
}

function sourceOf({ typeUrl, bytes, json }: FilterBytes, typeName: string, path: Path): CustomFilterSource {
  if (json !== undefined) return { kind: 'json', typeUrl, json };
  // A message without fields is one whose fields have their defaults.
  if (bytes.length === 0) return { kind: 'json', typeUrl, json: {} };
  if (typeName !== 'google.protobuf.Struct') return { kind: 'bytes', typeUrl, bytes };
  try {
    const json = toJson(wkt.StructSchema, readMessage(wkt.StructSchema, bytes));
    return { kind: 'json', typeUrl, json };
  } catch (cause) {
    return refuse(path, `is no valid ${typeName}: ${messageOf(cause)}`, cause);
  }
}

function parse(type: CustomFilterType, source: CustomFilterSource, level: 'filter' | 'route', path: Path) {
  try {
    return type.parse(source, level);
  } catch (cause) {
    if (MeshError.is(cause) && cause.code === 'INMESH_XDS_DECODE') throw cause;
    return refuse(path, `the filter ${type.name} refuses it: ${messageOf(cause)}`, cause);
  }
}

/** The configuration as an `Any`. */
export function encodeCustom({ source }: CustomFilterConfig): wkt.Any {
  const { typeUrl } = source;
  if (source.kind === 'bytes') return create(wkt.AnySchema, { typeUrl, value: source.bytes });
  // It came as JSON, or was written as such.
  const value = source.json as JsonObject;
  const typeName = typeNameOf(typeUrl);
  if (typeName === 'google.protobuf.Struct') {
    return create(wkt.AnySchema, {
      typeUrl,
      value: toBinary(wkt.StructSchema, fromJson(wkt.StructSchema, value)),
    });
  }
  if (typeName === 'google.protobuf.Empty') return create(wkt.AnySchema, { typeUrl });
  return packAny(xdsType.TypedStructSchema, create(xdsType.TypedStructSchema, { typeUrl, value }));
}
