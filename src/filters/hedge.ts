import { isSampled } from '../model/percent.js';
import type { HedgePolicy, RetryPolicy } from '../model/retry.js';
import type { Abort } from '../runtime/abort.js';
import type { Timer } from '../runtime/clock.js';
import { discardBody, isReplayable } from '../service/body.js';
import type { UpstreamInfo } from '../service/context.js';
import { createReplay, type Replay } from '../service/replay.js';
import type { Request, Response, Service } from '../service/service.js';
import { TransportError } from '../service/transport-error.js';
import { settle } from './retry-answers.js';
import type { RetryRules } from './retry-conditions.js';
import { type Outcome, type RetryDecision, RetryState } from './retry-state.js';
import type { RetryTools } from './retry-tools.js';

/** Whether a policy may send several attempts at the start. */
export function hedgesAtStart({ initialRequests, additionalRequestChance }: HedgePolicy): boolean {
  return initialRequests > 1 || additionalRequestChance.numerator > 0;
}

export interface Hedging {
  readonly request: Request;
  readonly next: Service;
  readonly policy: RetryPolicy;
  /** Undefined when the request is not retried. */
  readonly rules: RetryRules | undefined;
  readonly tools: RetryTools;
}

/**
 * Runs a request with several attempts at once (Envoy hedging): the first acceptable response head wins and the others are
 * reset; a bad one is swallowed while others may still come.
 */
export function hedged(hedging: Hedging): Promise<Response> {
  return new HedgedExchange(hedging).run();
}

/** One attempt under way. */
interface Running {
  readonly abort: Abort;
  readonly unlink: () => void;
  /** The soft per-try timeout. */
  timer: Timer | undefined;
  /** Whether another attempt was started because of it: then it is not retried again. */
  isRetried: boolean;
  upstream: UpstreamInfo | undefined;
}

const NEVER: RetryRules = {
  numRetries: 0,
  retriesResponse: () => false,
  retriesFailure: () => false,
};

class HedgedExchange {
  readonly #hedging: Hedging;
  readonly #state: RetryState;
  readonly #running = new Set<Running>();
  readonly #replay: Replay | undefined;
  readonly #flagCount: number;
  /** Waits before another attempt. */
  readonly #waiting = new Set<Timer>();
  #unlink: () => void = () => {};
  #isOver = false;
  #resolve!: (response: Response) => void;
  #reject!: (error: unknown) => void;

  constructor(hedging: Hedging) {
    const { request, policy, rules, tools } = hedging;
    this.#hedging = hedging;
    this.#flagCount = request.context.flags.length;
    this.#state = new RetryState(policy, rules ?? NEVER, tools);
    this.#replay = isReplayable(request.body)
      ? undefined
      : createReplay(request.body, tools.replayLimitBytes);
  }

  run(): Promise<Response> {
    const { request } = this.#hedging;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#unlink = request.abort.onAbort((reason) => {
        // The attempts hear it themselves; a wait between two of them has to be told.
        if (this.#running.size === 0) this.#fail(new TransportError('aborted', true, reason));
      });
      if (this.#isOver) return;
      for (let left = this.#initialCount(); left > 0 && !this.#isOver; left--) this.#start();
    });
  }

  /** A body that arrives is read by one attempt alone, until it is there whole. */
  #initialCount(): number {
    const { tools } = this.#hedging;
    const { hedge } = tools;
    if (hedge === undefined || this.#replay !== undefined) return 1;
    const { initialRequests, additionalRequestChance: chance } = hedge;
    const isOneMore = chance.numerator > 0 && isSampled(chance, tools.random());
    return initialRequests + (isOneMore ? 1 : 0);
  }

  #start(): void {
    const { request, next } = this.#hedging;
    const { context } = request;
    const { abort, unlink } = request.abort.child();
    const running: Running = { abort, unlink, timer: undefined, isRetried: false, upstream: undefined };
    this.#running.add(running);
    // Attempts run side by side, and each writes its own headers.
    const body = this.#replay === undefined ? request.body : this.#replay.body();
    const pending = next({ ...request, headers: request.headers.clone(), body, abort });
    // The attempt chose its host before it gave its promise.
    running.upstream = context.upstream;
    this.#arm(running);
    pending.then(
      (response) => this.#ended(running, response),
      (error: unknown) => {
        if (TransportError.is(error)) this.#ended(running, error);
        else this.#fail(error);
      },
    );
  }

  /** Envoy: the per-try timer leaves its attempt running. It starts when the request is complete. */
  #arm(running: Running): void {
    const { context } = this.#hedging.request;
    const { limits, requestSent } = context;
    if (limits === undefined || !limits.hedgeOnPerTry || limits.perTryMs <= 0) return;
    const arm = () => {
      if (this.#isOver || !this.#running.has(running) || running.timer !== undefined) return;
      const { clock, timeouts = clock } = this.#hedging.tools;
      running.timer = timeouts.schedule(limits.perTryMs, () => this.#late(running));
    };
    if (this.#replay === undefined || this.#replay.isComplete || requestSent === undefined) arm();
    else requestSent.onEnd(arm);
  }

  #late(running: Running): void {
    if (this.#isOver) return;
    const { request, tools } = this.#hedging;
    const { context } = request;
    context.upstream = running.upstream;
    if (running.upstream !== undefined) tools.reportLate?.(running.upstream);
    // Envoy: bodies are whole then; one that was too long to keep is not sent again.
    if (this.#replay !== undefined && !(this.#replay.isComplete && this.#replay.canReplay)) return;
    const decision = this.#state.decideHedge();
    this.#note(decision);
    if (decision !== 'yes') return;
    running.isRetried = true;
    this.#startAfter(this.#state.nextWaitMs(undefined), true);
  }

  #startAfter(waitMs: number, followsTimeout: boolean): void {
    const start = () => {
      if (timer !== undefined) this.#waiting.delete(timer);
      if (this.#isOver) return;
      this.#hedging.request.context.followsTimeout = followsTimeout;
      this.#start();
    };
    let timer: Timer | undefined;
    if (waitMs <= 0) {
      start();
      return;
    }
    timer = this.#hedging.tools.clock.schedule(waitMs, start, true);
    this.#waiting.add(timer);
  }

  #ended(running: Running, outcome: Outcome): void {
    this.#running.delete(running);
    running.timer?.cancel();
    if (this.#isOver) {
      // It lost the race.
      this.#drop(running, outcome);
      return;
    }
    const isWanted = this.#canReplay && !running.abort.aborted && this.#state.wouldRetry(outcome);
    if (!isWanted) {
      // A failure waits for what the others bring; an acceptable response wins at once.
      if (outcome instanceof TransportError && this.#othersMayCome) running.unlink();
      else this.#win(running, outcome);
      return;
    }
    const decision: RetryDecision = running.isRetried ? 'no' : this.#state.decide(outcome);
    this.#note(decision);
    if (decision === 'yes') {
      this.#drop(running, outcome);
      this.#startAfter(this.#state.nextWaitMs(outcome), false);
    } else if (this.#othersMayCome) this.#drop(running, outcome);
    else this.#win(running, outcome);
  }

  get #canReplay(): boolean {
    return this.#replay === undefined || this.#replay.canReplay;
  }

  get #othersMayCome(): boolean {
    return this.#running.size > 0 || this.#waiting.size > 0;
  }

  #note(decision: RetryDecision): void {
    const { flags } = this.#hedging.request.context;
    // Envoy: only the last failure shows.
    if (decision === 'yes') flags.length = this.#flagCount;
    if (decision === 'limit' && !flags.includes('URX')) flags.push('URX');
    if (decision === 'overflow' && !flags.includes('UO')) flags.push('UO');
  }

  #win(running: Running, outcome: Outcome): void {
    const { request } = this.#hedging;
    const { context } = request;
    context.upstream = running.upstream;
    context.upstreamHost = running.upstream?.address ?? context.upstreamHost;
    this.#finish();
    if (outcome instanceof TransportError) running.unlink();
    else outcome.completion.onEnd(running.unlink);
    try {
      this.#resolve(settle(outcome, request));
    } catch (error) {
      this.#reject(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#finish();
    this.#reject(error);
  }

  /** Resets what is still under way. */
  #finish(): void {
    this.#isOver = true;
    this.#unlink();
    for (const timer of this.#waiting) timer.cancel();
    this.#waiting.clear();
    this.#state.close();
    this.#replay?.close();
    for (const other of this.#running) {
      other.timer?.cancel();
      other.abort.abort(new Error('another attempt answered first'));
    }
  }

  #drop(running: Running, outcome: Outcome): void {
    if (outcome instanceof TransportError) {
      running.unlink();
      return;
    }
    outcome.completion.onEnd(running.unlink);
    discardBody(outcome.body);
    // What is left of it is of no use.
    if (outcome.completion.end === undefined) running.abort.abort(new Error('another attempt is waited for'));
  }
}
