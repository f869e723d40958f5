import type { Clock, Timer } from '../runtime/clock.js';
import { TokenBucket } from '../runtime/token-bucket.js';

/** How many requests a stream may send (Envoy RateLimitSettings). */
export interface RequestRate {
  /** Most requests at once. */
  readonly maxTokens: number;
  /** Requests a second. */
  readonly fillRate: number;
}

/** Envoy's, where rate limit settings are given without these. */
export const DEFAULT_REQUEST_RATE: RequestRate = { maxTokens: 100, fillRate: 10 };

/** What a gate works with. */
export interface RequestGateOptions {
  readonly rate: RequestRate;
  readonly clock: Clock;
  /** Makes the next request that is due, of what gathered until then; undefined = none is. */
  readonly next: () => Uint8Array | undefined;
  readonly send: (message: Uint8Array) => void;
}

/**
 * Lets requests out as a token bucket allows. Those that can be made anew wait as what is due, not as bytes: only the
 * last state of a subscription goes out. The bucket outlives streams, as Envoy's.
 */
export class RequestGate {
  readonly #options: RequestGateOptions;
  readonly #bucket: TokenBucket;
  /** Requests that stand for themselves (answers of the delta form), in order. */
  readonly #waiting: Uint8Array[] = [];
  #timer: Timer | undefined;

  constructor(options: RequestGateOptions) {
    this.#options = options;
    const { maxTokens, fillRate } = options.rate;
    this.#bucket = new TokenBucket(maxTokens, fillRate, options.clock);
  }

  /** Sends a request, or keeps it until its turn comes. */
  push(message: Uint8Array): void {
    this.#waiting.push(message);
    this.pump();
  }

  /** Sends what is due, as far as there are tokens. */
  pump(): void {
    const { clock, next, send } = this.#options;
    while (this.#timer === undefined) {
      if (this.#bucket.consume(1) < 1) {
        this.#timer = clock.schedule(this.#bucket.nextTokenMs, () => {
          this.#timer = undefined;
          this.pump();
        });
        return;
      }
      const message = this.#waiting.shift() ?? next();
      if (message === undefined) {
        this.#bucket.consumeWith(() => -1);
        return;
      }
      send(message);
    }
  }

  /** The stream is gone, and what waited for it. */
  clear(): void {
    this.#waiting.length = 0;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
