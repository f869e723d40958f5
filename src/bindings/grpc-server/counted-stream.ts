import type { ServerHttp2Stream } from 'node:http2';
import { inherited } from '../http/count-bytes.js';

/** Hears what goes through a stream. */
export interface StreamCounter {
  received(chunk: Uint8Array): void;
  /** The last byte of the request is here. */
  receivedAll(): void;
  sent(chunk: Uint8Array): void;
}

const COUNTER = Symbol('counter of the stream');

type Counted = ServerHttp2Stream & { [COUNTER]?: StreamCounter };

/**
 * Tells the counter of every chunk from here on. The functions are shared by all streams, so that a call costs no closure:
 * Node calls `push` for what arrives, applications call `write`.
 */
export function countStream(stream: Counted, counter: StreamCounter): void {
  stream[COUNTER] = counter;
  stream.push = countedPush;
  // Node's overloads of `write` can't be written as one function.
  stream.write = countedWrite as ServerHttp2Stream['write'];
}

/** Counts a chunk that does not pass by itself. */
export function countReceived(stream: object, chunk: Uint8Array): void {
  (stream as Counted)[COUNTER]?.received(chunk);
}

function countedPush(this: Counted, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null) this[COUNTER]?.receivedAll();
  else if (chunk instanceof Uint8Array) this[COUNTER]?.received(chunk);
  return inherited<ServerHttp2Stream>(this).push.call(this, chunk, encoding);
}

function countedWrite(this: Counted, ...args: unknown[]): boolean {
  const [chunk] = args;
  if (chunk instanceof Uint8Array) this[COUNTER]?.sent(chunk);
  return Reflect.apply(inherited<ServerHttp2Stream>(this).write, this, args) as boolean;
}
