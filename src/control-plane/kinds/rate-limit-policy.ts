import type { Kind } from './kind.js';
import { quotaSchema, rateLimitPolicySchema } from './rate-limit-policy-schema.js';

/** RateLimitPolicy: how many requests each process lets through. */
export const rateLimitPolicyKind: Kind<'RateLimitPolicy'> = {
  name: 'RateLimitPolicy',
  apiVersions: ['inmesh.dev/v1'],
  schema: rateLimitPolicySchema,
  validate: () => [],
};

/** Quota: how many requests all processes together let through. */
export const quotaKind: Kind<'Quota'> = {
  name: 'Quota',
  apiVersions: ['inmesh.dev/v1'],
  schema: quotaSchema,
  validate: () => [],
};
