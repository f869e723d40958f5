import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';

/** Every unknown field would be an object of its own: two bytes of a stranger would become a hundred. */
const OPTIONS = { readUnknownFields: false } as const;

/**
 * Reads a message. Fields that it does not know are skipped, at most 100 levels deep, and not kept.
 * @throws Error when the bytes are no such message.
 */
export function readMessage<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  return fromBinary(schema, bytes, OPTIONS);
}
