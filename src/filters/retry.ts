import type { RetryPolicy } from '../model/retry.js';
import { createRetryBackoff } from '../runtime/backoff.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import { discardBody, isReplayable } from '../service/body.js';
import { localReply } from '../service/local-reply.js';
import { createReplay, type Replay } from '../service/replay.js';
import type { Filter, Request, Response, Service } from '../service/service.js';
import { TransportError } from '../service/transport-error.js';
import { compileRetryRules, type RetryRules } from './retry-conditions.js';

/** Limits concurrent retries of a cluster (Envoy `max_retries` or `retry_budget`). */
export interface RetryPermits {
  tryAcquire(): boolean;
  release(): void;
}

export interface RetryTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly permits: RetryPermits;
  /** Bytes of a streamed request that are kept for another try; above it the request is not retried. */
  readonly replayLimitBytes: number;
}

/** Envoy's `per_connection_buffer_limit_bytes` default. */
export const DEFAULT_REPLAY_LIMIT_BYTES = 1024 * 1024;

/**
 * Retries (Envoy's router): the next service is one attempt, which chooses a host afresh. A local reply is never
 * retried, nor anything after the response head went on to the caller.
 */
export function retry(policy: RetryPolicy, tools: RetryTools): Filter {
  const rules = compileRetryRules(policy);
  return async (request, next) => {
    const replay = isReplayable(request.body)
      ? undefined
      : createReplay(request.body, tools.replayLimitBytes);
    const flagCount = request.context.flags.length;
    const first = await attempt(request, replay, next);
    if (!wantsRetry(first, request, rules)) return settle(first, request);
    return settle(await tryAgain({ first, request, replay, next, policy, rules, tools, flagCount }), request);
  };
}

interface Retrying {
  readonly first: Outcome;
  readonly request: Request;
  readonly replay: Replay | undefined;
  readonly next: Service;
  readonly policy: RetryPolicy;
  readonly rules: RetryRules;
  readonly tools: RetryTools;
  /** Flags that were set before the first attempt. */
  readonly flagCount: number;
}

/** The slow path: attempts until one needs no other, or policy, budget or body allow none. */
async function tryAgain(retrying: Retrying): Promise<Outcome> {
  const { first, request, replay, next, policy, rules, tools, flagCount } = retrying;
  const { flags } = request.context;
  const backoff = createRetryBackoff(policy.baseIntervalMs, policy.maxIntervalMs, tools.random);
  let outcome = first;
  for (let remaining = policy.numRetries; wantsRetry(outcome, request, rules); remaining--) {
    // Envoy's order: the count, then the permit; a refused permit is overflow, not exhaustion.
    if (remaining <= 0) {
      flags.push('URX');
      return outcome;
    }
    if (replay !== undefined && !replay.canReplay) return outcome;
    if (!tools.permits.tryAcquire()) {
      flags.push('UO');
      return outcome;
    }
    try {
      if (!(outcome instanceof TransportError)) discardBody(outcome.body);
      await pause(backoff.next(), request, tools.clock);
      // Envoy: only the last attempt's failure shows in the response flags.
      flags.length = flagCount;
      outcome = await attempt(request, replay, next);
    } finally {
      tools.permits.release();
    }
  }
  return outcome;
}

type Outcome = Response | TransportError;

async function attempt(request: Request, replay: Replay | undefined, next: Service): Promise<Outcome> {
  try {
    return await next(replay === undefined ? request : { ...request, body: replay.body() });
  } catch (error) {
    if (TransportError.is(error)) return error;
    throw error;
  }
}

function wantsRetry(outcome: Outcome, request: Request, rules: RetryRules): boolean {
  if (request.abort.aborted) return false;
  if (outcome instanceof TransportError) return rules.retriesFailure(outcome);
  return outcome.local === undefined && rules.retriesResponse(request, outcome);
}

function settle(outcome: Outcome, request: Request): Response {
  if (!(outcome instanceof TransportError)) return outcome;
  if (outcome.failure !== 'per-try-timeout') throw outcome;
  return localReply(request, {
    status: 504,
    body: 'upstream request timeout',
    details: 'upstream_per_try_timeout',
    reason: 'INMESH_TIMEOUT',
    flag: 'UT',
  });
}

function pause(delayMs: number, request: Request, clock: Clock): Promise<void> {
  if (delayMs <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(
      delayMs,
      () => {
        unlink();
        resolve();
      },
      true,
    );
    const unlink = request.abort.onAbort((reason) => {
      timer.cancel();
      reject(new TransportError('aborted', true, reason));
    });
  });
}
