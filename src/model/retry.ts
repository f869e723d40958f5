/** Conditions of Envoy's `retry_on` (and `x-envoy-retry-on`, `x-envoy-retry-grpc-on`). */
export const RETRY_CONDITIONS = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'refused-stream',
  'retriable-4xx',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'resource-exhausted',
  'unavailable',
  'internal',
] as const;

export type RetryCondition = (typeof RETRY_CONDITIONS)[number];

/** Envoy RetryPolicy. */
export interface RetryPolicy {
  /** Unknown tokens are dropped when decoding, as Envoy ignores them. */
  readonly retryOn: readonly RetryCondition[];
  /** Retries after the first try. Envoy's default is 1. */
  readonly numRetries: number;
  /** Undefined or 0: none of its own. */
  readonly perTryTimeoutMs: number | undefined;
  readonly retriableStatusCodes: readonly number[];
  /** Default 25. */
  readonly baseIntervalMs: number;
  /** Default 10 x base. */
  readonly maxIntervalMs: number;
  /** Whether hosts that were tried are avoided (`envoy.retry_host_predicates.previous_hosts`). */
  readonly avoidPreviousHosts: boolean;
  /** How often another host is asked for before the last candidate is taken anyway. Envoy's default is 1. */
  readonly hostSelectionAttempts: number;
}
