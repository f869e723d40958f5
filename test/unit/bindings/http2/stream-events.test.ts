import { EventEmitter } from 'node:events';
import type { ClientHttp2Stream } from 'node:http2';
import { expect, test } from 'vitest';
import { listen, type StreamEvents } from '../../../../src/bindings/http2/stream-events.js';

const HEADERS_FRAME = 1;

test.each([
  ['too large', 6, 1],
  ['not taken any more by a connection that closes', 2, 0],
  ['refused', 7, 0],
])('headers that are %s (error %i of node:http2)', (_name, code, times) => {
  let told = 0;
  // Only its events count here.
  const stream = new EventEmitter() as ClientHttp2Stream;
  const listener: Partial<StreamEvents> = { onUnsendable: () => void told++ };
  listen(stream, listener as StreamEvents);
  stream.emit('frameError', HEADERS_FRAME, code, 1);
  expect(told).toBe(times);
});
