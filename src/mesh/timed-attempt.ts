import { Abort, type Unsubscribe } from '../runtime/abort.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { type Body, type BodySink, discardBody, type PushBody } from '../service/body.js';
import type { Request, Response, Service } from '../service/service.js';
import { TimeLimitError } from '../service/time-limit-error.js';
import { TransportError, type TransportFailure } from '../service/transport-error.js';

/** Time limits of one attempt in milliseconds; 0 = none. */
export interface AttemptLimits {
  /** From the last byte of the request to the response head. */
  readonly perTryMs: number;
  /** Longest pause, from the last byte of the request on. */
  readonly idleMs: number;
  /** Longest life of the attempt, from its start to the end of the response. */
  readonly durationMs: number;
}

/** Sends one attempt within its limits. */
export function sendWithin(
  send: Service,
  request: Request,
  limits: AttemptLimits,
  clock: Clock,
): Promise<Response> {
  return new TimedAttempt(request, limits, clock).run(send);
}

class TimedAttempt {
  readonly #request: Request;
  readonly #limits: AttemptLimits;
  readonly #clock: Clock;
  readonly #abort = new Abort();
  #unlink: Unsubscribe = () => {};
  #perTry: Timer | undefined;
  #idle: Timer | undefined;
  #duration: Timer | undefined;
  #hasHead = false;
  #isOver = false;
  #reject!: (error: TransportError) => void;

  constructor(request: Request, limits: AttemptLimits, clock: Clock) {
    this.#request = request;
    this.#limits = limits;
    this.#clock = clock;
  }

  run(send: Service): Promise<Response> {
    this.#unlink = this.#request.abort.onAbort((reason) => this.#abort.abort(reason));
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#start();
      send({ ...this.#request, abort: this.#abort }).then(
        (response) => {
          if (this.#isOver) discardBody(response.body);
          else this.#head(response);
          resolve(response);
        },
        (error: unknown) => {
          this.#finish();
          reject(error);
        },
      );
    });
  }

  #start(): void {
    const { perTryMs, durationMs } = this.#limits;
    if (durationMs > 0) {
      this.#duration = this.#clock.schedule(durationMs, () =>
        this.#expire('stream-duration', `attempt of over ${durationMs} ms`),
      );
    }
    const complete = () => {
      if (this.#isOver || this.#hasHead) return;
      this.#perTry?.cancel();
      if (perTryMs > 0) {
        this.#perTry = this.#clock.schedule(perTryMs, () =>
          this.#expire('per-try-timeout', `per-try timeout of ${perTryMs} ms`),
        );
      }
      this.#touch();
    };
    const { requestSent, requestStarted } = this.#request.context;
    const { kind } = this.#request.body;
    // Envoy: the timers start when the request is complete.
    if (requestSent === undefined || kind === 'empty' || kind === 'bytes') complete();
    else {
      // The wait for a connection is no part of a streamed request.
      if (requestStarted?.end === undefined) complete();
      requestStarted?.onEnd(() => this.#stopWaiting());
      requestSent.onEnd(complete);
    }
  }

  #stopWaiting(): void {
    if (this.#hasHead || this.#request.context.requestSent?.end !== undefined) return;
    this.#perTry?.cancel();
    this.#idle?.cancel();
  }

  #head(response: Response): void {
    this.#hasHead = true;
    // Envoy: from here on the answer goes to the caller, and the route's timeout governs.
    this.#perTry?.cancel();
    response.completion.onEnd(() => this.#finish());
    this.#touch();
    if (this.#limits.idleMs > 0 && response.body.kind === 'push') {
      response.body = watched(response.body, () => this.#touch());
    }
  }

  /** Something came: the pause begins anew. */
  #touch(): void {
    const { idleMs } = this.#limits;
    if (idleMs <= 0 || this.#isOver) return;
    this.#idle?.cancel();
    this.#idle = this.#clock.schedule(idleMs, () => {
      const { flags } = this.#request.context;
      if (!flags.includes('SI')) flags.push('SI');
      this.#expire('per-try-idle-timeout', `attempt idle for ${idleMs} ms`);
    });
  }

  #expire(failure: TransportFailure, what: string): void {
    if (this.#isOver) return;
    this.#finish();
    const cause = new TimeLimitError(what);
    const error = new TransportError(failure, true, cause);
    this.#reject(error);
    // After the head it breaks the body off.
    this.#abort.abort(this.#hasHead ? error : cause);
  }

  #finish(): void {
    this.#isOver = true;
    this.#perTry?.cancel();
    this.#idle?.cancel();
    this.#duration?.cancel();
    this.#unlink();
  }
}

/** A body that tells of each of its chunks. */
export function watched(body: PushBody, onActivity: () => void): Body {
  return {
    kind: 'push',
    get used() {
      return body.used;
    },
    attach(sink: BodySink) {
      return body.attach({
        data(chunk) {
          onActivity();
          return sink.data(chunk);
        },
        end: (trailers) => sink.end(trailers),
        error: (cause) => sink.error(cause),
      });
    },
  };
}
