import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CompressedMessage,
  FrameReader,
  frameMessage,
  type ReceivedMessage,
} from '../../../../src/bindings/grpc/frames.js';

/** The messages that a reader makes of these bytes, in pieces that end at the cuts. */
function read(bytes: Buffer, cuts: readonly number[], limit = -1): ReceivedMessage[] {
  const reader = new FrameReader(limit);
  const messages: ReceivedMessage[] = [];
  const at = [...new Set(cuts.map((one) => one % (bytes.byteLength + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const end of [...at, bytes.byteLength]) {
    reader.feed(bytes.subarray(from, end), messages);
    from = end;
  }
  return messages;
}

const message = fc.record({ bytes: fc.uint8Array({ maxLength: 100 }), isCompressed: fc.boolean() });

test('messages come out as they went in, whatever pieces they come in', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 12 }), (list, cuts) => {
      const bytes = Buffer.concat(list.map((one) => frameMessage(one.bytes, one.isCompressed)));
      const found = read(bytes, cuts).map((one) =>
        one instanceof CompressedMessage
          ? { bytes: new Uint8Array(one.bytes), isCompressed: true }
          : { bytes: new Uint8Array(one), isCompressed: false },
      );
      expect(found).toEqual(list);
    }),
  );
});

test('a reader that keeps the prefixes gives the bytes as they came', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 12 }), (list, cuts) => {
      const frames = list.map((one) => frameMessage(one.bytes, one.isCompressed));
      const bytes = Buffer.concat(frames);
      const reader = new FrameReader(-1, true);
      const messages: ReceivedMessage[] = [];
      const at = [...new Set(cuts.map((one) => one % (bytes.byteLength + 1)))].sort((a, b) => a - b);
      let from = 0;
      for (const end of [...at, bytes.byteLength]) {
        reader.feed(bytes.subarray(from, end), messages);
        from = end;
      }
      expect(messages.map((one) => Buffer.from(one as Buffer))).toEqual(frames);
    }),
  );
});

test('the length of a message above the limit is told as soon as its prefix is there', () => {
  const reader = new FrameReader(10);
  const messages: ReceivedMessage[] = [];
  const bytes = frameMessage(Buffer.alloc(11), false);
  expect(reader.feed(bytes.subarray(0, 4), messages)).toBeUndefined();
  expect(reader.feed(bytes.subarray(4, 5), messages)).toBe(11);
  expect(messages).toEqual([]);
});

test('any bytes are read without an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(), { maxLength: 5 }), (bytes, cuts) => {
      expect(() => read(Buffer.from(bytes), cuts, 50)).not.toThrow();
    }),
  );
});

test('a small message does not keep the memory of its chunk', () => {
  const memory = Buffer.from(new ArrayBuffer(65_536));
  const bytes = frameMessage(Buffer.from('small'), false);
  bytes.copy(memory);
  const messages: ReceivedMessage[] = [];
  new FrameReader(-1).feed(memory.subarray(0, bytes.byteLength), messages);
  expect(String(messages[0])).toBe('small');
  expect((messages[0] as Buffer).buffer).not.toBe(memory.buffer);
});
