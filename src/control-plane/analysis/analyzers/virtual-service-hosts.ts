import { groupBy } from '../../../runtime/group-by.js';
import { type AnalysisContext, type Analyzer, NETWORKING } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { clusterDomain } from '../mesh.js';
import { texts } from '../plain.js';
import { hostsOverlap, scopesOf, toFullHost } from '../services.js';

interface ScopedHost {
  readonly document: AnalysisDocument;
  readonly index: number;
  readonly host: string;
  readonly scope: string;
}

/** Istio: virtualservice.ConflictingMeshGatewayHostsAnalyzer. */
export const conflictingHostsAnalyzer: Analyzer = {
  name: 'virtualservice.ConflictingMeshGatewayHostsAnalyzer',
  summary: 'VirtualServices of the mesh for the same host',
  codes: ['IST0109'],
  analyze(context, report) {
    const hosts = scopedHosts(context);
    const reported = new Set<AnalysisDocument>();
    // Two hosts without wildcards have a name in common only when they are the same.
    const byHost = groupBy(hosts, ({ host }) => host);
    const wildcards = hosts.filter(({ host }) => host.startsWith('*'));
    for (const one of hosts) {
      const near = one.host.startsWith('*') ? hosts : [...(byHost.get(one.host) ?? []), ...wildcards];
      const others = near.filter((other) => other.document !== one.document && isConflict(one, other));
      if (others.length === 0 || reported.has(one.document)) continue;
      reported.add(one.document);
      const names = [
        ...new Set(others.map(({ document }) => `${document.namespace}/${document.name}`)),
      ].sort();
      const message = `${names.join(', ')} also rules the host ${one.host}: make one VirtualService of them`;
      report('IST0109', one.document, message, { path: ['spec', 'hosts', one.index] });
    }
  },
};

/** The hosts that VirtualServices rule for the mesh, once for each scope that sees them. */
function scopedHosts(context: AnalysisContext): readonly ScopedHost[] {
  const domain = clusterDomain(context);
  return context.list('VirtualService', NETWORKING).flatMap((document) => {
    const { spec, namespace } = document;
    const gateways = texts(spec, 'gateways');
    if (gateways.length > 0 && !gateways.includes('mesh')) return [];
    return scopesOf(texts(spec, 'exportTo'), namespace).flatMap((scope) =>
      texts(spec, 'hosts').map((host, index) => ({
        document,
        index,
        host: toFullHost(host, namespace, domain),
        scope,
      })),
    );
  });
}

/** In one scope the same host is meant; what all see also meets what some see, wildcards included (Istio). */
function isConflict(left: ScopedHost, right: ScopedHost): boolean {
  if (left.scope === right.scope) return left.host === right.host;
  return (left.scope === '*' || right.scope === '*') && hostsOverlap(left.host, right.host);
}
