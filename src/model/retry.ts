import type { HeaderMatcher } from './matcher.js';
import type { MetadataStruct } from './metadata.js';
import type { FractionalPercent } from './percent.js';

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
  /** Longest pause in an attempt before its response head. Undefined or 0: none. */
  readonly perTryIdleTimeoutMs?: number | undefined;
  /** For `retriable-headers`: a response that matches any of them is retried. */
  readonly retriableHeaders?: readonly HeaderMatcher[] | undefined;
  /** Only requests that match any of them are retried. Undefined: every request. */
  readonly retriableRequestHeaders?: readonly HeaderMatcher[] | undefined;
  /** Waits that the upstream asks for. Undefined: its headers are not read. */
  readonly rateLimitedBackOff?: RateLimitedBackOff | undefined;
  /** Whether canaries are avoided (`envoy.retry_host_predicates.omit_canary_hosts`). */
  readonly omitCanaryHosts?: boolean | undefined;
  /** Hosts whose `envoy.lb` metadata holds all pairs of one of these are avoided. */
  readonly omitHostMetadata?: readonly MetadataStruct[] | undefined;
  /** Priorities that were tried are avoided; the load is computed anew every so many attempts. */
  readonly previousPriorities?: { readonly updateFrequency: number } | undefined;
}

/** Envoy RateLimitedRetryBackOff. */
export interface RateLimitedBackOff {
  /** Read in this order; the first usable one counts. Names are lower case. */
  readonly resetHeaders: readonly ResetHeader[];
  /** A longer wait is not honoured. Default 300 s. */
  readonly maxIntervalMs: number;
}

export interface ResetHeader {
  readonly name: string;
  /** Seconds to wait, or the time of day to wait for in seconds since 1970. */
  readonly format: 'seconds' | 'unix-timestamp';
}

/** Envoy HedgePolicy: several attempts of one request at once. */
export interface HedgePolicy {
  /** Attempts that start at once. Default 1. */
  readonly initialRequests: number;
  /** Chance of one more at the start. Default 0. */
  readonly additionalRequestChance: FractionalPercent;
  /** A per-try timeout leaves its attempt running and starts another. Default false. */
  readonly onPerTryTimeout: boolean;
}
