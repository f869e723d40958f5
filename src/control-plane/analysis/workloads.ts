import type { PlainValue } from '../schema/value.js';
import type { AnalysisContext } from './analyzer.js';
import type { AnalysisDocument } from './document.js';
import { at, field, labelsAt, list, text } from './plain.js';
import type { Labels } from './selectors.js';

export const INJECTION_LABEL = 'istio-injection';
export const REVISION_LABEL = 'istio.io/rev';
export const DATAPLANE_LABEL = 'istio.io/dataplane-mode';
const INJECT = 'sidecar.istio.io/inject';
const PROXY = 'istio-proxy';

/** Namespaces that no injector touches. */
const SYSTEM_NAMESPACES: ReadonlySet<string> = new Set([
  'kube-system',
  'kube-public',
  'kube-node-lease',
  'local-path-storage',
]);

/** Whether the namespace is Kubernetes' own. */
export function isSystemNamespace(name: string): boolean {
  return SYSTEM_NAMESPACES.has(name);
}

/** Whether the document belongs to Istio's own control plane. */
export function isIstioControlPlane({ labels }: AnalysisDocument): boolean {
  return labels['istio'] !== undefined || labels['release'] === 'istio';
}

/** Containers of a pod specification; with `init` those that run before, too (a native sidecar is one of them). */
export function containersOf(podSpec: PlainValue | undefined, init: boolean): readonly PlainValue[] {
  const containers = list(podSpec, 'containers');
  return init ? [...containers, ...list(podSpec, 'initContainers')] : containers;
}

/** The image of the proxy in a pod specification; empty when it has none. */
export function proxyImageOf(podSpec: PlainValue | undefined, init = true): string {
  const proxy = containersOf(podSpec, init).find((container) => text(container, 'name') === PROXY);
  return text(proxy, 'image');
}

/** Whether the pod is in the mesh: it has a proxy, or labels of its own or of its namespace give it one. */
export function isPodInMesh(pod: AnalysisDocument, context: AnalysisContext): boolean {
  return isInMesh({ ...pod, podSpec: pod.spec, init: true }, context);
}

/** Whether pods of the deployment are in the mesh. */
export function isDeploymentInMesh(deployment: AnalysisDocument, context: AnalysisContext): boolean {
  const template = at(deployment.spec, 'template');
  return isInMesh(
    {
      labels: labelsAt(template, 'metadata', 'labels'),
      annotations: labelsAt(template, 'metadata', 'annotations'),
      namespace: deployment.namespace,
      podSpec: field(template, 'spec'),
      init: false,
    },
    context,
  );
}

interface Workload {
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly namespace: string;
  readonly podSpec: PlainValue | undefined;
  readonly init: boolean;
}

function isInMesh(workload: Workload, context: AnalysisContext): boolean {
  const { labels, annotations, namespace, podSpec, init } = workload;
  if (proxyImageOf(podSpec, init) !== '') return true;
  const own = labels[INJECT] ?? annotations[INJECT];
  if (own !== undefined) return own === 'true';
  return context.find('Namespace', '', namespace)?.labels[INJECTION_LABEL] === 'enabled';
}

/** Whether the pod is served by the node's proxy instead of a sidecar (ambient mode). */
export function isPodInAmbient({ annotations }: AnalysisDocument): boolean {
  return annotations['ambient.istio.io/redirection'] === 'enabled';
}

/** Whether the namespace is in ambient mode; labels for sidecars go before. */
export function isNamespaceInAmbient(namespace: AnalysisDocument | undefined): boolean {
  if (namespace === undefined || namespace.labels[INJECTION_LABEL] === 'enabled') return false;
  return !namespace.labels[REVISION_LABEL] && namespace.labels[DATAPLANE_LABEL] === 'ambient';
}

/** The name of the injector's ConfigMap for a revision. */
export function injectorConfigMap(revision: string | undefined): string {
  const base = 'istio-sidecar-injector';
  return revision === undefined || revision === '' || revision === 'default' ? base : `${base}-${revision}`;
}

/** The values in an injector's ConfigMap; undefined when there are none, or no JSON. */
export function injectorValues(configMap: AnalysisDocument | undefined): PlainValue | undefined {
  try {
    // JSON.parse is typed any; it gives plain values only.
    return JSON.parse(text(configMap?.value, 'data', 'values')) as PlainValue;
  } catch {
    return undefined;
  }
}
