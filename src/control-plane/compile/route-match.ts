import type {
  HeaderMatcher,
  PathMatcher,
  QueryParameterMatcher,
  StringMatcher,
} from '../../model/matcher.js';
import type { RouteMatch } from '../../model/route-match.js';
import type { HttpMatch, StringMatch } from '../kinds/types.js';

const PSEUDO_HEADERS: ReadonlySet<string> = new Set(['uri', 'scheme', 'method', 'authority']);

/** Matches every request. */
export const MATCH_ALL: RouteMatch = {
  path: { kind: 'prefix', value: '/', caseSensitive: true },
  headers: [],
  queryParameters: [],
  runtimeFraction: undefined,
  grpcOnly: false,
};

/** What of an HTTPMatchRequest is decided for each request; the rest is decided when compiling. */
export function compileMatch(match: HttpMatch): RouteMatch {
  const headers: HeaderMatcher[] = [];
  for (const [name, value] of fieldsOf(match.headers)) headers.push(headerMatcher(name, value, false));
  for (const [name, value] of fieldsOf(match.withoutHeaders)) headers.push(headerMatcher(name, value, true));
  for (const name of ['method', 'authority', 'scheme'] as const) {
    const value = match[name];
    if (value !== undefined) headers.push(headerMatcher(`:${name}`, value, false));
  }
  return {
    path: pathMatcher(match.uri, match.ignoreUriCase !== true),
    headers,
    queryParameters: Object.entries(match.queryParams ?? {}).map(([name, value]) =>
      queryMatcher(name, value),
    ),
    runtimeFraction: undefined,
    grpcOnly: false,
  };
}

/** Whether no request gets past the match. */
export function isCatchAll({ path, headers, queryParameters }: RouteMatch): boolean {
  return path.kind === 'prefix' && path.value === '/' && headers.length === 0 && queryParameters.length === 0;
}

/** Istio: pseudo-headers have fields of their own, and are ignored here. */
function fieldsOf(fields: HttpMatch['headers']): [string, StringMatch][] {
  return Object.entries(fields ?? {})
    .filter(([name]) => !PSEUDO_HEADERS.has(name))
    .map(([name, value]) => [name.toLowerCase(), value]);
}

function pathMatcher(match: StringMatch | undefined, caseSensitive: boolean): PathMatcher {
  if (match?.exact !== undefined) return { kind: 'path', value: match.exact, caseSensitive };
  if (match?.prefix !== undefined) return { kind: 'prefix', value: match.prefix, caseSensitive };
  if (match?.regex !== undefined) return { kind: 'regex', pattern: match.regex };
  return MATCH_ALL.path;
}

function headerMatcher(name: string, value: StringMatch, invert: boolean): HeaderMatcher {
  const matcher = stringMatcher(value);
  return matcher === undefined
    ? { name, match: { kind: 'present', present: true }, invert, treatMissingAsEmpty: false }
    : // Envoy: a missing header fails even an inverted matcher, unless it counts as empty.
      { name, match: { kind: 'string', matcher }, invert, treatMissingAsEmpty: invert };
}

function queryMatcher(name: string, value: StringMatch): QueryParameterMatcher {
  const matcher = stringMatcher(value);
  return matcher === undefined
    ? { name, match: { kind: 'present', present: true } }
    : { name, match: { kind: 'string', matcher } };
}

/** Undefined stands for presence, as an empty StringMatch does (also one with an empty text in it). */
function stringMatcher({ exact, prefix, regex }: StringMatch): StringMatcher | undefined {
  if (exact) return { kind: 'exact', value: exact, ignoreCase: false };
  if (prefix) return { kind: 'prefix', value: prefix, ignoreCase: false };
  if (regex && regex !== '*') return { kind: 'regex', pattern: regex };
  return undefined;
}
