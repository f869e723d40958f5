import type { Analyzer } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { at, list, text } from '../plain.js';

const VARIABLE = 'BLOCKED_CIDRS_IN_JWKS_URIS';
const SHOWN = 5;

/** Istio: authn.BlockedCIDRsAnalyzer. */
export const blockedCidrsAnalyzer: Analyzer = {
  name: 'authn.BlockedCIDRsAnalyzer',
  summary: 'whether istiod may fetch JWKS from anywhere',
  codes: ['IST0175'],
  analyze(context, report) {
    const names = context.list('RequestAuthentication').map(({ namespace, name }) => `${namespace}/${name}`);
    if (names.length === 0) return;
    const more = names.length > SHOWN ? `, and ${names.length - SHOWN} more` : '';
    for (const deployment of context.list('Deployment')) {
      if (deployment.labels['app'] !== 'istiod' || hasVariable(deployment)) continue;
      const message =
        `${VARIABLE} is not set, yet there are ${names.length} RequestAuthentications ` +
        `(${names.slice(0, SHOWN).join(', ')}${more}): set it to the networks that JWKS must not come from`;
      report('IST0175', deployment, message);
    }
  },
};

function hasVariable({ spec }: AnalysisDocument): boolean {
  return list(at(spec, 'template', 'spec'), 'containers').some((container) =>
    list(container, 'env').some((one) => text(one, 'name') === VARIABLE && text(one, 'value') !== ''),
  );
}
