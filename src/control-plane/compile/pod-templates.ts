import type { ConfigView } from '../kinds/view.js';
import type { Labels } from './label-index.js';

/** What workloads of Kubernetes will be like. */
interface PodTemplate {
  readonly namespace: string;
  readonly labels: Labels;
  readonly serviceAccount: string;
}

const NO_LABELS: Labels = {};
const templates = new WeakMap<ConfigView, readonly PodTemplate[]>();

/** Labels and service accounts of Pods, and of what Deployments, StatefulSets and DaemonSets make. */
export function podTemplatesOf(view: ConfigView): readonly PodTemplate[] {
  let known = templates.get(view);
  if (known === undefined) {
    known = [
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
    ];
    templates.set(view, known);
  }
  return known;
}
