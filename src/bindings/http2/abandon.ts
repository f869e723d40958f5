import type { ClientHttp2Stream } from 'node:http2';
import { CODES } from './codes.js';

/**
 * Gives a stream up. node:http2 ends a request that is not complete before it resets it: servers would take what came of it
 * for all of it. What is destroyed in the same moment is reset only.
 */
export function abandon(stream: ClientHttp2Stream): void {
  const isComplete = stream.writableEnded;
  stream.close(CODES.CANCEL);
  if (!isComplete) stream.destroy();
}
