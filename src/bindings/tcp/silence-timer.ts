import type { Clock, Timer } from '../../runtime/clock.js';

/** Tells once when nothing was heard for so long. One timer that looks at the last activity, not one per byte. */
export class SilenceTimer {
  readonly #clock: Clock;
  readonly #onSilence: () => void;
  #limitMs = 0;
  #activeMs = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, onSilence: () => void) {
    this.#clock = clock;
    this.#onSilence = onSilence;
  }

  /** Sets how long; 0 = never. The wait begins now. */
  set(limitMs: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#limitMs = limitMs;
    this.touch();
  }

  /** Something was heard. */
  touch(): void {
    if (this.#limitMs === 0) return;
    this.#activeMs = this.#clock.now();
    if (this.#timer === undefined) this.#watch(this.#limitMs);
  }

  #watch(delayMs: number): void {
    this.#timer = this.#clock.schedule(delayMs, () => {
      this.#timer = undefined;
      const leftMs = this.#activeMs + this.#limitMs - this.#clock.now();
      if (leftMs > 0) this.#watch(leftMs);
      else this.#onSilence();
    });
  }
}
