import { formatGrpcTimeout, parseGrpcTimeout } from '../../service/grpc-timeout.js';
import type { LocalReply } from '../../service/local-reply.js';

/** What a call gets whose time is over before the server had it. */
export const DEADLINE_EXCEEDED: LocalReply = {
  status: 504,
  body: 'Deadline exceeded',
  details: 'inbound_deadline_exceeded',
  reason: 'INMESH_TIMEOUT',
  grpcStatus: 4,
};

/** Timers of Node hold no more. */
const MAX_MS = 2 ** 31 - 1;

/**
 * The `grpc-timeout` for a server that gets the call after `passedMs`. grpc-js turns more than 24 days into nonsense
 * (its arithmetic is that of 32 bits), so that a call with all the time in the world would be over at once.
 */
export function timeoutText(text: string, passedMs: number): string {
  const ms = parseGrpcTimeout(text);
  if (ms === undefined || (passedMs < 1 && ms <= MAX_MS)) return text;
  return formatGrpcTimeout(Math.max(0, Math.min(ms - passedMs, MAX_MS)));
}
