import type { Kind } from './kind.js';
import { workloadGroupSchema } from './workload-group-schema.js';

/** Istio WorkloadGroup: what workloads that register by themselves have in common. */
export const workloadGroupKind: Kind<'WorkloadGroup'> = {
  name: 'WorkloadGroup',
  apiVersions: ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3'],
  schema: workloadGroupSchema,
  validate: () => [],
};
