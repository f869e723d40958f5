import { z } from 'zod';
import { connectionPool } from './destination-rule-schema.js';
import { labelsSelector, uint32 } from './fields.js';
import { serverTls } from './gateway-schema.js';
import { destination } from './virtual-service-schema.js';

const captureMode = z.enum(['DEFAULT', 'IPTABLES', 'NONE']);

const sidecarPort = z.strictObject({
  number: uint32.optional(),
  protocol: z.string().optional(),
  name: z.string().optional(),
  targetPort: uint32.optional(),
});

/** Istio Sidecar: every field. */
export const sidecarSchema = z.strictObject({
  workloadSelector: labelsSelector.optional(),
  ingress: z
    .array(
      z.strictObject({
        port: sidecarPort,
        bind: z.string().optional(),
        captureMode: captureMode.optional(),
        defaultEndpoint: z.string().optional(),
        tls: serverTls.optional(),
        connectionPool: connectionPool.optional(),
      }),
    )
    .optional(),
  egress: z
    .array(
      z.strictObject({
        port: sidecarPort.optional(),
        bind: z.string().optional(),
        captureMode: captureMode.optional(),
        hosts: z.array(z.string()),
      }),
    )
    .optional(),
  inboundConnectionPool: connectionPool.optional(),
  outboundTrafficPolicy: z
    .strictObject({
      mode: z.enum(['REGISTRY_ONLY', 'ALLOW_ANY']).optional(),
      egressProxy: destination.optional(),
    })
    .optional(),
});
