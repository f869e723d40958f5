import type { Kind } from './kind.js';
import { sidecarSchema } from './sidecar-schema.js';

/** Istio Sidecar: what the workloads of a namespace see of the mesh. */
export const sidecarKind: Kind<'Sidecar'> = {
  name: 'Sidecar',
  apiVersions: ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3'],
  schema: sidecarSchema,
  validate: () => [],
};
