import type { FieldPath } from '../../kinds/view.js';
import { isPlainObject, type PlainValue } from '../../schema/value.js';
import type { Report } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { field, list, map, number, text } from '../plain.js';

/** Istio: the analysis of unreachable rules in its validation of VirtualServices. */
export function reportUnreachable(document: AnalysisDocument, report: Report): void {
  for (const protocol of ['http', 'tcp', 'tls'] as const) {
    const routes = list(document.spec, protocol);
    reportDuplicates({ document, routes, path: ['spec', protocol] }, report);
    if (protocol === 'http') reportCovered(document, routes, report);
  }
}

interface Routes {
  readonly document: AnalysisDocument;
  readonly routes: readonly PlainValue[];
  readonly path: FieldPath;
}

/** Routes and matches that repeat what stands before them. */
function reportDuplicates({ document, routes, path }: Routes, report: Report): void {
  const seen = new Map<string, string>();
  let withoutMatch: string | undefined;
  for (const [index, route] of routes.entries()) {
    const name = nameOf(route, index);
    const matches = list(route, 'match');
    if (matches.length === 0) {
      if (withoutMatch !== undefined) {
        const message = `the route ${name} gets nothing: ${withoutMatch} before it has no match either, and takes everything`;
        report('IST0130', document, message, { path: [...path, index] });
      }
      withoutMatch = name;
      continue;
    }
    const repeated = matches.flatMap((match, number) => {
      const key = canonical(match);
      const earlier = seen.get(key);
      if (earlier === undefined) seen.set(key, name);
      return earlier === undefined ? [] : [{ match, number, earlier }];
    });
    for (const { match, number, earlier } of repeated) {
      const message = `the match ${nameOf(match, number)} of the route ${name} gets nothing: the route ${earlier} has the same`;
      report('IST0131', document, message, { path: [...path, index, 'match', number] });
    }
    if (repeated.length < matches.length) continue;
    report('IST0130', document, `the route ${name} gets nothing: routes before it have all of its matches`, {
      path: [...path, index],
    });
  }
}

const nameOf = (value: PlainValue, index: number): string => {
  const name = text(value, 'name');
  return name === '' ? `#${index}` : JSON.stringify(name);
};

/** The text of a match apart from its name, the same for the same match; what says no more than its absence is left out. */
function canonical(value: PlainValue): string {
  return JSON.stringify(value, (key, item: PlainValue) => {
    if (!isPlainObject(item)) return item;
    const entries = Object.entries(item).filter(
      ([name, one]) => key !== '' || (name !== 'name' && !isAbsent(one)),
    );
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** Whether the field of a match is as good as left out (protobuf's defaults; a matcher of text is there even if empty). */
function isAbsent(value: PlainValue): boolean {
  return value === null || value === false || value === 0 || value === '' || isEmptyList(value);
}

const isEmptyList = (value: PlainValue): boolean => Array.isArray(value) && value.length === 0;

interface PrefixMatch {
  readonly route: string;
  readonly name: string;
  readonly path: FieldPath;
  readonly prefix: string;
  readonly port: number;
  readonly method: string;
  readonly authority: string;
  readonly maps: readonly Readonly<Record<string, string>>[];
}

/** Matches by prefix that a shorter prefix before them covers. */
function reportCovered(document: AnalysisDocument, routes: readonly PlainValue[], report: Report): void {
  const seen = new Set<string>();
  const matches: PrefixMatch[] = [];
  for (const [i, route] of routes.entries()) {
    for (const [j, match] of list(route, 'match').entries()) {
      const key = canonical(match);
      const prefix = text(match, 'uri', 'prefix');
      if (prefix === '' || seen.has(key)) continue;
      seen.add(key);
      matches.push({
        route: nameOf(route, i),
        name: nameOf(match, j),
        path: ['spec', 'http', i, 'match', j],
        prefix,
        port: number(match, 'port') ?? 0,
        method: matcher(field(match, 'method')),
        authority: matcher(field(match, 'authority')),
        maps: ['headers', 'queryParams', 'withoutHeaders'].map((name) => matchers(map(match, name))),
      });
    }
  }
  for (const [index, later] of matches.entries()) {
    for (const earlier of matches.slice(0, index)) {
      if (!meets(earlier, later)) continue;
      const how = coversAll(earlier, later) ? 'covers it' : 'takes a part of what it is for';
      const message = `the match ${later.name} of the route ${later.route} (prefix ${later.prefix}): the prefix ${earlier.prefix} of ${earlier.route} before it ${how}`;
      report('IST0131', document, message, { path: [...later.path, 'uri', 'prefix'] });
    }
  }
}

/** `=text` or `^text`; empty when everything matches, and for regular expressions, which are not compared (Istio). */
function matcher(value: PlainValue | undefined): string {
  const [exact, prefix] = ['exact', 'prefix'].map((name) => text(value, name));
  if (exact) return `=${exact}`;
  return prefix ? `^${prefix}` : '';
}

function matchers(value: ReturnType<typeof map>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(value ?? {}).map(([name, one]) => [name, matcher(one)]));
}

/** Istio: coveredValidation. A match without method counts as one of GET; an earlier condition may be the narrower. */
function meets(earlier: PrefixMatch, later: PrefixMatch): boolean {
  if (earlier.prefix === later.prefix || !later.prefix.startsWith(earlier.prefix)) return false;
  const [method, laterMethod] = [earlier.method || '=GET', later.method || '=GET'];
  return (
    earlier.port === later.port &&
    method.startsWith(laterMethod) &&
    earlier.authority.startsWith(later.authority) &&
    earlier.maps.every((one, index) => {
      const other = later.maps[index] ?? {};
      const isSameSize = Object.keys(one).length === Object.keys(other).length;
      return (
        isSameSize &&
        Object.entries(one).every(
          ([name, value]) => other[name] !== undefined && value.startsWith(other[name]),
        )
      );
    })
  );
}

/** Whether nothing is left for the later of two that meet. */
function coversAll(earlier: PrefixMatch, later: PrefixMatch): boolean {
  const isAsWide = (method: string, other: string): boolean => method === '' || method === other;
  return (
    isAsWide(earlier.method, later.method) &&
    isAsWide(earlier.authority, later.authority) &&
    earlier.maps.every((one, index) =>
      Object.entries(one).every(([name, value]) => value !== '' && value === later.maps[index]?.[name]),
    )
  );
}
