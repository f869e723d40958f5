/** What a gRPC client's own service config says of attempts of its calls (gRFC A6). */
export interface CallRetry {
  /** One attempt after the other, or several at once. */
  readonly kind: 'retry' | 'hedge';
  /** Attempts in all, the first included. */
  readonly maxAttempts: number;
  /** Of `retry`: statuses that are tried again. Of `hedge`: statuses that leave the call to the other attempts. */
  readonly statuses: ReadonlySet<number>;
  /** Waits of `retry`. */
  readonly backoff: { readonly initialMs: number; readonly maxMs: number; readonly multiplier: number };
  /** Time between attempts of `hedge`. */
  readonly hedgingDelayMs: number;
  /** Shared by all calls of a channel; undefined = nothing holds attempts back. */
  readonly throttle: RetryThrottle | undefined;
}

/** Holds attempts back while too many fail (gRFC A6, `retryThrottling`). */
export class RetryThrottle {
  readonly #maxTokens: number;
  readonly #ratio: number;
  #tokens: number;

  constructor(maxTokens: number, ratio: number) {
    this.#maxTokens = maxTokens;
    this.#ratio = ratio;
    this.#tokens = maxTokens;
  }

  /** Whether another attempt may be made. */
  get isOpen(): boolean {
    return this.#tokens > this.#maxTokens / 2;
  }

  succeeded(): void {
    this.#tokens = Math.min(this.#maxTokens, this.#tokens + this.#ratio);
  }

  failed(): void {
    this.#tokens = Math.max(0, this.#tokens - 1);
  }
}
