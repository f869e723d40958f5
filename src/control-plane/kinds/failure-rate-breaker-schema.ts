import { z } from 'zod';
import { exportTo, int32, port, positiveDuration } from './fields.js';

/** FailureRateBreaker, a kind of inmesh: opens when too large a share of the requests to a host fails. */
export const failureRateBreakerSchema = z.strictObject({
  host: z.string(),
  subset: z.string().optional(),
  port: port.optional(),
  exportTo: exportTo.optional(),
  /** What is watched: the host as its callers see it, or each endpoint by its attempts. Default `HOST`. */
  scope: z.enum(['HOST', 'ENDPOINT']).optional(),
  /** Percent of failures above which it opens. Default 50. */
  errorThresholdPercentage: z.number().min(0).max(100).optional(),
  /** Requests in the window below which it never opens. Default 20. */
  minimumRequests: int32(1).optional(),
  /** Default 10s. */
  window: positiveDuration.optional(),
  /** How long it stays open before a probe. Default 30s. */
  resetTimeout: positiveDuration.optional(),
  /** Statuses that are failures, besides attempts without an answer. Default 500 to 599. */
  failureStatuses: z.array(int32(400, 599)).max(64).optional(),
  /** The answer while it is open. Default 503. */
  fallback: z.strictObject({ status: int32(200, 599), body: z.string().max(65_536).optional() }).optional(),
});
