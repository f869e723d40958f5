import { suggest } from '../../schema/suggest.js';
import type { AnalysisContext, Analyzer, Report } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { rootNamespace } from '../mesh.js';
import { labelsAt, list, map, texts } from '../plain.js';
import { type Labels, selectorText, selects } from '../selectors.js';
import { isNamespaceInAmbient, isPodInAmbient, isPodInMesh } from '../workloads.js';

/** Istio: authz.AuthorizationPoliciesAnalyzer. */
export const authorizationAnalyzer: Analyzer = {
  name: 'authz.AuthorizationPoliciesAnalyzer',
  summary: 'workloads and namespaces that AuthorizationPolicies mean',
  codes: ['IST0101', 'IST0127'],
  analyze(context, report) {
    const pods = meshPods(context);
    const namespaces = context.list('Namespace').map(({ name }) => name);
    for (const policy of context.list('AuthorizationPolicy')) {
      checkWorkloads(policy, pods, context, report);
      checkNamespaces(policy, namespaces, report);
    }
  },
};

type Pods = ReadonlyMap<string, readonly Labels[]>;

/** Labels of the pods in the mesh, by namespace. */
function meshPods(context: AnalysisContext): Pods {
  const pods = new Map<string, Labels[]>();
  for (const pod of context.pods) {
    const isAmbient =
      isPodInAmbient(pod) || isNamespaceInAmbient(context.find('Namespace', '', pod.namespace));
    if (!isAmbient && !isPodInMesh(pod, context)) continue;
    pods.set(pod.namespace, [...(pods.get(pod.namespace) ?? []), pod.labels]);
  }
  for (const { namespace, labels } of context.workloads)
    pods.set(namespace, [...(pods.get(namespace) ?? []), labels]);
  return pods;
}

function checkWorkloads(
  policy: AnalysisDocument,
  pods: Pods,
  context: AnalysisContext,
  report: Report,
): void {
  const { spec, namespace } = policy;
  // What a policy names by reference is not chosen by labels.
  if (map(spec, 'targetRef') !== undefined || list(spec, 'targetRefs').length > 0) return;
  const isMeshWide = namespace === rootNamespace(context);
  const selector = map(spec, 'selector');
  if (isMeshWide && selector === undefined) return;
  const labels = labelsAt(selector, 'matchLabels');
  const candidates = isMeshWide ? [...pods.values()].flat() : (pods.get(namespace) ?? []);
  if (candidates.some((pod) => selects(labels, pod))) return;
  const which = selector === undefined ? '' : ` with the labels ${selectorText(labels)}`;
  const where = isMeshWide ? 'the mesh' : `the namespace ${namespace}`;
  report('IST0127', policy, `${where} has no workload of the mesh${which}`, {
    path: selector === undefined ? ['metadata', 'name'] : ['spec', 'selector'],
  });
}

function checkNamespaces(policy: AnalysisDocument, known: readonly string[], report: Report): void {
  for (const [i, rule] of list(policy.spec, 'rules').entries()) {
    for (const [j, from] of list(rule, 'from').entries()) {
      for (const field of ['namespaces', 'notNamespaces'] as const) {
        for (const [k, pattern] of texts(from, 'source', field).entries()) {
          if (known.some((name) => namespaceMatches(name, pattern))) continue;
          report('IST0101', policy, `there is no namespace ${JSON.stringify(pattern)}`, {
            path: ['spec', 'rules', i, 'from', j, 'source', field, k],
            suggestion: suggest(pattern, known),
          });
        }
      }
    }
  }
}

function namespaceMatches(name: string, pattern: string): boolean {
  if (pattern === '*') return true;
  if (pattern.startsWith('*')) return name.endsWith(pattern.slice(1));
  if (pattern.endsWith('*')) return name.startsWith(pattern.slice(0, -1));
  return name.toLowerCase() === pattern.toLowerCase();
}
