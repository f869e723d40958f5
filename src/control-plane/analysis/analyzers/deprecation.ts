import { type Analyzer, NETWORKING } from '../analyzer.js';
import { list, map, number, text } from '../plain.js';

const REMOVED_KINDS = ['ClusterRbacConfig', 'RbacConfig', 'ServiceRole', 'ServiceRoleBinding'];

/** Istio: deprecation.FieldAnalyzer. */
export const deprecationAnalyzer: Analyzer = {
  name: 'deprecation.FieldAnalyzer',
  summary: 'fields and kinds that are deprecated or removed',
  codes: ['IST0002'],
  analyze(context, report) {
    for (const document of context.list('VirtualService', NETWORKING)) {
      for (const [index, route] of list(document.spec, 'http').entries()) {
        if ((number(route, 'fault', 'delay', 'percent') ?? 0) <= 0) continue;
        report('IST0002', document, 'fault.delay.percent is deprecated: use percentage', {
          path: ['spec', 'http', index, 'fault', 'delay', 'percent'],
          atKey: true,
        });
      }
    }
    for (const document of context.list('Sidecar', NETWORKING)) {
      if (map(document.spec, 'outboundTrafficPolicy', 'egressProxy') === undefined) continue;
      report('IST0002', document, 'outboundTrafficPolicy.egressProxy is ignored', {
        path: ['spec', 'outboundTrafficPolicy', 'egressProxy'],
        atKey: true,
      });
    }
    for (const document of context.list('CustomResourceDefinition')) {
      const kind = text(document.spec, 'names', 'kind');
      if (text(document.spec, 'group') !== 'rbac.istio.io' || !REMOVED_KINDS.includes(kind)) continue;
      report('IST0002', document, `Istio no longer has the kind ${kind}: delete its definition`);
    }
    for (const kind of REMOVED_KINDS) {
      for (const document of context.list(kind, 'rbac.istio.io')) {
        const message = `the kind ${kind} does nothing any more: inmesh migrate rbac makes AuthorizationPolicies of it`;
        report('IST0002', document, message, { path: ['kind'] });
      }
    }
  },
};
