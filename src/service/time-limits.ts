/** Time limits of one exchange, from its route and its caller's headers; 0 = none. */
export interface TimeLimits {
  /** Over all attempts, from the last byte of the request. */
  readonly globalMs: number;
  /** Of each attempt up to its response head, from the last byte of the request. */
  readonly perTryMs: number;
  /** Longest pause of each attempt. */
  readonly perTryIdleMs: number;
  /** Longest life of one attempt; undefined = the cluster's. */
  readonly attemptMs: number | undefined;
  /** A per-try timeout starts another attempt beside the one that is late. */
  readonly hedgeOnPerTry: boolean;
  /** Whether `x-envoy-expected-rq-timeout-ms` goes upstream. */
  readonly tellsUpstream: boolean;
  /** Whether `grpc-timeout` is rewritten for the upstream. */
  readonly tellsGrpc: boolean;
  /** Status of the answer when time is up: 504, or 204 when the caller asked for that. */
  readonly timeoutStatus: number;
}

export const NO_LIMITS: TimeLimits = {
  globalMs: 0,
  perTryMs: 0,
  perTryIdleMs: 0,
  attemptMs: undefined,
  hedgeOnPerTry: false,
  tellsUpstream: false,
  tellsGrpc: false,
  timeoutStatus: 504,
};

/** What the headers of a request ask of its retries; all of it is taken off before it goes upstream. */
export interface RetryWishes {
  readonly retryOn: string | undefined;
  readonly retryGrpcOn: string | undefined;
  readonly maxRetries: string | undefined;
  readonly statusCodes: string | undefined;
  readonly headerNames: string | undefined;
}
