import { type DescField, type DescMessage, isFieldSet, type MessageShape } from '@bufbuild/protobuf';
import { at, type Path, refuse } from './path.js';

/** Which fields of a message may be set, by their names in the .proto file. */
export interface FieldRules {
  /** Fields whose meaning the model carries. */
  readonly enforced: readonly string[];
  /** Fields that may be dropped because they change nothing that a request or its caller can observe. */
  readonly ignored?: readonly string[];
}

/** Refuses a message that has any other field set than those of its rules. */
export type FieldGuard<Desc extends DescMessage> = (message: MessageShape<Desc>, path: Path) => void;

/**
 * Makes the guard of one message: an ACK is a promise, so a field that we would not enforce is refused by its path.
 * Fields that the generated code does not know are dropped, as Envoy and gRPC do (`Envoy: unknown fields`).
 * The schema comes as a function because reading it loads its proto package.
 */
export function onlyFields<Desc extends DescMessage>(
  schema: () => Desc,
  rules: FieldRules,
): FieldGuard<Desc> {
  let refused: readonly DescField[] | undefined;
  return (message, path) => {
    refused ??= refusedFields(schema(), rules);
    for (const field of refused) {
      if (isFieldSet(message, field)) refuse(at(path, field.name), 'is not supported');
    }
  };
}

function refusedFields(schema: DescMessage, { enforced, ignored = [] }: FieldRules): readonly DescField[] {
  const allowed = new Set([...enforced, ...ignored]);
  const refused = schema.fields.filter((field) => !allowed.delete(field.name));
  if (allowed.size > 0) throw new TypeError(`${schema.typeName} has no field ${[...allowed].join(', ')}`);
  return refused;
}
