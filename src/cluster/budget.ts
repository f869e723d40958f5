import type { BreakerThresholds } from '../model/cluster.js';

/**
 * How many retries may run at once. Envoy: `max_retries`, or with a retry budget a share of the active requests,
 * but never fewer than its minimum.
 */
export function retryLimit(thresholds: BreakerThresholds, activeRequests: number): number {
  const { retryBudget, maxRetries } = thresholds;
  if (retryBudget === undefined) return maxRetries;
  const share = Math.floor((retryBudget.budgetPercent / 100) * activeRequests);
  return Math.max(share, retryBudget.minRetryConcurrency);
}
