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

const containers = z
  .array(
    z.object({
      name: z.string().optional(),
      image: z.string().optional(),
      args: z.array(z.string()).optional(),
      env: z.array(z.object({ name: z.string(), value: z.string().optional() })).optional(),
      ports: z
        .array(
          z.object({
            name: z.string().optional(),
            containerPort: port,
            protocol: z.enum(['TCP', 'UDP', 'SCTP']).optional(),
          }),
        )
        .optional(),
    }),
  )
  .optional();

/** What inmesh reads of a Kubernetes Pod. */
export const podSchema = z.object({
  serviceAccountName: z.string().optional(),
  nodeName: z.string().optional(),
  containers,
  initContainers: containers,
});

/** What inmesh reads of a Kubernetes Deployment, StatefulSet or DaemonSet. */
export const deploymentSchema = z.object({
  replicas: z.int().min(0).optional(),
  selector: z.object({ matchLabels: stringMap.optional() }).optional(),
  template: z.object({
    metadata: z.object({ labels: stringMap.optional(), annotations: stringMap.optional() }).optional(),
    spec: podSchema.optional(),
  }),
});

/** Whose address it is. */
const targetRef = z.object({ kind: z.string().optional(), name: z.string().optional() }).optional();

/** What inmesh reads of Kubernetes Endpoints; it stands beside `metadata`. */
export const endpointsSchema = z.object({
  subsets: z
    .array(
      z.object({
        addresses: z.array(z.object({ ip: z.string(), targetRef })).optional(),
        ports: z
          .array(
            z.object({
              name: z.string().optional(),
              port,
              protocol: z.enum(['TCP', 'UDP', 'SCTP']).optional(),
            }),
          )
          .optional(),
      }),
    )
    .optional(),
});

/** What inmesh reads of a Kubernetes EndpointSlice; it stands beside `metadata`. */
export const endpointSliceSchema = z.object({
  addressType: z.enum(['IPv4', 'IPv6', 'FQDN']),
  endpoints: z
    .array(
      z.object({
        addresses: z.array(z.string()).min(1).max(100),
        conditions: z
          .object({
            ready: z.boolean().optional(),
          })
          .optional(),
        targetRef,
        zone: z.string().optional(),
      }),
    )
    .optional(),
  ports: z
    .array(
      z.object({
        name: z.string().optional(),
        port: port.optional(),
        protocol: z.enum(['TCP', 'UDP', 'SCTP']).optional(),
        appProtocol: z.string().optional(),
      }),
    )
    .optional(),
});

/** What inmesh reads of a Kubernetes ConfigMap; it stands beside `metadata`. */
export const configMapSchema = z.object({
  data: stringMap.optional(),
  binaryData: stringMap.optional(),
});

/** A document of which inmesh reads the metadata only (Namespace, ServiceAccount). */
export const metadataOnlySchema = z.object({});
