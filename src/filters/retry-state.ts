import type { RateLimitedBackOff, ResetHeader, RetryPolicy } from '../model/retry.js';
import { wholeNumber } from '../routing/request-controls.js';
import { type Backoff, createRetryBackoff, lowerBoundWait } from '../runtime/backoff.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import type { HeaderMap } from '../service/headers.js';
import type { Response } from '../service/service.js';
import { TransportError } from '../service/transport-error.js';
import type { RetryRules } from './retry-conditions.js';

/** Limits concurrent retries of a cluster (Envoy `max_retries` or `retry_budget`). */
export interface RetryPermits {
  tryAcquire(): boolean;
  release(): void;
}

/** What an attempt came to. */
export type Outcome = Response | TransportError;

/** Whether there is another try: `no` when the outcome asks for none, else what forbids it. */
export type RetryDecision = 'yes' | 'no' | 'limit' | 'overflow';

export interface RetryStateTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly permits: RetryPermits;
}

/**
 * The retries of one exchange, as a state machine without time (Envoy `RetryStateImpl`). A retry holds a permit from the
 * decision for it until the next decision or `close`.
 */
export class RetryState {
  readonly #policy: RetryPolicy;
  readonly #rules: RetryRules;
  readonly #tools: RetryStateTools;
  #remaining: number;
  #freeLeft: number;
  #isNextFree = false;
  #holdsPermit = false;
  #backoff: Backoff | undefined;

  constructor(policy: RetryPolicy, rules: RetryRules, tools: RetryStateTools) {
    this.#policy = policy;
    this.#rules = rules;
    this.#tools = tools;
    this.#remaining = rules.numRetries;
    this.#freeLeft = rules.free?.count ?? 0;
  }

  /** Whether the outcome asks for another try, whatever forbids it. */
  wouldRetry(outcome: Outcome): boolean {
    if (outcome instanceof TransportError) return this.#rules.retriesFailure(outcome);
    return outcome.local === undefined && this.#rules.retriesResponse(outcome) && !forbidsRetry(outcome);
  }

  /** Decides about another try after an outcome. */
  decide(outcome: Outcome): RetryDecision {
    return this.#decide(this.wouldRetry(outcome), this.#isFree(outcome));
  }

  /** Decides about another try beside an attempt that is late; no condition is needed for that (Envoy). */
  decideHedge(): RetryDecision {
    return this.#decide(true, false);
  }

  /** How long to wait before the retry that was decided last. */
  nextWaitMs(outcome: Outcome | undefined): number {
    const { rateLimitedBackOff, baseIntervalMs, maxIntervalMs } = this.#policy;
    const { clock, random } = this.#tools;
    if (this.#isNextFree) return 0;
    const pushbackMs = outcome === undefined ? undefined : pushbackOf(outcome);
    if (pushbackMs !== undefined) {
      // gRFC A6: the server's word replaces the wait, and the waits begin anew after it.
      this.#backoff = undefined;
      return pushbackMs;
    }
    if (rateLimitedBackOff !== undefined && outcome !== undefined && !(outcome instanceof TransportError)) {
      const askedMs = parseResetWait(outcome.headers, rateLimitedBackOff, clock.wallTime());
      // Envoy: it must exceed a millisecond, and counts for this retry only.
      if (askedMs !== undefined && askedMs > 1) return lowerBoundWait(askedMs, random);
    }
    this.#backoff ??= createRetryBackoff(baseIntervalMs, maxIntervalMs, random);
    return this.#backoff.next();
  }

  /** Gives the permit back. */
  close(): void {
    if (!this.#holdsPermit) return;
    this.#holdsPermit = false;
    this.#tools.permits.release();
  }

  #isFree(outcome: Outcome): boolean {
    return (
      outcome instanceof TransportError && this.#freeLeft > 0 && this.#rules.free?.fits(outcome) === true
    );
  }

  #decide(isWanted: boolean, isFree: boolean): RetryDecision {
    this.close();
    this.#isNextFree = isWanted && isFree;
    if (!isWanted) return 'no';
    if (isFree) {
      this.#freeLeft--;
      return 'yes';
    }
    // Envoy's order: the count, then the permit; the count is spent even when the permit is refused.
    if (this.#remaining <= 0) return 'limit';
    this.#remaining--;
    if (!this.#tools.permits.tryAcquire()) return 'overflow';
    this.#holdsPermit = true;
    return 'yes';
  }
}

/** gRFC A6: the server wants the call not to come again, by a `grpc-retry-pushback-ms` that is no wait. */
function forbidsRetry({ headers }: Response): boolean {
  const text = headers.peek('grpc-retry-pushback-ms');
  return text !== undefined && wholeNumber(text) === undefined;
}

/** gRFC A6: how long the server wants its client to wait. */
function pushbackOf(outcome: Outcome): number | undefined {
  if (outcome instanceof TransportError) return undefined;
  return wholeNumber(outcome.headers.peek('grpc-retry-pushback-ms'));
}

/** The wait that a response asks for, in milliseconds; undefined when no header says one that is honoured. */
export function parseResetWait(
  headers: HeaderMap,
  { resetHeaders, maxIntervalMs }: RateLimitedBackOff,
  wallTimeMs: number,
): number | undefined {
  for (const header of resetHeaders) {
    const waitMs = resetWait(header, headers.peek(header.name), wallTimeMs);
    if (waitMs !== undefined && waitMs <= maxIntervalMs) return waitMs;
  }
  return undefined;
}

function resetWait(
  { format }: ResetHeader,
  value: string | undefined,
  wallTimeMs: number,
): number | undefined {
  const seconds = wholeNumber(value);
  if (seconds === undefined) return undefined;
  if (format === 'seconds') return seconds * 1000;
  // Envoy reads the clock in whole seconds; a time that is past is no wait.
  const now = Math.floor(wallTimeMs / 1000);
  return seconds >= now ? (seconds - now) * 1000 : undefined;
}
