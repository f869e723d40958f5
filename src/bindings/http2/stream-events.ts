import type { ClientHttp2Stream, IncomingHttpHeaders, IncomingHttpStatusHeader } from 'node:http2';
import { CODES } from './codes.js';

/** Hears what happens on a stream. `raw` is name, value, name, value. */
export interface StreamEvents {
  onResponse(status: number, raw: readonly string[], headers: IncomingHttpHeaders, isWhole: boolean): void;
  onData(chunk: Buffer): void;
  onTrailers(raw: readonly string[]): void;
  onEnd(): void;
  /** A frame of it could not be sent: its headers are too large. */
  onUnsendable(): void;
  onError(error: Error): void;
  onClose(): void;
}

/** A stream that knows who hears it: its listeners are shared by all streams. */
type HeardStream = ClientHttp2Stream & { [LISTENER]: StreamEvents };

/** RFC 9113 §6.2. */
const END_STREAM = 1;

const LISTENER: unique symbol = Symbol('listener');

/** Tells of everything that happens on a stream. */
export function listen(stream: ClientHttp2Stream, listener: StreamEvents): void {
  const mine = Object.assign(stream, { [LISTENER]: listener });
  mine.on('response', onResponse);
  mine.on('data', onData);
  mine.on('trailers', onTrailers);
  mine.on('end', onEnd);
  mine.on('frameError', onUnsendable);
  mine.on('error', onError);
  mine.on('close', onClose);
}

// Node calls each listener with the stream as `this`. It gives the raw lines as a further argument, which its types
// leave out.
function onResponse(
  this: ClientHttp2Stream,
  headers: IncomingHttpHeaders & IncomingHttpStatusHeader,
  flags: number,
  ...rest: unknown[]
): void {
  const raw = (rest[0] ?? []) as readonly string[];
  const isWhole = (flags & END_STREAM) !== 0;
  (this as HeardStream)[LISTENER].onResponse(headers[':status'] ?? 0, raw, headers, isWhole);
}

function onData(this: ClientHttp2Stream, chunk: Buffer): void {
  (this as HeardStream)[LISTENER].onData(chunk);
}

function onTrailers(
  this: ClientHttp2Stream,
  _headers: IncomingHttpHeaders,
  _flags: number,
  ...rest: unknown[]
): void {
  (this as HeardStream)[LISTENER].onTrailers((rest[0] ?? []) as readonly string[]);
}

function onEnd(this: ClientHttp2Stream): void {
  (this as HeardStream)[LISTENER].onEnd();
}

/** Of frames that a closing connection does not take any more node:http2 tells as well: those say nothing of their size. */
function onUnsendable(this: ClientHttp2Stream, _type: number, code: number): void {
  if (code === CODES.FRAME_SIZE_ERROR) (this as HeardStream)[LISTENER].onUnsendable();
}

function onError(this: ClientHttp2Stream, error: Error): void {
  (this as HeardStream)[LISTENER].onError(error);
}

function onClose(this: ClientHttp2Stream): void {
  (this as HeardStream)[LISTENER].onClose();
}
