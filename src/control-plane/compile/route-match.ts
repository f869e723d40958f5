import type {
  HeaderMatcher,
  PathMatcher,
  QueryParameterMatcher,
  StringMatcher,
} from '../../model/matcher.js';
import type { RouteMatch } from '../../model/route-match.js';
import type { MetadataMatcher } from '../../model/value-matcher.js';
import { claimPath } from '../kinds/claim-name.js';
import type { HttpMatch, StringMatch } from '../kinds/types.js';
import { ANY_TEXT, claimMatcher } from './authorization/matchers.js';

const PSEUDO_HEADERS: ReadonlySet<string> = new Set(['uri', 'scheme', 'method', 'authority']);

/** Matches every request. */
export const MATCH_ALL: RouteMatch = {
  path: { kind: 'prefix', value: '/', caseSensitive: true },
  headers: [],
  queryParameters: [],
  runtimeFraction: undefined,
  grpcOnly: false,
};

/**
 * What of an HTTPMatchRequest is decided for each request; the rest is decided when compiling. In the Gateway API a prefix
 * means whole segments of the path, and headers may have any name.
 */
export function compileMatch(match: HttpMatch, isGatewayApi = false): RouteMatch {
  const headers: HeaderMatcher[] = [];
  const claims: MetadataMatcher[] = [];
  const add = (fields: HttpMatch['headers'], invert: boolean) => {
    for (const [name, value] of isGatewayApi ? Object.entries(fields ?? {}) : fieldsOf(fields)) {
      const path = claimPath(name);
      if (path === undefined) headers.push(headerMatcher(name.toLowerCase(), value, invert));
      else claims.push(claimOf(path, value, invert));
    }
  };
  add(match.headers, false);
  add(match.withoutHeaders, true);
  for (const name of ['method', 'authority', 'scheme'] as const) {
    const value = match[name];
    if (value !== undefined) headers.push(headerMatcher(`:${name}`, value, false));
  }
  return {
    path: pathMatcher(match.uri, match.ignoreUriCase !== true, isGatewayApi),
    headers,
    queryParameters: Object.entries(match.queryParams ?? {}).map(([name, value]) =>
      queryMatcher(name, value),
    ),
    runtimeFraction: undefined,
    grpcOnly: false,
    dynamicMetadata: claims.length === 0 ? undefined : claims,
  };
}

/** Whether no request gets past the match. */
export function isCatchAll(match: RouteMatch): boolean {
  const { path, headers, queryParameters, dynamicMetadata, runtimeFraction } = match;
  const conditions = headers.length + queryParameters.length + (dynamicMetadata?.length ?? 0);
  if (runtimeFraction !== undefined) return false;
  return path.kind === 'prefix' && path.value === '/' && conditions === 0;
}

/** Istio: pseudo-headers have fields of their own, and are ignored here. */
function fieldsOf(fields: HttpMatch['headers']): [string, StringMatch][] {
  return Object.entries(fields ?? {}).filter(([name]) => !PSEUDO_HEADERS.has(name));
}

function pathMatcher(
  match: StringMatch | undefined,
  caseSensitive: boolean,
  isGatewayApi: boolean,
): PathMatcher {
  if (match?.exact !== undefined) return { kind: 'path', value: match.exact, caseSensitive };
  if (match?.prefix !== undefined) {
    const isSegments = isGatewayApi && match.prefix !== '/';
    return { kind: isSegments ? 'path-separated-prefix' : 'prefix', value: match.prefix, caseSensitive };
  }
  if (match?.regex !== undefined) return { kind: 'regex', pattern: match.regex };
  return MATCH_ALL.path;
}

/** A match of Istio as that of a header. */
export function headerMatcher(name: string, value: StringMatch, invert: boolean): HeaderMatcher {
  const matcher = stringMatcher(value);
  return matcher === undefined
    ? { name, match: { kind: 'present', present: true }, invert, treatMissingAsEmpty: false }
    : // Envoy: a missing header fails even an inverted matcher, unless it counts as empty.
      { name, match: { kind: 'string', matcher }, invert, treatMissingAsEmpty: invert };
}

/** A claim of a verified token: a text, or one of a list of texts (Istio). */
function claimOf(path: readonly string[], value: StringMatch, invert: boolean): MetadataMatcher {
  const text = { kind: 'string', matcher: stringMatcher(value) ?? ANY_TEXT } as const;
  const either = { kind: 'or', matchers: [{ kind: 'one-of', matcher: text }, text] } as const;
  return { ...claimMatcher(path, either), invert };
}

/** A match of Istio as that of a parameter of the query. */
export function queryMatcher(name: string, value: StringMatch): QueryParameterMatcher {
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
