import {
  clone,
  create,
  type DescField,
  type DescMessage,
  isFieldSet,
  type Message,
  ScalarType,
} from '@bufbuild/protobuf';
import { packAny, schemaOf, unpackAnyMessage } from '../../../src/proto/any.js';
import { wkt } from '../../../src/proto/xds.js';

/** A copy of a message in which one more field is set, somewhere in its tree. */
export interface Variant {
  readonly message: Message;
  /** The field that was set, e.g. `envoy.config.route.v3.Route.redirect`. */
  readonly field: string;
}

type Fields = Record<string, unknown>;

/** Every variant: for each message in the tree, also within `Any`, and each of its fields that is not set. */
export function* variants(schema: DescMessage, message: Message): Generator<Variant> {
  for (const field of schema.fields) {
    if (isFieldSet(message, field)) {
      yield* insideOf(schema, message, field);
    } else {
      const copy = clone(schema, message);
      assign(copy, field, sampleOf(field));
      yield { message: copy, field: `${schema.typeName}.${field.name}` };
    }
  }
}

function* insideOf(schema: DescMessage, message: Message, field: DescField): Generator<Variant> {
  const inner = field.message;
  if (inner === undefined || !isWalked(inner, field)) return;
  const value = read(message, field);
  const replaced = function* (
    child: unknown,
    put: (copy: Message, next: Message) => void,
  ): Generator<Variant> {
    for (const variant of childVariants(inner, child as Message)) {
      const copy = clone(schema, message);
      put(copy, variant.message);
      yield { ...variant, message: copy };
    }
  };
  if (field.fieldKind === 'message') {
    yield* replaced(value, (copy, next) => assign(copy, field, next));
    return;
  }
  // Lists and maps: one element after the other.
  for (const key of Object.keys(value as object)) {
    yield* replaced((value as Fields)[key], (copy, next) => {
      (read(copy, field) as Fields)[key] = next;
    });
  }
}

function* childVariants(schema: DescMessage, child: Message): Generator<Variant> {
  if (schema.typeName !== 'google.protobuf.Any') {
    yield* variants(schema, child);
    return;
  }
  const any = child as wkt.Any;
  const innerSchema = schemaOf(any.typeUrl);
  const inner = unpackAnyMessage(any);
  if (innerSchema === undefined || inner === undefined) return;
  for (const variant of variants(innerSchema, inner)) {
    yield { ...variant, message: packAny(innerSchema, variant.message as never) };
  }
}

/**
 * Durations, wrappers and structs are values; `Any` is walked by its content. Where a secret is fetched is dropped as a
 * whole, so there is nothing to see inside.
 */
function isWalked({ typeName }: DescMessage, field: DescField): boolean {
  if (field.name === 'sds_config') return false;
  return typeName === 'google.protobuf.Any' || !typeName.startsWith('google.protobuf.');
}

function read(message: Message, field: DescField): unknown {
  const fields = message as unknown as Fields;
  if (field.oneof === undefined) return fields[field.localName];
  return (fields[field.oneof.localName] as { value: unknown }).value;
}

function assign(message: Message, field: DescField, value: unknown): void {
  const fields = message as unknown as Fields;
  if (field.oneof === undefined) fields[field.localName] = value;
  else fields[field.oneof.localName] = { case: field.localName, value };
}

function sampleOf(field: DescField): unknown {
  switch (field.fieldKind) {
    case 'scalar':
      return sampleScalar(field.scalar);
    case 'enum':
      return field.enum.values.find(({ number }) => number !== 0)?.number ?? 1;
    case 'message':
      return sampleMessage(field.message, field.oneof !== undefined);
    case 'list':
      return [
        field.listKind === 'scalar'
          ? sampleScalar(field.scalar)
          : field.listKind === 'enum'
            ? 1
            : sampleMessage(field.message),
      ];
    case 'map':
      return { key: field.mapKind === 'message' ? sampleMessage(field.message) : 'value' };
  }
}

function sampleScalar(type: ScalarType): unknown {
  switch (type) {
    case ScalarType.STRING:
      return 'zz';
    case ScalarType.BYTES:
      return new Uint8Array([1]);
    case ScalarType.BOOL:
      return true;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 7n;
    default:
      return 7;
  }
}

function sampleMessage(schema: DescMessage, isInOneof = false): unknown {
  const { typeName } = schema;
  const [value] = schema.fields;
  if (typeName === 'google.protobuf.Struct') return { key: 'value' };
  if (typeName === 'google.protobuf.Duration') return create(wkt.DurationSchema, { seconds: 7n });
  if (typeName === 'google.protobuf.Any')
    return create(wkt.AnySchema, { typeUrl: 'type.googleapis.com/nobody.knows.Me' });
  if (
    typeName.endsWith('Value') &&
    typeName.startsWith('google.protobuf.') &&
    value?.fieldKind === 'scalar'
  ) {
    // In a oneof a wrapper stays a message.
    return isInOneof ? create(schema, { value: sampleScalar(value.scalar) }) : sampleScalar(value.scalar);
  }
  return create(schema);
}
