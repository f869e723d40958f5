import { isIP } from 'node:net';
import { isDnsName } from '../../kinds/names.js';
import type { PlainValue } from '../../schema/value.js';
import type { Analyzer, Report } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { list, map, text } from '../plain.js';

/**
 * Istio: externalcontrolplane.ExternalControlPlaneAnalyzer, without looking names up, as analysis calls nobody: only a
 * name that no DNS can have is told.
 */
export const externalControlPlaneAnalyzer: Analyzer = {
  name: 'externalcontrolplane.ExternalControlPlaneAnalyzer',
  summary: 'webhooks of a control plane in another cluster',
  codes: ['IST0163', 'IST0164'],
  analyze(context, report) {
    for (const document of context.list('ValidatingWebhookConfiguration')) {
      if (document.name !== 'istiod-default-validator' && !document.name.startsWith('istio-validator'))
        continue;
      for (const [index, hook] of list(document.value, 'webhooks').entries())
        check(document, hook, index, report);
    }
    for (const document of context.list('MutatingWebhookConfiguration')) {
      if (!document.name.startsWith('istio-sidecar-injector')) continue;
      for (const [index, hook] of list(document.value, 'webhooks').entries())
        check(document, hook, index, report);
    }
  },
};

function check(document: AnalysisDocument, hook: PlainValue, index: number, report: Report): void {
  const name = text(hook, 'name');
  const url = map(hook, 'clientConfig')?.['url'];
  const path = ['webhooks', index, 'clientConfig', 'url'];
  if (typeof url !== 'string') {
    if (map(hook, 'clientConfig', 'service') !== undefined) return;
    report('IST0163', document, `the webhook ${name} has neither a url nor a service to call`, { path });
    return;
  }
  const host = hostOf(url);
  if (host === undefined) {
    report('IST0163', document, `the url ${JSON.stringify(url)} of the webhook ${name} is none`, { path });
  } else if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) {
    const message = `the webhook ${name} calls the address ${host}: give it a name, which survives a move`;
    report('IST0164', document, message, { path });
  } else if (!isDnsName(host) || NEVER_FOUND.test(host)) {
    report('IST0163', document, `no DNS has the host ${host} that the webhook ${name} calls`, { path });
  }
}

/** Names that are in no DNS (RFC 6761 §6.4). */
const NEVER_FOUND = /(?:^|\.)invalid\.?$/i;

function hostOf(url: string): string | undefined {
  // The URLs of WHATWG would take the host from the path where there is none.
  if (!/^[^:/?#]+:\/\/[^/?#]/.test(url)) return undefined;
  try {
    const { hostname } = new URL(url);
    return hostname === '' ? undefined : hostname;
  } catch {
    return undefined;
  }
}
