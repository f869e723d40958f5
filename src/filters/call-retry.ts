import { wholeNumber } from '../routing/request-controls.js';
import type { Abort } from '../runtime/abort.js';
import { type Backoff, createBackoff } from '../runtime/backoff.js';
import type { Timer } from '../runtime/clock.js';
import { discardBody, isReplayable } from '../service/body.js';
import type { CallRetry } from '../service/call-retry.js';
import type { UpstreamInfo } from '../service/context.js';
import { grpcStatusOfFailure } from '../service/grpc-failure.js';
import type { HeaderMap } from '../service/headers.js';
import { createReplay, type Replay } from '../service/replay.js';
import type { Request, Response, Service } from '../service/service.js';
import { TransportError } from '../service/transport-error.js';
import { pause } from './pause.js';
import { settle } from './retry-answers.js';
import type { RetryRules } from './retry-conditions.js';
import type { Outcome } from './retry-state.js';
import type { RetryTools } from './retry-tools.js';

/** One call under the policy of its application. */
export interface OwnedCall {
  readonly request: Request;
  readonly next: Service;
  readonly own: CallRetry;
  /** What is tried again whatever the policy says, because the server can't have processed it. */
  readonly safe: RetryRules | undefined;
  readonly tools: RetryTools;
}

/** Runs a call with the retries or the hedging that its application configured (gRFC A6). */
export function runOwned(call: OwnedCall): Promise<Response> {
  return new OwnAttempts(call).run();
}

interface Running {
  readonly abort: Abort;
  readonly unlink: () => void;
  upstream: UpstreamInfo | undefined;
}

const OK = 0;
const UNKNOWN = 2;

class OwnAttempts {
  readonly #call: OwnedCall;
  readonly #running = new Set<Running>();
  readonly #replay: Replay | undefined;
  readonly #flagCount: number;
  readonly #backoff: Backoff;
  #unlink: () => void = () => {};
  /** The one wait there is: for the next attempt. */
  #timer: Timer | undefined;
  #attempts = 0;
  #safeLeft: number;
  #permits = 0;
  /** The server said that no more attempts may come. */
  #isForbidden = false;
  #isOver = false;
  #resolve!: (response: Response) => void;
  #reject!: (error: unknown) => void;

  constructor(call: OwnedCall) {
    const { request, own, safe, tools } = call;
    this.#call = call;
    this.#flagCount = request.context.flags.length;
    this.#safeLeft = safe?.numRetries ?? 0;
    this.#replay = isReplayable(request.body)
      ? undefined
      : createReplay(request.body, tools.replayLimitBytes);
    const { initialMs, maxMs, multiplier } = own.backoff;
    // gRFC A6: of each wait a fifth is chance.
    this.#backoff = createBackoff(
      { baseMs: initialMs, maxMs, factor: multiplier, jitter: 0.2 },
      tools.random,
    );
  }

  run(): Promise<Response> {
    const { request, own } = this.#call;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#unlink = request.abort.onAbort((reason) => {
        if (this.#running.size === 0) this.#fail(new TransportError('aborted', true, reason));
      });
      if (this.#isOver) return;
      this.#start();
      if (own.kind === 'hedge') this.#schedule(own.hedgingDelayMs);
    });
  }

  #start(): void {
    const { request, next } = this.#call;
    const { context } = request;
    const { abort, unlink } = request.abort.child();
    const running: Running = { abort, unlink, upstream: undefined };
    this.#attempts++;
    this.#running.add(running);
    // Attempts may run side by side, and each writes its own headers.
    const body = this.#replay === undefined ? request.body : this.#replay.body();
    const pending = next({ ...request, headers: request.headers.clone(), body, abort });
    // The attempt chose its host before it gave its promise.
    running.upstream = context.upstream;
    pending.then(
      (response) => this.#ended(running, response),
      (error: unknown) => {
        if (TransportError.is(error)) this.#ended(running, error);
        else this.#fail(error);
      },
    );
  }

  /** Makes the next attempt after a while, if one may be made then. */
  #schedule(waitMs: number): void {
    this.#timer?.cancel();
    const { own, tools } = this.#call;
    this.#timer = undefined;
    if (this.#isOver || this.#attempts >= own.maxAttempts || this.#isForbidden) return;
    const go = () => {
      this.#timer = undefined;
      if (this.#isOver) return;
      if (own.kind === 'hedge') this.#hedge();
      else this.#start();
    };
    // A delay of 0 sends all attempts at once; each chooses its host after the other.
    if (waitMs <= 0) go();
    else this.#timer = tools.clock.schedule(waitMs, go, true);
  }

  /** Another attempt beside those that run. */
  #hedge(): void {
    const { own } = this.#call;
    // A body that arrives is read by one attempt alone, until it is there whole.
    if (this.#replay !== undefined && !this.#replay.isComplete) {
      this.#schedule(Math.max(own.hedgingDelayMs, MIN_LOOK_MS));
      return;
    }
    if (!this.#mayStart()) return;
    this.#start();
    this.#schedule(own.hedgingDelayMs);
  }

  /** Whether body, throttle and cluster allow one more. */
  #mayStart(): boolean {
    const { own, tools, request } = this.#call;
    if (this.#replay !== undefined && !this.#replay.canReplay) return false;
    if (own.throttle?.isOpen === false) return false;
    if (tools.permits.tryAcquire()) {
      this.#permits++;
      return true;
    }
    if (!request.context.flags.includes('UO')) request.context.flags.push('UO');
    return false;
  }

  /** The same in place of an attempt that is over: it hands on its permit. */
  #mayRetry(): boolean {
    this.#release();
    return this.#mayStart();
  }

  #release(): void {
    for (; this.#permits > 0; this.#permits--) this.#call.tools.permits.release();
  }

  #ended(running: Running, outcome: Outcome): void {
    this.#running.delete(running);
    if (this.#isOver) {
      this.#drop(running, outcome);
      return;
    }
    const { own, request } = this.#call;
    if (running.abort.aborted || request.abort.aborted) {
      this.#win(running, outcome);
      return;
    }
    if (this.#isSafe(outcome) && this.#safeLeft > 0 && this.#mayRetry()) {
      // Transparent: it counts as no attempt.
      this.#safeLeft--;
      this.#attempts--;
      this.#again(running, outcome, 0);
      return;
    }
    const status = statusOf(outcome);
    const pushback = outcome instanceof TransportError ? undefined : pushbackOf(outcome.headers);
    const isFailure = status !== undefined && own.statuses.has(status);
    if (isFailure || pushback === 'never') own.throttle?.failed();
    else if (status === OK) own.throttle?.succeeded();
    if (pushback === 'never') this.#isForbidden = true;
    if (!isFailure) {
      this.#win(running, outcome);
      return;
    }
    if (own.kind === 'retry') this.#retry(running, outcome, pushback);
    else this.#leaveToOthers(running, outcome, pushback);
  }

  #retry(running: Running, outcome: Outcome, pushback: Pushback): void {
    const { context } = this.#call.request;
    if (this.#isForbidden) this.#win(running, outcome);
    else if (this.#attempts >= this.#call.own.maxAttempts) {
      context.flags.push('URX');
      this.#win(running, outcome);
    } else if (!this.#mayRetry()) this.#win(running, outcome);
    else {
      const isNamed = typeof pushback === 'number';
      // After a wait that the server named, waits begin anew.
      if (isNamed) this.#backoff.reset();
      this.#again(running, outcome, isNamed ? pushback : this.#backoff.next());
    }
  }

  #again(running: Running, outcome: Outcome, waitMs: number): void {
    const { request, tools } = this.#call;
    this.#drop(running, outcome);
    // Only the last attempt's failure shows in the response flags.
    request.context.flags.length = this.#flagCount;
    const go = () => {
      if (!this.#isOver) this.#start();
    };
    if (waitMs <= 0) go();
    else pause(waitMs, request, tools.clock).then(go, (error: unknown) => this.#fail(error));
  }

  /** gRFC A6: a status that is not fatal sends the next attempt at once, or when the server wants it. */
  #leaveToOthers(running: Running, outcome: Outcome, pushback: Pushback): void {
    const { own } = this.#call;
    const mayCome = !this.#isForbidden && this.#attempts < own.maxAttempts && own.throttle?.isOpen !== false;
    if (mayCome) this.#schedule(typeof pushback === 'number' ? pushback : 0);
    else this.#timer?.cancel();
    if (this.#running.size > 0 || (mayCome && this.#timer !== undefined)) this.#drop(running, outcome);
    else this.#win(running, outcome);
  }

  #isSafe(outcome: Outcome): boolean {
    return outcome instanceof TransportError && this.#call.safe?.retriesFailure(outcome) === true;
  }

  #win(running: Running, outcome: Outcome): void {
    const { request } = this.#call;
    const { context } = request;
    context.upstream = running.upstream;
    context.upstreamHost = running.upstream?.address ?? context.upstreamHost;
    this.#finish();
    if (outcome instanceof TransportError) running.unlink();
    else {
      outcome.completion.onEnd(({ trailers }) => this.#committed(trailers));
      outcome.completion.onEnd(running.unlink);
    }
    try {
      this.#resolve(settle(outcome, request));
    } catch (error) {
      this.#reject(error);
    }
  }

  /** The status of a call that was committed counts for the others, too. */
  #committed(trailers: HeaderMap | undefined): void {
    const { throttle, statuses } = this.#call.own;
    const text = trailers?.peek('grpc-status');
    if (throttle === undefined || text === undefined) return;
    if (statuses.has(Number(text))) throttle.failed();
    else if (Number(text) === OK) throttle.succeeded();
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#finish();
    this.#reject(error);
  }

  #finish(): void {
    this.#isOver = true;
    this.#unlink();
    this.#timer?.cancel();
    this.#release();
    this.#replay?.close();
    for (const other of this.#running) other.abort.abort(new Error('another attempt answered first'));
  }

  #drop(running: Running, outcome: Outcome): void {
    if (outcome instanceof TransportError) {
      running.unlink();
      return;
    }
    outcome.completion.onEnd(running.unlink);
    discardBody(outcome.body);
    if (outcome.completion.end === undefined) running.abort.abort(new Error('another attempt is waited for'));
  }
}

/** How often a body that arrives is looked at, when attempts are to start at once. */
const MIN_LOOK_MS = 10;

/** The status that an attempt ended with; undefined when it did not end: its head commits the call. */
function statusOf(outcome: Outcome): number | undefined {
  if (outcome instanceof TransportError) return grpcStatusOfFailure(outcome);
  const { headers, local, status } = outcome;
  // What the mesh says itself is final, but for the lack of a host, which is the word of a load balancer.
  if (local !== undefined && local.reason !== 'INMESH_NO_HEALTHY_UPSTREAM') return undefined;
  const text = headers.peek('grpc-status');
  if (text !== undefined) return wholeNumber(text) ?? UNKNOWN;
  return status === 200 ? undefined : (BY_HTTP[status] ?? UNKNOWN);
}

/** gRPC `http-grpc-status-mapping`. */
const BY_HTTP: Readonly<Record<number, number>> = {
  400: 13,
  401: 16,
  403: 7,
  404: 12,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
};

type Pushback = number | 'never' | undefined;

/** gRFC A6: the wait that the server names; what is no wait forbids more attempts. */
function pushbackOf(headers: HeaderMap): Pushback {
  const text = headers.peek('grpc-retry-pushback-ms');
  return text === undefined ? undefined : (wholeNumber(text) ?? 'never');
}
