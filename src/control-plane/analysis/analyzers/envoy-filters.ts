import type { PlainValue } from '../../schema/value.js';
import { type Analyzer, NETWORKING, type Report } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { list, map, number, text } from '../plain.js';

const ROUTES: ReadonlySet<string> = new Set(['ROUTE_CONFIGURATION', 'HTTP_ROUTE']);
const FILTERS: ReadonlySet<string> = new Set(['NETWORK_FILTER', 'HTTP_FILTER']);

/** Istio: envoyfilter.EnvoyPatchAnalyzer. */
export const envoyPatchAnalyzer: Analyzer = {
  name: 'envoyfilter.EnvoyPatchAnalyzer',
  summary: 'operations of EnvoyFilters that do nothing, or depend on order',
  codes: ['IST0151', 'IST0152', 'IST0153', 'IST0154', 'IST0155'],
  analyze(context, report) {
    // Names of filters that patches for some versions of the proxy only add, so far.
    const versioned = new Set<string>();
    for (const document of context.list('EnvoyFilter', NETWORKING)) {
      for (const [index, patch] of list(document.spec, 'configPatches').entries()) {
        if (map(patch, 'patch') === undefined) break;
        checkPatch({ document, patch, index, versioned }, report);
        if (text(patch, 'match', 'proxy', 'proxyVersion') !== '') versioned.add(filterOf(patch));
      }
    }
  },
};

interface Patch {
  readonly document: AnalysisDocument;
  readonly patch: PlainValue;
  readonly index: number;
  readonly versioned: ReadonlySet<string>;
}

function checkPatch({ document, patch, index, versioned }: Patch, report: Report): void {
  const operation = text(patch, 'patch', 'operation');
  const applyTo = text(patch, 'applyTo');
  const details = { path: ['spec', 'configPatches', index, 'patch', 'operation'] };
  if (operation === 'ADD' && ROUTES.has(applyTo)) {
    report('IST0153', document, `ADD does nothing on ${applyTo}`, details);
  } else if (operation === 'REMOVE' && ROUTES.has(applyTo)) {
    report('IST0154', document, `REMOVE does nothing on ${applyTo}`, details);
  } else if (operation === 'REPLACE' && !FILTERS.has(applyTo)) {
    report(
      'IST0152',
      document,
      `REPLACE works on HTTP_FILTER and NETWORK_FILTER only, not on ${applyTo}`,
      details,
    );
  } else if (isRelative(operation) && (number(document.spec, 'priority') ?? 0) === 0) {
    const advice = 'use INSERT_FIRST or ADD, or give the EnvoyFilter a priority';
    if (versioned.has(filterOf(patch))) {
      const message = `${operation} depends on a filter that an earlier EnvoyFilter adds for some proxyVersion only: ${advice}`;
      report('IST0155', document, message, details);
    } else {
      report('IST0151', document, `${operation} depends on the order of EnvoyFilters: ${advice}`, details);
    }
  }
}

function isRelative(operation: string): boolean {
  return ['REMOVE', 'REPLACE', 'INSERT_BEFORE', 'INSERT_AFTER'].includes(operation);
}

/**
 * The filter that a patch is about: the name of its value, or else that of its match. Istio compares the two with their
 * own kind only: a value never counts as the same filter as a match.
 */
function filterOf(patch: PlainValue): string {
  const value = map(patch, 'patch', 'value');
  if (value === undefined) return '';
  const name = text(value, 'name');
  if (name !== '') return `value ${name}`;
  const matched = text(patch, 'match', 'listener', 'filterChain', 'filter', 'name');
  return matched === '' ? '' : `match ${matched}`;
}
