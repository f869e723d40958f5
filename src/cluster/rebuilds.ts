import type { Agenda } from '../runtime/agenda.js';
import type { Clock, Timer } from '../runtime/clock.js';

export interface RebuildTools {
  readonly clock: Clock;
  readonly agenda: Agenda;
  readonly rebuild: () => void;
}

/**
 * When a cluster prepares its choice of hosts anew. Changes of health, weight and labels that follow each other within
 * the merge window wait for its end together (Envoy `update_merge_window`); who comes and goes never waits.
 */
export class Rebuilds {
  readonly #windowMs: number;
  readonly #tools: RebuildTools;
  #lastMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #isQueued = false;

  constructor(windowMs: number, tools: RebuildTools) {
    this.#windowMs = windowMs;
    this.#tools = tools;
  }

  /** Whether changes wait for each other. */
  get merges(): boolean {
    return this.#windowMs > 0;
  }

  now(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#isQueued = false;
    this.#lastMs = this.#tools.clock.now();
    this.#tools.rebuild();
  }

  /** Many hosts may change at the same time: one rebuild for all of them. */
  soon(): void {
    if (this.#isQueued || this.#timer !== undefined) return;
    const leftMs = this.#lastMs + this.#windowMs - this.#tools.clock.now();
    if (leftMs > 0) {
      this.#timer = this.#tools.agenda.schedule(leftMs, () => this.now());
      return;
    }
    this.#isQueued = true;
    queueMicrotask(() => {
      if (this.#isQueued) this.now();
    });
  }

  close(): void {
    this.#timer?.cancel();
    this.#isQueued = false;
  }
}
