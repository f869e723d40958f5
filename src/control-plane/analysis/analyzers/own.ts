import { parseDuration } from '../../../model/duration.js';
import { groupBy } from '../../../runtime/group-by.js';
import type { PlainValue } from '../../schema/value.js';
import { type AnalysisContext, type Analyzer, NETWORKING } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { clusterDomain } from '../mesh.js';
import { at, labelsAt, list, map, number, text } from '../plain.js';
import { selectorText, selects } from '../selectors.js';
import { toFullHost } from '../services.js';
import { destinationsOf } from './route-destinations.js';

const DEFAULT_ATTEMPTS = 2;
/** So many tries of one request by one hop are many. */
const MANY_TRIES = 6;

const msOf = (value: PlainValue | undefined, ...path: readonly string[]): number | undefined => {
  const written = text(value, ...path);
  return written === '' ? undefined : parseDuration(written);
};

/** A route whose requests an earlier route takes all. */
const shadowedRouteAnalyzer: Analyzer = {
  name: 'inmesh.ShadowedRouteAnalyzer',
  summary: 'routes behind one that takes everything',
  codes: ['INM0002'],
  analyze(context, report) {
    for (const document of context.list('VirtualService', NETWORKING)) {
      const routes = list(document.spec, 'http');
      const first = routes.findIndex(takesEverything);
      if (first < 0) continue;
      const bare = routes.findIndex((route) => list(route, 'match').length === 0);
      for (const [index, route] of routes.entries()) {
        // Of several routes without any match, the later ones are told as IST0130.
        const isTold = index > bare && list(route, 'match').length === 0;
        if (index <= first || isTold) continue;
        const message = `the route http[${index}] gets nothing: http[${first}] before it takes every request`;
        report('INM0002', document, message, { path: ['spec', 'http', index] });
      }
    }
  },
};

/** What a route hands on to another VirtualService is matched by the routes of that one. */
function takesEverything(route: PlainValue): boolean {
  if (map(route, 'delegate') !== undefined) return false;
  const matches = list(route, 'match');
  return matches.length === 0 || matches.some(isOpen);
}

/** Whether every request fits the match. */
function isOpen(match: PlainValue): boolean {
  const fields = Object.keys(map(match) ?? {}).filter((name) => name !== 'name' && name !== 'statPrefix');
  return fields.every(
    (name) =>
      name === 'uri' &&
      ['/', ''].includes(text(match, 'uri', 'prefix')) &&
      map(match, 'uri')?.['prefix'] !== undefined,
  );
}

/** Timeouts and retries of routes. */
const retryAnalyzer: Analyzer = {
  name: 'inmesh.RetryAnalyzer',
  summary: 'timeouts that end before the retries, and too many tries',
  codes: ['INM0003', 'INM0004'],
  analyze(context, report) {
    for (const document of context.list('VirtualService', NETWORKING)) {
      for (const [index, route] of list(document.spec, 'http').entries()) {
        const retries = map(route, 'retries');
        if (retries === undefined) continue;
        const tries = (number(retries, 'attempts') ?? DEFAULT_ATTEMPTS) + 1;
        const path = ['spec', 'http', index];
        const timeout = msOf(route, 'timeout');
        const perTry = msOf(retries, 'perTryTimeout');
        if (timeout !== undefined && timeout > 0 && perTry !== undefined && tries > 1 && perTry >= timeout) {
          const message = `perTryTimeout is ${text(retries, 'perTryTimeout')}, but the timeout of ${text(route, 'timeout')} covers all ${tries} tries: no retry after a try that times out can be made`;
          report('INM0003', document, message, { path: [...path, 'timeout'] });
        }
        if (tries >= MANY_TRIES) {
          const message = `one request is tried up to ${tries} times; where callers retry as well, the numbers multiply`;
          report('INM0004', document, message, { path: [...path, 'retries', 'attempts'] });
        }
      }
    }
  },
};

/** Destinations that get nothing. */
const weightAnalyzer: Analyzer = {
  name: 'inmesh.WeightAnalyzer',
  summary: 'destinations that a split forgets',
  codes: ['INM0005'],
  analyze(context, report) {
    for (const document of context.list('VirtualService', NETWORKING)) {
      for (const protocol of ['http', 'tcp', 'tls'] as const) {
        for (const [i, route] of list(document.spec, protocol).entries()) {
          for (const j of forgotten(list(route, 'route'))) {
            const host = text(list(route, 'route')[j], 'destination', 'host');
            const message = `${host} has no weight, which counts as 0 next to others: it gets nothing`;
            report('INM0005', document, message, { path: ['spec', protocol, i, 'route', j] });
          }
        }
      }
    }
  },
};

/** To give weight 0 is a choice (a rollout about to begin); to give none in a split is a mistake. */
function forgotten(destinations: readonly PlainValue[]): readonly number[] {
  const isSplit = destinations.some((one) => (number(one, 'weight') ?? 0) > 0);
  return destinations.flatMap((one, index) => (isSplit && number(one, 'weight') === undefined ? index : []));
}

/** Outlier detection without a bound. */
const ejectionAnalyzer: Analyzer = {
  name: 'inmesh.EjectionAnalyzer',
  summary: 'outlier detection that may take out everything',
  codes: ['INM0006'],
  analyze(context, report) {
    for (const document of context.list('DestinationRule', NETWORKING)) {
      const outliers = map(document.spec, 'trafficPolicy', 'outlierDetection');
      const isAll = number(outliers, 'maxEjectionPercent') === 100;
      if (!isAll || (number(outliers, 'minHealthPercent') ?? 0) > 0) continue;
      const message =
        'every host may be taken out at once, and then requests go to none: lower it, or give minHealthPercent';
      report('INM0006', document, message, {
        path: ['spec', 'trafficPolicy', 'outlierDetection', 'maxEjectionPercent'],
      });
    }
  },
};

/** DestinationRules of which only one holds. */
const shadowedRuleAnalyzer: Analyzer = {
  name: 'inmesh.ShadowedDestinationRuleAnalyzer',
  summary: 'several DestinationRules for one host, and subsets without routes',
  codes: ['INM0007', 'INM0010'],
  analyze(context, report) {
    const domain = clusterDomain(context);
    const hostOf = ({ spec, namespace }: AnalysisDocument) =>
      toFullHost(text(spec, 'host'), namespace, domain);
    const rules = context.list('DestinationRule', NETWORKING);
    const key = (rule: AnalysisDocument) =>
      JSON.stringify([
        rule.namespace,
        hostOf(rule),
        selectorText(labelsAt(rule.spec, 'workloadSelector', 'matchLabels')),
      ]);
    for (const several of groupBy(rules, key).values()) {
      const [first, ...others] = several;
      for (const other of others) {
        if (at(first?.spec, 'trafficPolicy') === undefined || at(other.spec, 'trafficPolicy') === undefined)
          continue;
        const message = `${first?.name} of the same namespace is for the same host: its trafficPolicy holds, and that of this one does not`;
        report('INM0007', other, message, { path: ['spec', 'trafficPolicy'], atKey: true });
      }
    }
    const used = usedSubsets(context, domain);
    for (const rule of rules) {
      const host = hostOf(rule);
      // Without any route to the host, nobody chose subsets yet.
      if (!used.has(host)) continue;
      for (const [index, subset] of list(rule.spec, 'subsets').entries()) {
        const name = text(subset, 'name');
        if (used.get(host)?.has(name) === true) continue;
        report('INM0010', rule, `no route leads to the subset ${name}`, {
          path: ['spec', 'subsets', index, 'name'],
        });
      }
    }
  },
};

function usedSubsets(context: AnalysisContext, domain: string): ReadonlyMap<string, ReadonlySet<string>> {
  const used = new Map<string, Set<string>>();
  for (const { spec, namespace } of context.list('VirtualService', NETWORKING)) {
    for (const { destination } of destinationsOf(spec)) {
      const subset = text(destination, 'subset');
      if (subset === '') continue;
      const host = toFullHost(text(destination, 'host'), namespace, domain);
      used.set(host, (used.get(host) ?? new Set()).add(subset));
    }
  }
  return used;
}

/** TLS that is turned off towards those who insist on it. */
const plaintextAnalyzer: Analyzer = {
  name: 'inmesh.PlaintextToStrictAnalyzer',
  summary: 'TLS turned off towards STRICT workloads',
  codes: ['INM0008'],
  analyze(context, report) {
    const domain = clusterDomain(context);
    for (const document of context.list('DestinationRule', NETWORKING)) {
      if (text(document.spec, 'trafficPolicy', 'tls', 'mode') !== 'DISABLE') continue;
      const host = toFullHost(text(document.spec, 'host'), document.namespace, domain);
      const service = context
        .list('Service', '')
        .find(({ name, namespace }) => `${name}.${namespace}.svc.${domain}` === host);
      const strict = service && strictFor(service, context);
      if (strict === undefined) continue;
      const message = `${strict.namespace}/${strict.name} makes the workloads of ${host} refuse connections without mTLS`;
      report('INM0008', document, message, { path: ['spec', 'trafficPolicy', 'tls', 'mode'] });
    }
  },
};

/** The PeerAuthentication that makes the workloads of a service STRICT, the nearest one first. */
function strictFor(service: AnalysisDocument, context: AnalysisContext): AnalysisDocument | undefined {
  const labels = labelsAt(service.spec, 'selector');
  const policies = context.list('PeerAuthentication');
  const own = policies.filter(({ namespace }) => namespace === service.namespace);
  const nearest =
    own.find(
      ({ spec }) =>
        map(spec, 'selector') !== undefined && selects(labelsAt(spec, 'selector', 'matchLabels'), labels),
    ) ??
    own.find(({ spec }) => map(spec, 'selector') === undefined) ??
    policies.find(
      ({ namespace, spec }) => namespace === 'istio-system' && map(spec, 'selector') === undefined,
    );
  return text(nearest?.spec, 'mtls', 'mode') === 'STRICT' ? nearest : undefined;
}

/** Policies that refuse everybody. */
const denyAnalyzer: Analyzer = {
  name: 'inmesh.DenyAllAnalyzer',
  summary: 'DENY without a condition',
  codes: ['INM0009'],
  analyze(context, report) {
    for (const document of context.list('AuthorizationPolicy')) {
      if (text(document.spec, 'action') !== 'DENY') continue;
      for (const [index, rule] of list(document.spec, 'rules').entries()) {
        if (['from', 'to', 'when'].some((name) => list(rule, name).length > 0)) continue;
        const message = 'a rule without from, to and when refuses every request';
        report('INM0009', document, message, { path: ['spec', 'rules', index] });
      }
    }
  },
};

/** What Istio has no analyzer for. */
export const OWN_ANALYZERS: readonly Analyzer[] = [
  shadowedRouteAnalyzer,
  retryAnalyzer,
  weightAnalyzer,
  ejectionAnalyzer,
  shadowedRuleAnalyzer,
  plaintextAnalyzer,
  denyAnalyzer,
];
