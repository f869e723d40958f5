import type { Clock } from '../runtime/clock.js';

/** How finely the window moves (Envoy). */
const GRANULARITY_MS = 1000;

interface Slice {
  readonly startMs: number;
  requests: number;
  successes: number;
}

/** Requests and successes of the last seconds (Envoy `ThreadLocalController`). */
export class AdmissionWindow {
  readonly #windowMs: number;
  readonly #clock: Clock;
  readonly #slices: Slice[] = [];
  #requests = 0;
  #successes = 0;

  constructor(windowMs: number, clock: Clock) {
    this.#windowMs = windowMs;
    this.#clock = clock;
  }

  record(success: boolean): void {
    const slice = this.#current();
    slice.requests++;
    this.#requests++;
    if (!success) return;
    slice.successes++;
    this.#successes++;
  }

  counts(): { readonly requests: number; readonly successes: number } {
    this.#current();
    return { requests: this.#requests, successes: this.#successes };
  }

  /** Requests per second since the oldest that counts, rounded down; over a second at least. */
  averageRps(): number {
    const oldest = this.#slices[0];
    if (oldest === undefined || this.#requests === 0) return 0;
    const seconds = Math.max(1, Math.floor((this.#clock.now() - oldest.startMs) / 1000));
    return Math.floor(this.#requests / seconds);
  }

  /** Forgets what is too old, and gives the slice of now. */
  #current(): Slice {
    const now = this.#clock.now();
    for (let oldest = this.#slices[0]; oldest !== undefined; oldest = this.#slices[0]) {
      if (now - oldest.startMs < this.#windowMs) break;
      this.#requests -= oldest.requests;
      this.#successes -= oldest.successes;
      this.#slices.shift();
    }
    let newest = this.#slices.at(-1);
    if (newest === undefined || now - newest.startMs >= GRANULARITY_MS) {
      newest = { startMs: now, requests: 0, successes: 0 };
      this.#slices.push(newest);
    }
    return newest;
  }
}
