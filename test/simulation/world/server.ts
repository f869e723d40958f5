import type { Clock } from '../../../src/runtime/clock.js';
import type { Random } from '../../../src/runtime/random.js';

/** What a simulated server does; every field may be changed while it runs. */
export interface ServerBehaviour {
  /** Requests that it works on at a time; the others wait in its queue. */
  workers: number;
  /** Mean of the exponentially distributed time that a request takes. */
  serviceMs: number;
  /** Requests that may wait; one more is answered 503 at once. */
  queueLimit: number;
  /** The share of requests that end with 500. */
  failureShare: number;
}

/**
 * A server with a queue. Work goes on when its caller gave up, as in most real servers: that is what makes a retry
 * storm outlive its cause.
 */
export class SimulatedServer {
  readonly behaviour: ServerBehaviour;
  /** Requests taken in so far. */
  received = 0;
  readonly #clock: Clock;
  readonly #random: Random;
  /** First come, first served; what was taken is cut off now and then, as a long array is slow to shift. */
  #waiting: ((status: number) => void)[] = [];
  #taken = 0;
  #working = 0;

  constructor(behaviour: ServerBehaviour, clock: Clock, random: Random) {
    this.behaviour = { ...behaviour };
    this.#clock = clock;
    this.#random = random;
  }

  /** Requests that wait. */
  get queued(): number {
    return this.#waiting.length - this.#taken;
  }

  handle(): Promise<number> {
    this.received++;
    const { workers, queueLimit } = this.behaviour;
    if (this.#working >= workers && this.queued >= queueLimit) return Promise.resolve(503);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#work();
    });
  }

  #work(): void {
    const { workers, serviceMs, failureShare } = this.behaviour;
    while (this.#working < workers) {
      const answer = this.#waiting[this.#taken];
      if (answer === undefined) return;
      if (++this.#taken > 1000) {
        this.#waiting = this.#waiting.slice(this.#taken);
        this.#taken = 0;
      }
      this.#working++;
      this.#clock.schedule(-Math.log(1 - this.#random()) * serviceMs, () => {
        this.#working--;
        answer(this.#random() < failureShare ? 500 : 200);
        this.#work();
      });
    }
  }
}
