import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GrpcFrameError, GrpcFrames, grpcFrame } from '../../../src/service/grpc-frames.js';

test('messages come out as they went in, whatever pieces they come in', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 });
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (sent, sizes) => {
      const bytes = Buffer.concat(sent.map(grpcFrame));
      const frames = new GrpcFrames(40);
      const received: Uint8Array[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const end = at + (sizes[i % sizes.length] ?? 1);
        received.push(...frames.feed(bytes.subarray(at, end)));
        at = end;
      }
      expect(received.map((one) => [...one])).toEqual(sent.map((one) => [...one]));
      expect(frames.isWithin).toBe(false);
    }),
  );
});

test('compressed and overlong messages are refused', () => {
  const one = grpcFrame(new Uint8Array(11));
  expect(() => [...new GrpcFrames(10).feed(one)]).toThrow(GrpcFrameError);
  one[0] = 1;
  expect(() => [...new GrpcFrames(100).feed(one)]).toThrow('compressed');
});

test('a message that has only begun is told', () => {
  const frames = new GrpcFrames(10);
  expect([...frames.feed(grpcFrame(new Uint8Array(3)).subarray(0, 6))]).toEqual([]);
  expect(frames.isWithin).toBe(true);
});
