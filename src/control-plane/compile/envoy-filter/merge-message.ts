import {
  clone,
  type DescField,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import type { Any } from '@bufbuild/protobuf/wkt';
import { schemaOf } from '../../../proto/any.js';

/** What becomes of lists: those of the patch come after what is there, or replace it. */
export type ListMerge = 'append' | 'replace';

/**
 * Whose parts do not add up: a duration of 3s in place of 5.5s is no 3.5s (Istio), and what is packed can only be merged by
 * who knows its type.
 */
const WELL_KNOWN = 'google.protobuf.';

/** A message with what the patch sets in it (protobuf's merge): fields replaced, messages merged, maps joined. */
export function mergeMessage<Desc extends DescMessage>(
  schema: Desc,
  target: MessageShape<Desc>,
  patch: MessageShape<Desc>,
  lists: ListMerge = 'append',
): MessageShape<Desc> {
  const merged = clone(schema, target);
  mergeInto(reflect(schema, merged), reflect(schema, clone(schema, patch)), lists);
  return merged;
}

function mergeInto(target: ReflectMessage, patch: ReflectMessage, lists: ListMerge): void {
  for (const field of patch.fields) if (patch.isSet(field)) mergeField(target, patch, field, lists);
}

function mergeField(target: ReflectMessage, patch: ReflectMessage, field: DescField, lists: ListMerge): void {
  if (field.fieldKind === 'list') {
    if (lists === 'replace') target.clear(field);
    const list = target.get(field);
    for (const item of patch.get(field)) list.add(item);
  } else if (field.fieldKind === 'map') {
    const map = target.get(field);
    for (const [key, value] of patch.get(field)) map.set(key, value);
  } else if (
    field.fieldKind === 'message' &&
    target.isSet(field) &&
    !field.message.typeName.startsWith(WELL_KNOWN)
  ) {
    mergeInto(target.get(field), patch.get(field), lists);
  } else {
    target.set(field, patch.get(field));
  }
}

/** Istio (MergeAnyWithAny): the content of the patch within the content that is there, whose type it keeps. */
export function mergeAny(target: Any, patch: Any, lists: ListMerge = 'append'): Any {
  const schema = schemaOf(target.typeUrl);
  if (schema === undefined) return patch;
  const read = (any: Any): Message => fromBinary(schema, any.value);
  const merged = mergeMessage(schema, read(target), read(patch), lists);
  return { ...target, value: toBinary(schema, merged) };
}
