import { z } from 'zod';
import { stringMap } from './fields.js';

/** Istio PolicyTargetReference: a resource that a policy is for. */
const policyTargetReference = z.strictObject({
  group: z.string().optional(),
  kind: z.string(),
  name: z.string(),
  namespace: z.string().optional(),
});

/** What the policies of Istio's security kinds are for: workloads by labels, or named resources. */
export const policyTargets = {
  selector: z.strictObject({ matchLabels: stringMap.optional() }).optional(),
  targetRef: policyTargetReference.optional(),
  targetRefs: z.array(policyTargetReference).optional(),
};
