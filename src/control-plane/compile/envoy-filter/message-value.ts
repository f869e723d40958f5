import { clone, type DescMessage, type Message, type MessageShape } from '@bufbuild/protobuf';
import { listsOf } from './list-patches.js';
import { mergeMessage } from './merge-message.js';
import type { Patch } from './patches.js';

/** A copy of a patch's value as the message that it is; undefined when it is another. */
export function cloned<Desc extends DescMessage>(
  schema: Desc,
  value: Message | undefined,
): MessageShape<Desc> | undefined {
  if (value === undefined || value.$typeName !== schema.typeName) return undefined;
  // The name of its type says what it is.
  return clone(schema, value as MessageShape<Desc>);
}

/** The message with what the patch sets in it. */
export function merged<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  patch: Patch,
): MessageShape<Desc> {
  const value = cloned(schema, patch.value);
  return value === undefined ? message : mergeMessage(schema, message, value, listsOf(patch));
}
