import { z } from 'zod';
import { commonRoute, hostname, sectionName, weightedBackend } from './fields.js';

const rules = z
  .array(
    z.strictObject({
      name: sectionName.optional(),
      backendRefs: z.array(z.strictObject(weightedBackend)).min(1).max(16),
    }),
  )
  .min(1)
  .max(16);

/** Gateway API TCPRoute. */
export const tcpRouteSchema = z.strictObject({ ...commonRoute, rules });

/** Gateway API TLSRoute. */
export const tlsRouteSchema = z.strictObject({
  ...commonRoute,
  hostnames: z.array(hostname).max(1024).optional(),
  rules,
});
