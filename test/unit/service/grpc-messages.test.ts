import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createGrpcMessages } from '../../../src/service/grpc-messages.js';

function framed(size: number): Buffer {
  const frame = Buffer.alloc(5 + size, 0xff);
  frame[0] = 0;
  frame.writeUInt32BE(size, 1);
  return frame;
}

test('the messages of a gRPC body are counted, whatever pieces they come in', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(700), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1 }),
      (sizes, cuts) => {
        const body = Buffer.concat(sizes.map(framed));
        const { response } = createGrpcMessages();
        let at = 0;
        for (let i = 0; at < body.length; i++) {
          const end = at + (cuts[i % cuts.length] ?? 1);
          response.feed(body.subarray(at, end));
          at = end;
        }
        expect(response.count).toBe(sizes.length);
      },
    ),
  );
});

test('a message counts once its length is known', () => {
  const { request } = createGrpcMessages();
  request.feed(Buffer.from([0, 0, 0, 0]));
  expect(request.count).toBe(0);
  request.feed(Buffer.from([9]));
  expect(request.count).toBe(1);
});
