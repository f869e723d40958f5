import { NO_OVERRIDES } from '../../../src/model/filter-config.js';
import type { HeaderMatcher, PathMatcher } from '../../../src/model/matcher.js';
import type { Route, RouteConfiguration, VirtualHost } from '../../../src/model/route.js';
import type { RouteMatch } from '../../../src/model/route-match.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { RequestHead } from '../../../src/service/service.js';

export function head(path: string, headers: readonly (readonly [string, string])[] = []): RequestHead {
  const pseudo = new Map(headers.filter(([name]) => name.startsWith(':')));
  return {
    method: pseudo.get(':method') ?? 'GET',
    scheme: pseudo.get(':scheme') ?? 'http',
    authority: pseudo.get(':authority') ?? 'reviews',
    path,
    headers: HeaderMap.from(headers.filter(([name]) => !name.startsWith(':'))),
  };
}

export function prefix(value: string, caseSensitive = true): PathMatcher {
  return { kind: 'prefix', value, caseSensitive };
}

export function route(name: string, path: PathMatcher, match: Partial<RouteMatch> = {}): Route {
  return {
    name,
    match: {
      path,
      headers: [],
      queryParameters: [],
      runtimeFraction: undefined,
      grpcOnly: false,
      ...match,
    },
    action: { kind: 'non-forwarding' },
    filterOverrides: NO_OVERRIDES,
  };
}

export function virtualHost(name: string, domains: readonly string[], routes: readonly Route[]): VirtualHost {
  return {
    name,
    domains,
    routes,
    retryPolicy: undefined,
    filterOverrides: NO_OVERRIDES,
    includeRequestAttemptCount: false,
  };
}

export function table(...virtualHosts: readonly VirtualHost[]): RouteConfiguration {
  return { name: 'table', virtualHosts };
}

export function exactHeader(name: string, value: string, more: Partial<HeaderMatcher> = {}): HeaderMatcher {
  return {
    name,
    match: { kind: 'string', matcher: { kind: 'exact', value, ignoreCase: false } },
    invert: false,
    treatMissingAsEmpty: false,
    ...more,
  };
}
