import type { DescMessage, Message, MessageShape } from '@bufbuild/protobuf';
import { create, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import * as wkt from '@bufbuild/protobuf/wkt';
import { packages } from './gen/xds.js';
import { readMessage } from './read-message.js';

const prefix = 'type.googleapis.com/';

/** The type URL under which xDS carries a message: `type.googleapis.com/envoy.config.cluster.v3.Cluster`. */
export function typeUrlOf(schema: DescMessage): string {
  return prefix + schema.typeName;
}

/** The full message name in a type URL. Any host is accepted, as the Any specification asks. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}

/** Wraps a message into an `Any`. */
export function packAny<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Any {
  return create(wkt.AnySchema, { typeUrl: typeUrlOf(schema), value: toBinary(schema, message) });
}

/** True when the `Any` claims to carry this message. */
export function anyIs(any: Any, schema: DescMessage): boolean {
  return typeNameOf(any.typeUrl) === schema.typeName;
}

/** The message inside, or `undefined` when it is of another type. Throws when the bytes do not decode. */
export function unpackAny<Desc extends DescMessage>(schema: Desc, any: Any): MessageShape<Desc> | undefined {
  return anyIs(any, schema) ? readMessage(schema, any.value) : undefined;
}

/** The message inside whatever its type, or `undefined` when the type was not generated. */
export function unpackAnyMessage(any: Any): Message | undefined {
  const schema = schemaOf(any.typeUrl);
  return schema && readMessage(schema, any.value);
}

/** The schema behind a type URL or full message name. Loads only the package that holds it. */
export function schemaOf(typeUrl: string): DescMessage | undefined {
  const typeName = typeNameOf(typeUrl);
  // The package is what precedes the first capitalised segment: `envoy.config.core.v3` . `Locality`.
  const split = /^((?:[a-z0-9_]+\.)*)([A-Z].*)$/.exec(typeName);
  const packageName = split?.[1]?.slice(0, -1);
  if (split?.[2] === undefined || packageName === undefined) return undefined;
  const namespace = packageNamespace(packageName);
  const found = namespace?.[`${split[2].replaceAll('.', '_')}Schema`];
  return isMessageSchema(found) && found.typeName === typeName ? found : undefined;
}

function packageNamespace(name: string): Readonly<Record<string, unknown>> | undefined {
  if (name === 'google.protobuf') return wkt;
  return Object.hasOwn(packages, name) ? packages[name] : undefined;
}

function isMessageSchema(value: unknown): value is DescMessage {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'message';
}
