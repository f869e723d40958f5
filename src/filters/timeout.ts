import { Abort } from '../runtime/abort.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { discardBody } from '../service/body.js';
import { Completion } from '../service/completion.js';
import { localReply } from '../service/local-reply.js';
import type { Filter, Request, Response, Service } from '../service/service.js';

/** The reason of an abort that the route's timeout made: outlier detection counts it against the host. */
export class RouteTimeout extends Error {
  override readonly name = 'RouteTimeout';
}

/**
 * The route's timeout (Envoy `RouteAction.timeout`): from the last byte of the request to the last byte of the
 * response, over all attempts. Before the response head it answers 504 with flag UT; after it, the body breaks off.
 */
export function timeout(timeoutMs: number, clock: Clock): Filter {
  return (request, next) => new TimedExchange(request, timeoutMs, clock).run(next);
}

class TimedExchange {
  readonly #request: Request;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #abort = new Abort();
  #timer: Timer | undefined;
  #answered = false;
  #over = false;
  #resolve!: (response: Response) => void;

  constructor(request: Request, timeoutMs: number, clock: Clock) {
    this.#request = request;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  run(next: Service): Promise<Response> {
    const { context, body } = this.#request;
    const unlink = this.#request.abort.onAbort((reason) => this.#abort.abort(reason));
    const finish = () => {
      this.#over = true;
      this.#timer?.cancel();
      unlink();
    };
    this.#start();
    // Envoy: the timer starts when the request is complete, so a streamed request may take its time; the wait for a
    // connection is no part of that.
    if (body.kind === 'push' || body.kind === 'native') {
      context.requestStarted ??= new Completion();
      context.requestSent ??= new Completion();
      context.requestStarted.onEnd(() => this.#timer?.cancel());
      context.requestSent.onEnd(() => this.#start());
    }
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      next({ ...this.#request, abort: this.#abort }).then(
        (response) => {
          if (this.#answered) {
            discardBody(response.body);
            return;
          }
          this.#answered = true;
          response.completion.onEnd(finish);
          resolve(response);
        },
        (error: unknown) => {
          finish();
          if (!this.#answered) reject(error);
        },
      );
    });
  }

  #start(): void {
    if (this.#over) return;
    this.#timer?.cancel();
    this.#timer = this.#clock.schedule(this.#timeoutMs, () => this.#expire());
  }

  #expire(): void {
    if (this.#over) return;
    const reason = new RouteTimeout(`upstream request timeout after ${this.#timeoutMs} ms`);
    if (!this.#answered) {
      this.#answered = true;
      this.#resolve(
        localReply(this.#request, {
          status: 504,
          body: 'upstream request timeout',
          details: 'response_timeout',
          reason: 'INMESH_TIMEOUT',
          flag: 'UT',
        }),
      );
    }
    this.#abort.abort(reason);
  }
}
