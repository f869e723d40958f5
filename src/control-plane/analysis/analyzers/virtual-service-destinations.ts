import { suggest } from '../../schema/suggest.js';
import { type AnalysisContext, type Analyzer, NETWORKING, type Report } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { clusterDomain } from '../mesh.js';
import { list, number, text, texts } from '../plain.js';
import { type KnownHost, type KnownHosts, knownHosts, toFullHost } from '../services.js';
import { destinationsOf, type RouteDestination } from './route-destinations.js';

/** Istio: virtualservice.DestinationHostAnalyzer. */
export const destinationHostAnalyzer: Analyzer = {
  name: 'virtualservice.DestinationHostAnalyzer',
  summary: 'destinations that are no service, or no port of it',
  codes: ['IST0101', 'IST0112', 'IST0140'],
  analyze(context, report) {
    const hosts = knownHosts(context);
    const subsets = subsetUses(context);
    for (const document of context.list('VirtualService', NETWORKING)) {
      // Documents without a single service are a part of a whole: nothing is known of the hosts.
      const known = hosts.isEmpty ? [] : destinationsOf(document.spec);
      for (const one of known) checkHost(document, one, hosts, report);
      checkIngress(document, subsets, report);
    }
  },
};

function checkHost(
  document: AnalysisDocument,
  { destination, path, isMirror }: RouteDestination,
  hosts: KnownHosts,
  report: Report,
): void {
  const host = text(destination, 'host');
  const known = hosts.find(host, document.namespace, texts(document.spec, 'exportTo'));
  if (known === undefined) {
    const what = isMirror ? 'the host of a mirror' : 'the host';
    report('IST0101', document, `${what}, ${host}, is no service that this namespace sees`, {
      path: [...path, 'host'],
      suggestion: suggestHost(host, document.namespace, hosts),
    });
    return;
  }
  checkPort(document, { host, port: number(destination, 'port', 'number'), path }, known, report);
}

/** The nearest host, by its short name where that is how hosts of this namespace are written. */
function suggestHost(host: string, namespace: string, { all }: KnownHosts): string | undefined {
  const names = all.flatMap((known) => {
    const [name = ''] = known.host.split('.');
    return known.namespace === namespace && !host.includes('.') ? [name, known.host] : [known.host];
  });
  return suggest(host, names);
}

interface Wanted {
  readonly host: string;
  readonly port: number | undefined;
  readonly path: RouteDestination['path'];
}

function checkPort(document: AnalysisDocument, wanted: Wanted, { ports }: KnownHost, report: Report): void {
  const { host, port, path } = wanted;
  if (port === undefined) {
    if (ports.length < 2) return;
    report('IST0112', document, `${host} has the ports ${ports.join(', ')}: say which one is meant`, {
      path,
    });
  } else if (!ports.includes(port)) {
    const known = ports.length === 0 ? 'no ports' : `the ports ${ports.join(', ')}`;
    report('IST0101', document, `${host} has no port ${port}; it has ${known}`, {
      path: [...path, 'port', 'number'],
    });
  }
}

interface SubsetUse {
  readonly document: AnalysisDocument;
  readonly host: string;
}

/** VirtualServices that choose subsets of their own hosts. */
function subsetUses(context: AnalysisContext): readonly SubsetUse[] {
  return context.list('VirtualService', NETWORKING).flatMap((document) => {
    const hosts = new Set(texts(document.spec, 'hosts'));
    const used = new Set(
      list(document.spec, 'http').flatMap((route) =>
        list(route, 'route').flatMap((one) => {
          const host = text(one, 'destination', 'host');
          return text(one, 'destination', 'subset') !== '' && hosts.has(host) ? host : [];
        }),
      ),
    );
    return [...used].map((host) => ({ document, host }));
  });
}

/** A gateway sends by its own routes only: the rules of the host behind them do not hold for its requests. */
function checkIngress(document: AnalysisDocument, uses: readonly SubsetUse[], report: Report): void {
  if (texts(document.spec, 'gateways').length === 0) return;
  for (const [i, route] of list(document.spec, 'http').entries()) {
    for (const [j, one] of list(route, 'route').entries()) {
      const host = text(one, 'destination', 'host');
      if (text(one, 'destination', 'subset') !== '') continue;
      for (const use of uses) {
        if (use.host !== host) continue;
        const name = `${use.document.namespace}/${use.document.name}`;
        report(
          'IST0140',
          document,
          `requests of the gateway do not follow the subsets of ${name}: name the subset here`,
          {
            path: ['spec', 'http', i, 'route', j, 'destination'],
          },
        );
      }
    }
  }
}

/** Istio: virtualservice.DestinationRuleAnalyzer. */
export const destinationRuleAnalyzer: Analyzer = {
  name: 'virtualservice.DestinationRuleAnalyzer',
  summary: 'subsets that no DestinationRule defines',
  codes: ['IST0101'],
  analyze(context, report) {
    const domain = clusterDomain(context);
    const subsets = new Map<string, string[]>();
    for (const { spec, namespace } of context.list('DestinationRule', NETWORKING)) {
      const host = toFullHost(text(spec, 'host'), namespace, domain);
      const names = list(spec, 'subsets').map((subset) => text(subset, 'name'));
      subsets.set(host, [...(subsets.get(host) ?? []), ...names]);
    }
    for (const document of context.list('VirtualService', NETWORKING)) {
      for (const { destination, path } of destinationsOf(document.spec)) {
        const subset = text(destination, 'subset');
        if (subset === '') continue;
        const host = text(destination, 'host');
        const names = subsets.get(toFullHost(host, document.namespace, domain)) ?? [];
        if (names.includes(subset)) continue;
        report('IST0101', document, `no DestinationRule for ${host} defines the subset ${subset}`, {
          path: [...path, 'subset'],
          suggestion: suggest(subset, names),
        });
      }
    }
  },
};
