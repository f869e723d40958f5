import { type AnalysisContext, type Analyzer, NETWORKING } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { meshConfigOf } from '../mesh.js';
import { at, list, number, text, texts } from '../plain.js';
import { scopesOf } from '../services.js';

/** Istio: serviceentry.ProtocolAddressesAnalyzer. */
export const protocolAddressesAnalyzer: Analyzer = {
  name: 'serviceentry.ProtocolAddressesAnalyzer',
  summary: 'ports of TCP without an address to tell them by',
  codes: ['IST0134'],
  analyze(context, report) {
    if (areAddressesAllocated(context)) return;
    for (const document of context.list('ServiceEntry', NETWORKING)) {
      const hasAddresses = list(document.spec, 'addresses').length > 0;
      if (hasAddresses || list(document.value, 'status', 'addresses').length > 0) continue;
      for (const [index, port] of list(document.spec, 'ports').entries()) {
        const protocol = text(port, 'protocol');
        if (protocol !== '' && protocol.toLowerCase() !== 'tcp') continue;
        const message = `port ${number(port, 'port') ?? number(port, 'number')} is TCP, which carries no host name: give addresses to tell its traffic by`;
        report('IST0134', document, message, { path: ['spec', 'ports', index] });
      }
    }
  },
};

/** Whether proxies give hosts without addresses one of their own. */
function areAddressesAllocated(context: AnalysisContext): boolean {
  const is = (name: string): boolean =>
    at(meshConfigOf(context), 'defaultConfig', 'proxyMetadata', name) === 'true';
  return (
    is('ISTIO_META_DNS_CAPTURE') && (is('ISTIO_META_DNS_AUTO_ALLOCATE') || is('PILOT_ENABLE_IP_AUTOALLOCATE'))
  );
}

interface PortUse {
  readonly document: AnalysisDocument;
  readonly index: number;
  readonly host: string;
  readonly port: number;
  readonly protocol: string;
  readonly scopes: readonly string[];
}

/** Istio: serviceentry.ConflictingServiceEntryProtocolAnalyzer. */
export const conflictingProtocolAnalyzer: Analyzer = {
  name: 'serviceentry.ConflictingServiceEntryProtocolAnalyzer',
  summary: 'ServiceEntries that give one port different protocols',
  codes: ['IST0177'],
  analyze(context, report) {
    const uses = context.list('ServiceEntry', NETWORKING).flatMap(portUses);
    const byPort = new Map<string, PortUse[]>();
    for (const use of uses) {
      const key = `${use.host}:${use.port}`;
      byPort.set(key, [...(byPort.get(key) ?? []), use]);
    }
    const reported = new Set<AnalysisDocument>();
    for (const [key, all] of byPort) {
      for (const use of all) {
        const others = all.filter((other) => other.protocol !== use.protocol && shareScope(use, other));
        if (others.length === 0 || reported.has(use.document)) continue;
        reported.add(use.document);
        const names = [
          ...new Set(others.map(({ document: { namespace, name } }) => `${namespace}/${name}`)),
        ].sort();
        const protocols = [...new Set(others.map(({ protocol }) => protocol || 'none'))].sort();
        const message = `${key} is ${use.protocol || 'of no protocol'} here, but ${protocols.join(', ')} in ${names.join(', ')}`;
        report('IST0177', use.document, message, { path: ['spec', 'ports', use.index] });
      }
    }
  },
};

function portUses(document: AnalysisDocument): readonly PortUse[] {
  const { spec, namespace } = document;
  const scopes = scopesOf(texts(spec, 'exportTo'), namespace);
  return texts(spec, 'hosts').flatMap((host) =>
    list(spec, 'ports').flatMap((port, index) => {
      const value = number(port, 'number');
      if (value === undefined) return [];
      return { document, index, host, port: value, protocol: text(port, 'protocol').toUpperCase(), scopes };
    }),
  );
}

function shareScope(left: PortUse, right: PortUse): boolean {
  return (
    left.scopes.includes('*') ||
    right.scopes.includes('*') ||
    left.scopes.some((one) => right.scopes.includes(one))
  );
}
