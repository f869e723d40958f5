import type { Clock } from '../../../runtime/clock.js';
import type { ProcessLoad } from '../../../runtime/process-load.js';

/** What a server says of its load by itself. */
export interface MeasuredLoad {
  /** The share of its time that the event loop worked: at 1 a process of Node can do no more. */
  readonly applicationUtilization: number;
  /** The share of the time of all processors. */
  readonly cpuUtilization: number;
  /** Requests per second. */
  readonly rps: number;
  /** Those that were answered with 500 and above. */
  readonly eps: number;
}

/** Shorter times say little. */
const WINDOW_MS = 1000;

/** Measures the load of this process over windows of a second or more; it runs no timer. */
export class LoadMeter {
  readonly #clock: Clock;
  readonly #read: () => ProcessLoad;
  #requests = 0;
  #failures = 0;
  #startMs: number;
  #start: ProcessLoad;
  #last: MeasuredLoad | undefined;

  constructor(clock: Clock, read: () => ProcessLoad) {
    this.#clock = clock;
    this.#read = read;
    this.#startMs = clock.now();
    this.#start = read();
  }

  arrived(): void {
    this.#requests++;
  }

  failed(): void {
    this.#failures++;
  }

  /** The load of the last window; undefined before the first is over. */
  load(): MeasuredLoad | undefined {
    const now = this.#clock.now();
    const elapsedMs = now - this.#startMs;
    if (elapsedMs < WINDOW_MS) return this.#last;
    const next = this.#read();
    const before = this.#start;
    const activeMs = next.activeMs - before.activeMs;
    const loopMs = activeMs + next.idleMs - before.idleMs;
    this.#last = {
      applicationUtilization: loopMs > 0 ? activeMs / loopMs : 0,
      cpuUtilization: (next.cpuMs - before.cpuMs) / (elapsedMs * next.processors),
      rps: (this.#requests * 1000) / elapsedMs,
      eps: (this.#failures * 1000) / elapsedMs,
    };
    this.#startMs = now;
    this.#start = next;
    this.#requests = 0;
    this.#failures = 0;
    return this.#last;
  }
}
