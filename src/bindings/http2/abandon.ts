import type { ClientHttp2Stream } from 'node:http2';
import { addAbortSignal } from 'node:stream';
import { CODES } from './codes.js';

const GIVEN_UP = AbortSignal.abort();

/**
 * Gives a stream up. node:http2 ends a request that is not complete before it resets it: servers would take what came of it
 * for all of it. What an abort destroys is reset only, with CANCEL.
 */
export function abandon(stream: ClientHttp2Stream): void {
  if (stream.writableEnded) stream.close(CODES.CANCEL);
  else addAbortSignal(GIVEN_UP, stream);
}
