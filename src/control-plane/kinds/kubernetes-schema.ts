import { z } from 'zod';
import { port, stringMap } from './fields.js';

// Kubernetes documents are a source of names, ports, labels and service accounts. What inmesh does not read of them
// concerns Kubernetes alone, so these objects are open.

/** What inmesh reads of a Kubernetes Service. */
export const serviceSchema = z.object({
  selector: stringMap.optional(),
  type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']).optional(),
  clusterIP: z.string().optional(),
  externalName: z.string().optional(),
  trafficDistribution: z.string().optional(),
  ports: z
    .array(
      z.object({
        name: z.string().optional(),
        port,
        targetPort: z.union([port, z.string()]).optional(),
        protocol: z.enum(['TCP', 'UDP', 'SCTP']).optional(),
        appProtocol: z.string().optional(),
      }),
    )
    .optional(),
});

/** What inmesh reads of a Kubernetes Deployment. */
export const deploymentSchema = z.object({
  replicas: z.int().min(0).optional(),
  selector: z.object({ matchLabels: stringMap.optional() }).optional(),
  template: z.object({
    metadata: z.object({ labels: stringMap.optional(), annotations: stringMap.optional() }).optional(),
    spec: z
      .object({
        serviceAccountName: z.string().optional(),
        containers: z
          .array(
            z.object({
              name: z.string().optional(),
              ports: z.array(z.object({ name: z.string().optional(), containerPort: port })).optional(),
            }),
          )
          .optional(),
      })
      .optional(),
  }),
});

/** A document of which inmesh reads the metadata only (Namespace, ServiceAccount). */
export const metadataOnlySchema = z.object({});
