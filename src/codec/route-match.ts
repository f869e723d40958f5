import { create } from '@bufbuild/protobuf';
import type { PathMatcher } from '../model/matcher.js';
import type { RouteMatch, TlsContextMatch } from '../model/route-match.js';
import { route } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import {
  decodeCookieMatcher,
  decodeHeaderMatcher,
  decodeQueryMatcher,
  decodeRegex,
  encodeCookieMatcher,
  encodeHeaderMatcher,
  encodeQueryMatcher,
  encodeRegex,
} from './matcher.js';
import { at, type Path, refuse } from './path.js';
import { decodePathTemplate, encodePathTemplate } from './path-template.js';
import { decodeRuntimeFraction, encodeRuntimeFraction } from './percent.js';
import {
  decodeMetadataMatcher,
  decodeStateMatcher,
  encodeMetadataMatcher,
  encodeStateMatcher,
} from './value-matcher.js';

const matchFields = onlyFields(() => route.RouteMatchSchema, {
  enforced: [
    'prefix',
    'path',
    'safe_regex',
    'path_separated_prefix',
    'case_sensitive',
    'runtime_fraction',
    'headers',
    'query_parameters',
    'grpc',
    'cookies',
    'tls_context',
    'dynamic_metadata',
    'filter_state',
    'path_match_policy',
    'connect_matcher',
  ],
});

const tlsFields = onlyFields(() => route.RouteMatch_TlsContextMatchOptionsSchema, {
  enforced: ['presented', 'validated'],
});

/** Envoy: no `?` or `#`, and no `/` at the end. */
const SEPARATED_PREFIX = /^[^?#]+[^?#/]$/;

/** The conditions of a route. */
export function decodeRouteMatch(message: route.RouteMatch, path: Path): RouteMatch {
  matchFields(message, path);
  const { runtimeFraction } = message;
  return {
    path: decodePathMatcher(message, path),
    headers: message.headers.map((header, index) => decodeHeaderMatcher(header, at(path, 'headers', index))),
    queryParameters: message.queryParameters.map((parameter, index) =>
      decodeQueryMatcher(parameter, at(path, 'query_parameters', index)),
    ),
    runtimeFraction: runtimeFraction && decodeRuntimeFraction(runtimeFraction, at(path, 'runtime_fraction')),
    grpcOnly: message.grpc !== undefined,
    cookies: some(
      message.cookies.map((cookie, index) => decodeCookieMatcher(cookie, at(path, 'cookies', index))),
    ),
    tls: message.tlsContext && decodeTls(message.tlsContext, at(path, 'tls_context')),
    dynamicMetadata: some(
      message.dynamicMetadata.map((one, index) =>
        decodeMetadataMatcher(one, at(path, 'dynamic_metadata', index)),
      ),
    ),
    filterState: some(
      message.filterState.map((one, index) => decodeStateMatcher(one, at(path, 'filter_state', index))),
    ),
  };
}

function some<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

function decodeTls(message: route.RouteMatch_TlsContextMatchOptions, path: Path): TlsContextMatch {
  tlsFields(message, path);
  return { presented: message.presented, validated: message.validated };
}

function decodePathMatcher(
  { pathSpecifier, caseSensitive = true }: route.RouteMatch,
  path: Path,
): PathMatcher {
  switch (pathSpecifier.case) {
    case 'prefix':
    case 'path':
      return { kind: pathSpecifier.case, value: pathSpecifier.value, caseSensitive };
    case 'pathSeparatedPrefix': {
      const { value } = pathSpecifier;
      if (!SEPARATED_PREFIX.test(value)) {
        refuse(at(path, 'path_separated_prefix'), 'must not end in "/" and must not contain "?" or "#"');
      }
      return { kind: 'path-separated-prefix', value, caseSensitive };
    }
    case 'safeRegex':
      // Envoy: case_sensitive has no effect on a regular expression.
      return { kind: 'regex', pattern: decodeRegex(pathSpecifier.value, at(path, 'safe_regex')) };
    case 'pathMatchPolicy':
      return decodePathTemplate(pathSpecifier.value, at(path, 'path_match_policy'));
    case 'connectMatcher':
      return { kind: 'connect' };
    default:
      return refuse(path, 'needs a path specifier');
  }
}

/** The conditions of a route as a message. */
export function encodeRouteMatch(match: RouteMatch): route.RouteMatch {
  const message = create(route.RouteMatchSchema, {
    pathSpecifier: encodePathSpecifier(match.path),
    headers: match.headers.map(encodeHeaderMatcher),
    queryParameters: match.queryParameters.map(encodeQueryMatcher),
    cookies: (match.cookies ?? []).map(encodeCookieMatcher),
    dynamicMetadata: (match.dynamicMetadata ?? []).map(encodeMetadataMatcher),
    filterState: (match.filterState ?? []).map(encodeStateMatcher),
  });
  if (match.tls !== undefined) {
    message.tlsContext = create(route.RouteMatch_TlsContextMatchOptionsSchema, match.tls);
  }
  if ('caseSensitive' in match.path && !match.path.caseSensitive) message.caseSensitive = false;
  if (match.runtimeFraction !== undefined)
    message.runtimeFraction = encodeRuntimeFraction(match.runtimeFraction);
  if (match.grpcOnly) message.grpc = create(route.RouteMatch_GrpcRouteMatchOptionsSchema);
  return message;
}

function encodePathSpecifier(matcher: PathMatcher): route.RouteMatch['pathSpecifier'] {
  switch (matcher.kind) {
    case 'prefix':
    case 'path':
      return { case: matcher.kind, value: matcher.value };
    case 'path-separated-prefix':
      return { case: 'pathSeparatedPrefix', value: matcher.value };
    case 'regex':
      return { case: 'safeRegex', value: encodeRegex(matcher.pattern) };
    case 'template':
      return { case: 'pathMatchPolicy', value: encodePathTemplate(matcher.template) };
    case 'connect':
      return { case: 'connectMatcher', value: create(route.RouteMatch_ConnectMatcherSchema) };
  }
}
