import { z } from 'zod';
import { exportTo, mapOf, port, stringMap, uint32 } from './fields.js';

/** Istio WorkloadEntry: every field. */
export const workloadEntrySchema = z.strictObject({
  address: z.string().optional(),
  ports: mapOf(port).optional(),
  labels: stringMap.optional(),
  network: z.string().optional(),
  locality: z.string().optional(),
  weight: uint32.optional(),
  serviceAccount: z.string().optional(),
});

/** Istio ServiceEntry: every field. */
export const serviceEntrySchema = z.strictObject({
  hosts: z.array(z.string()).max(256),
  addresses: z.array(z.string()).max(256).optional(),
  ports: z
    .array(
      z.strictObject({
        number: port,
        protocol: z.string().optional(),
        name: z.string(),
        targetPort: port.optional(),
      }),
    )
    .max(256)
    .optional(),
  location: z.enum(['MESH_EXTERNAL', 'MESH_INTERNAL']).optional(),
  resolution: z.enum(['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']).optional(),
  endpoints: z.array(workloadEntrySchema).max(4096).optional(),
  workloadSelector: z.strictObject({ labels: stringMap.optional() }).optional(),
  exportTo: exportTo.optional(),
  subjectAltNames: z.array(z.string()).optional(),
});
