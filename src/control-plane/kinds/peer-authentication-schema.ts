import { z } from 'zod';
import { mapOf, matchLabelsSelector } from './fields.js';

const mutualTls = z.strictObject({
  mode: z.enum(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']).optional(),
});

/** Istio PeerAuthentication: every field; the keys of `portLevelMtls` are ports of the workload. */
export const peerAuthenticationSchema = z.strictObject({
  selector: matchLabelsSelector.optional(),
  mtls: mutualTls.optional(),
  portLevelMtls: mapOf(mutualTls).optional(),
});
