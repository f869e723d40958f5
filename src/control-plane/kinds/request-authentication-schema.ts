import { z } from 'zod';
import { positiveDuration } from './fields.js';
import { policyTargets } from './policy-target-schema.js';

const jwtRule = z.strictObject({
  issuer: z.string().optional(),
  audiences: z.array(z.string()).optional(),
  jwksUri: z.string().optional(),
  /** The older spelling. */
  jwks_uri: z.string().optional(),
  jwks: z.string().optional(),
  fromHeaders: z.array(z.strictObject({ name: z.string(), prefix: z.string().optional() })).optional(),
  fromParams: z.array(z.string()).optional(),
  fromCookies: z.array(z.string()).optional(),
  outputPayloadToHeader: z.string().optional(),
  outputClaimToHeaders: z.array(z.strictObject({ header: z.string(), claim: z.string() })).optional(),
  forwardOriginalToken: z.boolean().optional(),
  timeout: positiveDuration.optional(),
  spaceDelimitedClaims: z.array(z.string()).optional(),
});

/** Istio RequestAuthentication: every field. */
export const requestAuthenticationSchema = z.strictObject({
  ...policyTargets,
  jwtRules: z.array(jwtRule).optional(),
});
