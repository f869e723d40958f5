import { failureRateBreakerSchema } from './failure-rate-breaker-schema.js';
import type { Kind } from './kind.js';

/** FailureRateBreaker: when requests to a host stop because too many fail. */
export const failureRateBreakerKind: Kind<'FailureRateBreaker'> = {
  name: 'FailureRateBreaker',
  apiVersions: ['inmesh.dev/v1'],
  schema: failureRateBreakerSchema,
  validate: () => [],
};
