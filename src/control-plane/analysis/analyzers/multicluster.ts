import { suggest } from '../../schema/suggest.js';
import type { AnalysisContext, Analyzer } from '../analyzer.js';
import { list, map, text } from '../plain.js';

/** Istio: multicluster.MeshNetworksAnalyzer. */
export const meshNetworksAnalyzer: Analyzer = {
  name: 'multicluster.MeshNetworksAnalyzer',
  summary: 'registries that MeshNetworks name',
  codes: ['IST0126'],
  analyze(context, report) {
    const known = registries(context);
    for (const document of context.list('MeshNetworks')) {
      for (const [network, value] of Object.entries(map(document.spec, 'networks') ?? {})) {
        for (const [index, endpoint] of list(value, 'endpoints').entries()) {
          const registry = text(endpoint, 'fromRegistry');
          if (registry === '' || known.has(registry)) continue;
          report(
            'IST0126',
            document,
            `the network ${network} names the registry ${registry}, which is not there`,
            {
              path: ['networks', network, 'endpoints', index, 'fromRegistry'],
              suggestion: suggest(registry, known),
            },
          );
        }
      }
    }
  },
};

/** Istio's own registries, and one for each cluster that a Secret leads to. */
function registries(context: AnalysisContext): ReadonlySet<string> {
  const clusters = context
    .list('Secret')
    .filter(({ labels }) => labels['istio/multiCluster'] === 'true')
    .flatMap(({ value }) => [
      ...Object.keys(map(value, 'data') ?? {}),
      ...Object.keys(map(value, 'stringData') ?? {}),
    ]);
  return new Set(['Mock', 'Kubernetes', 'External', ...clusters]);
}
