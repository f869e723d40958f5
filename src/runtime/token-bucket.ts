import type { Clock } from './clock.js';

/** Envoy: no bucket fills slower than by one token a year. */
const MIN_FILL_RATE = 1 / (365 * 24 * 60 * 60);

/**
 * A token bucket that fills continuously (Envoy `AtomicTokenBucketImpl`). It starts full, keeps no timer, and may go into
 * debt when somebody takes more than there is. What it holds is kept as the moment at which it was empty, so looking at
 * it changes nothing and rounds nothing.
 */
export class TokenBucket {
  readonly maxTokens: number;
  /** Tokens a second. */
  readonly fillRate: number;
  readonly #clock: Pick<Clock, 'now'>;
  #emptySeconds: number;

  constructor(maxTokens: number, fillRate: number, clock: Pick<Clock, 'now'>) {
    this.maxTokens = maxTokens;
    this.fillRate = Math.max(Math.abs(fillRate), MIN_FILL_RATE);
    this.#clock = clock;
    this.#emptySeconds = this.#emptyBefore(maxTokens);
  }

  /** Takes so many tokens, or none when there are not enough; with `partial` as many whole ones as there are. */
  consume(tokens: number, partial = false): number {
    return this.consumeWith((available) => {
      if (available >= tokens) return tokens;
      return partial ? Math.max(0, Math.floor(available)) : 0;
    });
  }

  /** Takes what `decide` says for what there is: a negative number gives tokens back, a larger one makes a debt. */
  consumeWith(decide: (available: number) => number): number {
    const available = this.remaining;
    const taken = decide(available);
    if (taken !== 0) this.#emptySeconds = this.#emptyBefore(available - taken);
    return taken;
  }

  /** What there is now; below zero in debt. */
  get remaining(): number {
    return Math.min(this.maxTokens, (this.#clock.now() / 1000 - this.#emptySeconds) * this.fillRate);
  }

  /** Milliseconds until a token is there. Envoy: as long as one takes to come, whatever part of it is there. */
  get nextTokenMs(): number {
    return this.remaining >= 1 ? 0 : Math.ceil((1 / this.fillRate) * 1000);
  }

  /** Sets what is in the bucket. */
  reset(tokens: number): void {
    this.#emptySeconds = this.#emptyBefore(tokens);
  }

  #emptyBefore(tokens: number): number {
    return this.#clock.now() / 1000 - tokens / this.fillRate;
  }
}
