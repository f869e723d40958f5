import type { Clock } from '../../runtime/clock.js';

/** When registrations that end all at once are kept. */
export interface MassLossOptions {
  /** Part of those that serve something, above 0 to 1; when more are lost within a minute, the rest of them is kept. Default 0.5. */
  readonly share?: number | undefined;
  /** Of fewer any part may go. Default 10. */
  readonly minimum?: number | undefined;
  /** They are kept for so long at most. Default 5 minutes. */
  readonly holdMs?: number | undefined;
}

const WINDOW_MS = 60_000;
const HOLD_MS = 300_000;

/**
 * Tells the loss of some workloads from the loss of the way to most of them (Eureka: self-preservation): a network that
 * is cut, or a control plane that was, is no reason to tell everybody that nobody is there.
 */
export class LossGuard {
  readonly #options: MassLossOptions | false;
  readonly #clock: Pick<Clock, 'now'>;
  /** When those that are gone went, oldest first. */
  #gone: number[] = [];
  #since: number | undefined;

  constructor(options: MassLossOptions | false, clock: Pick<Clock, 'now'>) {
    this.#options = options;
    this.#clock = clock;
  }

  /** Whether so many of those that are known are too many to lose. */
  holds(lost: number, known: number): boolean {
    if (this.#options === false) return false;
    const { share = 0.5, minimum = 10, holdMs = HOLD_MS } = this.#options;
    const now = this.#clock.now();
    this.#gone = this.#gone.filter((at) => at > now - WINDOW_MS);
    const all = known + this.#gone.length;
    const isMass = all >= minimum && lost + this.#gone.length > all * share;
    if (!isMass || lost === 0) {
      this.#since = undefined;
      return false;
    }
    this.#since ??= now;
    return now - this.#since < holdMs;
  }

  /** So many were lost. */
  lost(count: number): void {
    const now = this.#clock.now();
    for (let index = 0; index < count; index++) this.#gone.push(now);
    this.#since = undefined;
  }

  /** What is lost is meant to be. */
  forget(): void {
    this.#gone = [];
    this.#since = undefined;
  }
}
