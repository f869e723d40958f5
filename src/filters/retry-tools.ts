import type { HedgePolicy } from '../model/retry.js';
import type { Clock } from '../runtime/clock.js';
import type { RetryStateTools } from './retry-state.js';

/** What retries and hedging work with. */
export interface RetryTools extends RetryStateTools {
  /** Keeps the limits on peers; by default `clock`. */
  readonly timeouts?: Clock | undefined;
  /** Bytes of a streamed request that are kept for another try; above it the request is not retried. */
  readonly replayLimitBytes: number;
  /** Whether nobody configured the policy: then what the application says of its own calls comes first. */
  readonly isDefault?: boolean | undefined;
  /** Undefined = one attempt at a time. */
  readonly hedge?: HedgePolicy | undefined;
  /** Whether an attempt may end by a limit that no request asks for: the cluster's. */
  readonly limitsAttempts?: boolean | undefined;
  /** Tells that the attempt at this endpoint is late, though it runs on. */
  readonly reportLate?: ((upstream: object) => void) | undefined;
}
