import type { HeaderMatcher, PathMatcher, StringMatcher } from '../../../model/matcher.js';
import type { RouteMatch } from '../../../model/route-match.js';
import { compileString } from '../../../routing/match.js';

/** Beyond so many inverted headers a rule is left as it is: each doubles the number of routes. */
const MAX_INVERTED = 4;

/**
 * The conditions of a route as gRPC clients judge them, none when no call of gRPC meets them, several when it takes
 * alternatives. A call of gRPC is a POST without a query; its authority is one of `authorities`. gRPC's matchers see
 * neither pseudo headers nor query parameters (gRFC A28), so what hangs on those is decided here.
 */
export function grpcMatches(match: RouteMatch, authorities: readonly string[]): readonly RouteMatch[] {
  // No query parameter is ever there, so only "absent" holds.
  if (match.queryParameters.some((one) => one.match.kind !== 'present' || one.match.present)) return [];
  const headers: HeaderMatcher[] = [];
  for (const one of match.headers) {
    const holds = decided(one, authorities);
    if (holds === false) return [];
    if (holds === undefined) headers.push(one);
  }
  // Every call is one of gRPC.
  const { runtimeFraction } = match;
  const plain = { path: grpcPath(match.path), queryParameters: [], runtimeFraction, grpcOnly: false };
  return alternatives(headers).map((some) => ({ ...plain, headers: some }));
}

/** Clients of gRPC know no prefix of whole segments. Their paths have two, so that the first one with a slash says the same. */
function grpcPath(path: PathMatcher): PathMatcher {
  if (path.kind !== 'path-separated-prefix') return grouped(path);
  const { value, caseSensitive } = path;
  const isMethod = value.split('/').length > 2;
  return isMethod
    ? { kind: 'path', value, caseSensitive }
    : { kind: 'prefix', value: `${value}/`, caseSensitive };
}

/** Whether a condition on a pseudo header holds for all calls (true) or for none (false); undefined for other headers. */
function decided(
  { name, match, invert }: HeaderMatcher,
  authorities: readonly string[],
): boolean | undefined {
  if (!name.startsWith(':') && name !== 'host') return undefined;
  const values = name === ':method' ? ['POST'] : name === ':scheme' ? ['http', 'https'] : authorities;
  if (match.kind === 'present') return match.present !== invert;
  if (match.kind !== 'string') return invert;
  return values.some(compileString(match.matcher)) !== invert;
}

/**
 * Where Envoy takes a missing header for an empty one, most gRPC clients let any matcher of the header fail. So "is not
 * `x`" becomes two routes: one for calls without the header, one for those whose value differs.
 */
function alternatives(headers: readonly HeaderMatcher[]): readonly (readonly HeaderMatcher[])[] {
  const isOpen = (one: HeaderMatcher) => one.invert && one.treatMissingAsEmpty && one.match.kind === 'string';
  const open = headers.filter(isOpen);
  if (open.length === 0 || open.length > MAX_INVERTED) return [headers.map(asRead)];
  return Array.from({ length: 2 ** open.length }, (_, choice) =>
    headers.map((one) => {
      const index = open.indexOf(one);
      const isAbsent = index >= 0 && (choice & (1 << index)) !== 0;
      return isAbsent ? absent(one.name) : asRead(one);
    }),
  );
}

function absent(name: string): HeaderMatcher {
  return { name, match: { kind: 'present', present: true }, invert: true, treatMissingAsEmpty: false };
}

/** The matcher as gRPC clients read it: a missing header is never taken for an empty one. */
function asRead(one: HeaderMatcher): HeaderMatcher {
  const { match } = one;
  const grouping = match.kind === 'string' && match.matcher.kind === 'regex';
  return {
    ...one,
    treatMissingAsEmpty: false,
    ...(grouping && { match: { kind: 'string' as const, matcher: grouped(match.matcher) } }),
  };
}

/** `@grpc/grpc-js-xds` anchors a pattern without a group around it, so that `a|b` would match what begins with `a`. */
function grouped<M extends PathMatcher | StringMatcher>(matcher: M): M {
  return matcher.kind === 'regex' && matcher.pattern.includes('|')
    ? { ...matcher, pattern: `(?:${matcher.pattern})` }
    : matcher;
}
