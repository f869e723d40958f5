import { RETRY_CONDITIONS, type RetryCondition, type RetryPolicy } from '../../model/retry.js';
import type { HttpRetry } from '../kinds/types.js';

const BASE_INTERVAL_MS = 25;

/** Istio's default for routes that do not say how to retry. */
export const DEFAULT_RETRY: RetryPolicy = {
  retryOn: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'],
  numRetries: 2,
  perTryTimeoutMs: undefined,
  retriableStatusCodes: [],
  baseIntervalMs: BASE_INTERVAL_MS,
  maxIntervalMs: 10 * BASE_INTERVAL_MS,
  avoidPreviousHosts: true,
  hostSelectionAttempts: 5,
};

/** The retry policy of a route; without one of its own it has the mesh's. */
export function compileRetry(own: HttpRetry | undefined, mesh?: HttpRetry): RetryPolicy {
  const retries = own ?? mesh;
  if (retries === undefined) return DEFAULT_RETRY;
  const { attempts = 0, retryOn = '', perTryTimeout, backoff = BASE_INTERVAL_MS } = retries;
  // Istio: attempts of 0 turn retries off. A policy without conditions says so to every client; no policy at all
  // would leave ours with its own safe default.
  if (attempts === 0) return { ...DEFAULT_RETRY, retryOn: [], numRetries: 1 };
  return {
    ...DEFAULT_RETRY,
    ...(retryOn === '' ? {} : parseRetryOn(retryOn)),
    numRetries: attempts,
    perTryTimeoutMs: perTryTimeout,
    baseIntervalMs: backoff,
    maxIntervalMs: 10 * backoff,
    avoidPreviousHosts: retries.retryIgnorePreviousHosts ?? true,
    // Istio: every second try goes on to priorities that were not tried.
    ...(retries.retryRemoteLocalities === true && { previousPriorities: { updateFrequency: 2 } }),
  };
}

/** Istio: numbers among the conditions are status codes to retry on. */
function parseRetryOn(text: string): Pick<RetryPolicy, 'retryOn' | 'retriableStatusCodes'> {
  const tokens = text
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '');
  const retriableStatusCodes = tokens.filter((token) => /^\d{3}$/.test(token)).map(Number);
  const conditions = new Set<RetryCondition>(tokens.filter(isCondition));
  // A code is retried only under this condition.
  if (retriableStatusCodes.length > 0) conditions.add('retriable-status-codes');
  return { retryOn: [...conditions], retriableStatusCodes };
}

function isCondition(token: string): token is RetryCondition {
  return RETRY_CONDITIONS.some((condition) => condition === token);
}
