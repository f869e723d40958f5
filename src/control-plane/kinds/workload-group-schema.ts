import { z } from 'zod';
import { int32, port, stringMap } from './fields.js';
import { workloadEntrySchema } from './service-entry-schema.js';

/** Istio ReadinessProbe: every field. */
export const readinessProbe = z.strictObject({
  initialDelaySeconds: int32(0).optional(),
  timeoutSeconds: int32(0).optional(),
  periodSeconds: int32(0).optional(),
  successThreshold: int32(0).optional(),
  failureThreshold: int32(0).optional(),
  httpGet: z
    .strictObject({
      path: z.string().optional(),
      port,
      host: z.string().optional(),
      scheme: z
        .string()
        .refine((scheme) => ['', 'HTTP', 'HTTPS'].includes(scheme), { message: 'must be HTTP or HTTPS' })
        .optional(),
      httpHeaders: z
        .array(z.strictObject({ name: z.string().optional(), value: z.string().optional() }))
        .optional(),
    })
    .optional(),
  tcpSocket: z.strictObject({ host: z.string().optional(), port }).optional(),
  exec: z.strictObject({ command: z.array(z.string()) }).optional(),
  grpc: z.strictObject({ port: port.optional(), service: z.string().optional() }).optional(),
});

/** Istio WorkloadGroup: every field. */
export const workloadGroupSchema = z.strictObject({
  metadata: z.strictObject({ labels: stringMap.optional(), annotations: stringMap.optional() }).optional(),
  template: workloadEntrySchema,
  probe: readinessProbe.optional(),
});
