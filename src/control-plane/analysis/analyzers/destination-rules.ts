import { suggest } from '../../schema/suggest.js';
import type { PlainValue } from '../../schema/value.js';
import { type AnalysisContext, type Analyzer, NETWORKING } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { labelsAt, list, map, number, text, texts } from '../plain.js';
import { hasWorkloads, selectionTest } from '../pods.js';
import type { Labels } from '../selectors.js';
import { knownHosts } from '../services.js';

/** Istio: destinationrule.CaCertificateAnalyzer. */
export const caCertificateAnalyzer: Analyzer = {
  name: 'destinationrule.CaCertificateAnalyzer',
  summary: 'TLS that does not verify the server',
  codes: ['IST0128', 'IST0129'],
  analyze(context, report) {
    for (const document of context.list('DestinationRule', NETWORKING)) {
      const { spec } = document;
      const hasSelector = map(spec, 'workloadSelector') !== undefined;
      const host = text(spec, 'host');
      const advice = `no caCertificates are given, so that the identity of ${host} is not verified`;
      const policy = map(spec, 'trafficPolicy');
      if (isUnverified(policy, hasSelector)) {
        const mode = text(policy, 'tls', 'mode');
        report('IST0128', document, `TLS is ${mode}, but ${advice}`, {
          path: ['spec', 'trafficPolicy', 'tls'],
        });
      }
      for (const [index, settings] of list(policy, 'portLevelSettings').entries()) {
        if (!isUnverified(settings, hasSelector)) continue;
        const port = number(settings, 'port', 'number');
        const mode = text(settings, 'tls', 'mode');
        report('IST0129', document, `TLS on port ${port} is ${mode}, but ${advice}`, {
          path: ['spec', 'trafficPolicy', 'portLevelSettings', index, 'tls'],
        });
      }
    }
  },
};

/** A credential by name holds the certificates; it counts where a workload selector says who reads it. */
function isUnverified(policy: PlainValue | undefined, hasSelector: boolean): boolean {
  const tls = map(policy, 'tls');
  const mode = text(tls, 'mode');
  if ((mode !== 'SIMPLE' && mode !== 'MUTUAL') || text(tls, 'caCertificates') !== '') return false;
  return !(text(tls, 'credentialName') !== '' && hasSelector);
}

/** Istio: destinationrule.PodNotSelectedAnalyzer. */
export const subsetAnalyzer: Analyzer = {
  name: 'destinationrule.PodNotSelectedAnalyzer',
  summary: 'hosts and subsets of DestinationRules that lead nowhere',
  codes: ['IST0173', 'IST0174'],
  analyze(context, report) {
    const hosts = knownHosts(context);
    const isSelected = selectionTest(podLabels(context));
    const isPart = !hasWorkloads(context);
    for (const document of context.list('DestinationRule', NETWORKING)) {
      const { spec, namespace } = document;
      const host = text(spec, 'host');
      const known = hosts.find(host, namespace, texts(spec, 'exportTo'));
      if (known === undefined) {
        report('IST0174', document, `no service of the mesh is called ${host}`, {
          path: ['spec', 'host'],
          suggestion: suggest(
            host,
            hosts.all.map((one) => one.host),
          ),
        });
        continue;
      }
      for (const [index, subset] of list(spec, 'subsets').entries()) {
        const wanted = { ...known.selector, ...labelsAt(subset, 'labels') };
        if (isPart || isSelected(wanted)) continue;
        const message = `the subset ${text(subset, 'name')} selects no pod: requests to it are answered with 503`;
        report('IST0173', document, message, { path: ['spec', 'subsets', index, 'labels'] });
      }
    }
  },
};

const TOPOLOGY = [
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
];

/** Labels of pods, with those that Istio adds from the node; workloads outside of Kubernetes count as well. */
function podLabels(context: AnalysisContext): readonly Labels[] {
  const nodes = new Map(context.list('Node').map(({ name, labels }) => [name, labels]));
  return [
    ...context.pods.map((pod) => ({ ...pod.labels, ...nodeLabels(pod, nodes) })),
    ...context.list('WorkloadEntry', NETWORKING).map(({ spec }) => labelsAt(spec, 'labels')),
    ...context.workloads.map(({ labels }) => labels),
  ];
}

function nodeLabels({ spec }: AnalysisDocument, nodes: ReadonlyMap<string, Labels>): Labels {
  const name = text(spec, 'nodeName');
  const labels = nodes.get(name);
  if (labels === undefined) return {};
  const added: Record<string, string> = { 'kubernetes.io/hostname': name };
  for (const key of TOPOLOGY) {
    const value = labels[key];
    if (value !== undefined) added[key] = value;
  }
  return added;
}
