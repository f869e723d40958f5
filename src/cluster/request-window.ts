import type { Clock } from '../runtime/clock.js';

/** Envoy: the interval of a retry budget is counted in that many slots. */
const SLOTS = 10;

/** How many requests began within the last interval. */
export class RequestWindow {
  readonly #slotMs: number;
  readonly #clock: Clock;
  readonly #slots: number[] = Array.from({ length: SLOTS }, () => 0);
  #total = 0;
  /** Number of the slot that is filled now, counted from the beginning of time. */
  #current: number;

  constructor(intervalMs: number, clock: Clock) {
    this.#slotMs = intervalMs / SLOTS;
    this.#clock = clock;
    this.#current = this.#slotOf(clock.now());
  }

  add(): void {
    this.#move();
    const at = this.#current % SLOTS;
    this.#slots[at] = (this.#slots[at] ?? 0) + 1;
    this.#total++;
  }

  count(): number {
    this.#move();
    return this.#total;
  }

  #slotOf(timeMs: number): number {
    return Math.floor(timeMs / this.#slotMs);
  }

  #move(): void {
    const now = this.#slotOf(this.#clock.now());
    // After a pause of a whole interval every slot is old.
    const first = Math.max(this.#current + 1, now - SLOTS + 1);
    for (let slot = first; slot <= now; slot++) {
      this.#total -= this.#slots[slot % SLOTS] ?? 0;
      this.#slots[slot % SLOTS] = 0;
    }
    this.#current = Math.max(this.#current, now);
  }
}
