import type { IncomingMessage, ServerResponse } from 'node:http';
import type { MessageCounter } from '../../service/grpc-messages.js';

const BYTES = Symbol('bytes of the body');
const MESSAGES = Symbol('messages of gRPC in the body');

/** A message whose body is counted while it passes. */
interface Counted {
  [BYTES]?: number;
  [MESSAGES]?: MessageCounter;
}

/**
 * Counts the bytes of both bodies of an exchange from here on. The functions are shared by all messages, so an exchange
 * costs no closure; Node calls `push` for what arrives, applications call `write` and `end`.
 */
export function countBodies(request: IncomingMessage, response: ServerResponse): void {
  request.push = countedPush;
  response.write = countedWrite;
  // Node's overloads of `end` can't be written as one function.
  response.end = countedEnd as ServerResponse['end'];
}

/** Has the messages of gRPC counted in a body whose bytes are counted. */
export function countMessages(message: IncomingMessage | ServerResponse, counter: MessageCounter): void {
  (message as Counted)[MESSAGES] = counter;
}

/** Bytes of the message's body so far. */
export function bodyBytes(message: IncomingMessage | ServerResponse): number {
  return (message as Counted)[BYTES] ?? 0;
}

function countedPush(this: IncomingMessage & Counted, chunk: unknown, encoding?: BufferEncoding): boolean {
  count(this, chunk, encoding);
  return inherited<IncomingMessage>(this).push.call(this, chunk, encoding);
}

function countedWrite(this: ServerResponse & Counted, ...args: unknown[]): boolean {
  count(this, args[0], args[1]);
  return Reflect.apply(inherited<ServerResponse>(this).write, this, args) as boolean;
}

function countedEnd(this: ServerResponse & Counted, ...args: unknown[]): ServerResponse {
  if (!this.writableEnded) count(this, args[0], args[1]);
  return Reflect.apply(inherited<ServerResponse>(this).end, this, args) as ServerResponse;
}

/** The methods below ours: frameworks change the prototype of a response, and servers may have classes of their own. */
export function inherited<T>(message: T): T {
  return Object.getPrototypeOf(message) as T;
}

/** Counts a chunk of a body that does not pass by itself. */
export function countBytes(message: object, chunk: Uint8Array): void {
  count(message, chunk, undefined);
}

function count(message: Counted, chunk: unknown, encoding: unknown): void {
  const bytes = sizeOf(chunk, encoding);
  if (bytes > 0) message[BYTES] = (message[BYTES] ?? 0) + bytes;
  // gRPC writes bytes, never text.
  if (chunk instanceof Uint8Array) message[MESSAGES]?.feed(chunk);
}

function sizeOf(chunk: unknown, encoding: unknown): number {
  if (chunk instanceof Uint8Array) return chunk.byteLength;
  if (typeof chunk !== 'string') return 0;
  return Buffer.byteLength(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
}
