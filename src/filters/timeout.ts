import { Abort } from '../runtime/abort.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { discardBody } from '../service/body.js';
import { Completion } from '../service/completion.js';
import { localReply } from '../service/local-reply.js';
import type { Filter, Request, Response, Service } from '../service/service.js';
import { TimeLimitError } from '../service/time-limit-error.js';

/** The reason of an abort that the route's timeout made: outlier detection counts it against the host. */
export class RouteTimeout extends TimeLimitError {
  override readonly name = 'RouteTimeout';
}

/** How long an exchange may take, and the status of its answer then. */
export interface TimeoutLimit {
  readonly timeoutMs: number;
  readonly status: number;
}

/** The timeout of a route whose requests know no other. */
export function timeout(timeoutMs: number, clock: Clock): Filter {
  const limit = { timeoutMs, status: 504 };
  return (request, next) => runWithin(request, limit, next, clock);
}

/**
 * Runs one exchange within a time limit over all attempts (Envoy `RouteAction.timeout`): from the last byte of the request
 * to the last byte of the response. Before the response head it answers 504 with flag UT; after it, the body breaks off.
 */
export function runWithin(
  request: Request,
  limit: TimeoutLimit,
  next: Service,
  clock: Clock,
): Promise<Response> {
  // A filter above that tries again after such a timeout begins anew.
  if (request.abort.reason instanceof RouteTimeout) request.abort = new Abort();
  return new TimedExchange(request, limit, clock).run(next);
}

/** The answer when time is up; Envoy: with another status than 504 it has no body. */
export function timedOut(request: Request, status: number): Response {
  return localReply(request, {
    status,
    body: status === 504 ? 'upstream request timeout' : '',
    details: 'response_timeout',
    reason: 'INMESH_TIMEOUT',
    flag: 'UT',
  });
}

/** It cancels the request as its caller would, so that nothing below needs a request or a cancellation of its own. */
class TimedExchange {
  readonly #request: Request;
  readonly #limit: TimeoutLimit;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #isAnswered = false;
  #isOver = false;
  #resolve!: (response: Response) => void;

  constructor(request: Request, limit: TimeoutLimit, clock: Clock) {
    this.#request = request;
    this.#limit = limit;
    this.#clock = clock;
  }

  run(next: Service): Promise<Response> {
    const request = this.#request;
    const { kind } = request.body;
    this.#start();
    if (kind === 'push' || kind === 'native') this.#waitForRequest();
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      next(request).then(
        (response) => this.#answer(response),
        (error: unknown) => {
          this.#finish();
          if (!this.#isAnswered) reject(error);
        },
      );
    });
  }

  /**
   * Envoy: the timer starts when the request is complete, so a streamed request may take its time; the wait for a
   * connection is no part of that.
   */
  #waitForRequest(): void {
    const { context } = this.#request;
    context.requestStarted ??= new Completion();
    context.requestSent ??= new Completion();
    context.requestStarted.onEnd(() => {
      if (context.requestSent?.end === undefined) this.#timer?.cancel();
    });
    context.requestSent.onEnd(() => this.#start());
  }

  #start(): void {
    if (this.#isOver) return;
    this.#timer?.cancel();
    this.#timer = this.#clock.schedule(this.#limit.timeoutMs, () => this.#expire());
  }

  #answer(response: Response): void {
    if (this.#isAnswered) {
      discardBody(response.body);
      return;
    }
    this.#isAnswered = true;
    this.#resolve(response);
    if (response.completion.end === undefined) response.completion.onEnd(() => this.#finish());
    else this.#finish();
  }

  #expire(): void {
    if (this.#isOver) return;
    const { timeoutMs, status } = this.#limit;
    this.#finish();
    const isAnswered = this.#isAnswered;
    this.#isAnswered = true;
    this.#request.abort.abort(new RouteTimeout(`upstream request timeout after ${timeoutMs} ms`));
    // What ran below has said by now what it knows of its end; the answer is about the timeout.
    if (!isAnswered) this.#resolve(timedOut(this.#request, status));
  }

  #finish(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }
}
