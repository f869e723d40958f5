import { derived } from '../kinds/derived.js';
import type { Labels } from './label-index.js';

/** What workloads of Kubernetes will be like. */
export interface PodTemplate {
  readonly namespace: string;
  readonly labels: Labels;
  readonly serviceAccount: string;
}

const NO_LABELS: Labels = {};

/** Labels and service accounts of Pods, and of what Deployments, StatefulSets and DaemonSets make. */
export const podTemplatesOf = derived((view): readonly PodTemplate[] => [
  ...(['Deployment', 'StatefulSet', 'DaemonSet'] as const).flatMap((kind) =>
    view.list(kind).map(({ namespace, spec: { template } }) => ({
      namespace,
      labels: template.metadata?.labels ?? NO_LABELS,
      serviceAccount: template.spec?.serviceAccountName || 'default',
    })),
  ),
  ...view.list('Pod').map(({ namespace, labels, spec }) => ({
    namespace,
    labels,
    serviceAccount: spec.serviceAccountName || 'default',
  })),
]);
