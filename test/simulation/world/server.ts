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
  /** Milliseconds of work done, by all workers together. */
  #busyMs = 0;
  #changedMs = 0;
  #said: string | undefined;
  #refused = 0;
  #window = { startMs: 0, busyMs: 0, received: 0, refused: 0 };

  constructor(behaviour: ServerBehaviour, clock: Clock, random: Random) {
    this.behaviour = { ...behaviour };
    this.#clock = clock;
    this.#random = random;
  }

  /** Requests that wait. */
  get queued(): number {
    return this.#waiting.length - this.#taken;
  }

  /** Milliseconds that its workers worked, from the start of the run. */
  get busyMs(): number {
    this.#account(0);
    return this.#busyMs;
  }

  /** What it says of its load, of the last second or more: requests a second by the share of its time that was work. */
  load(): string | undefined {
    const { startMs, busyMs, received, refused } = this.#window;
    const elapsedMs = this.#clock.now() - startMs;
    if (elapsedMs < 1000) return this.#said;
    const utilization = (this.busyMs - busyMs) / (elapsedMs * this.behaviour.workers);
    const rps = ((this.received - received) * 1000) / elapsedMs;
    const eps = ((this.#refused - refused) * 1000) / elapsedMs;
    this.#window = {
      startMs: this.#clock.now(),
      busyMs: this.#busyMs,
      received: this.received,
      refused: this.#refused,
    };
    this.#said = `TEXT cpu_utilization=${utilization.toFixed(4)},rps_fractional=${rps.toFixed(2)},eps=${eps.toFixed(2)}`;
    return this.#said;
  }

  /** Work begins or ends. */
  #account(change: number): void {
    const now = this.#clock.now();
    this.#busyMs += this.#working * (now - this.#changedMs);
    this.#changedMs = now;
    this.#working += change;
  }

  handle(): Promise<number> {
    this.received++;
    const { workers, queueLimit } = this.behaviour;
    if (this.#working >= workers && this.queued >= queueLimit) {
      this.#refused++;
      return Promise.resolve(503);
    }
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
      this.#account(1);
      this.#clock.schedule(-Math.log(1 - this.#random()) * serviceMs, () => {
        this.#account(-1);
        answer(this.#random() < failureShare ? 500 : 200);
        this.#work();
      });
    }
  }
}
