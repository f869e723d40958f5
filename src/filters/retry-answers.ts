import { type LocalReply, localReply } from '../service/local-reply.js';
import type { Request, Response } from '../service/service.js';
import { TransportError } from '../service/transport-error.js';
import type { Outcome } from './retry-state.js';

/** The end of an exchange: an attempt that ran out of time is answered here, any other failure is the caller's to see. */
export function settle(outcome: Outcome, request: Request): Response {
  if (!(outcome instanceof TransportError)) return outcome;
  const reply = replyFor(outcome, request);
  if (reply === undefined) throw outcome;
  return localReply(request, reply);
}

function replyFor({ failure }: TransportError, { context, body }: Request): LocalReply | undefined {
  const reason = 'INMESH_TIMEOUT';
  const status = context.limits?.timeoutStatus ?? 504;
  // Envoy: with another status than 504 the answer has no body.
  const text = status === 504 ? 'upstream request timeout' : '';
  switch (failure) {
    case 'per-try-timeout':
      return { status, body: text, details: 'upstream_per_try_timeout', reason, flag: 'UT' };
    case 'per-try-idle-timeout':
      return { status, body: text, details: 'upstream_per_try_idle_timeout', reason, flag: 'UT' };
    case 'stream-duration':
      return {
        // Envoy: 408 while the request is not complete.
        status: isStreamed(body.kind) && context.completeMs === undefined ? 408 : 504,
        body: 'upstream max stream duration reached',
        details: 'upstream_max_stream_duration_reached',
        reason,
        flag: 'UMSDR',
      };
    default:
      return undefined;
  }
}

function isStreamed(kind: Request['body']['kind']): boolean {
  return kind === 'native' || kind === 'push';
}
