import type { CorsPolicyConfig } from '../../model/cors.js';
import type { FilterConfig, FilterOverrides, HttpFilter } from '../../model/filter-config.js';
import type { StringMatcher } from '../../model/matcher.js';
import { ALWAYS } from '../../model/percent.js';
import type { Route } from '../../model/route.js';
import type { HttpRoute } from '../kinds/types.js';
import { SESSION_FILTER } from './session-filter.js';

const CORS = 'envoy.filters.http.cors';

/** Adds the CORS policy of a rule to its filter configuration. */
export function withCors(overrides: FilterOverrides, policy: HttpRoute['corsPolicy']): FilterOverrides {
  return policy === undefined
    ? overrides
    : new Map<string, FilterConfig>([...overrides, [CORS, compileCors(policy)]]);
}

/** Istio (TranslateCORSPolicy). */
function compileCors(policy: NonNullable<HttpRoute['corsPolicy']>): CorsPolicyConfig {
  const { allowOrigin = [], allowOrigins = [], maxAge, unmatchedPreflights = 'UNSPECIFIED' } = policy;
  const exact = allowOrigin.map((value): StringMatcher => ({ kind: 'exact', value, ignoreCase: false }));
  return {
    kind: 'cors-policy',
    // Istio: the older list of exact origins counts only without the newer one.
    allowOrigins: allowOrigins.length > 0 ? allowOrigins.flatMap(originOf) : exact,
    allowMethods: (policy.allowMethods ?? []).join(','),
    allowHeaders: (policy.allowHeaders ?? []).join(','),
    exposeHeaders: (policy.exposeHeaders ?? []).join(','),
    maxAge: maxAge === undefined ? '' : String(maxAge / 1000),
    allowCredentials: policy.allowCredentials,
    enabled: ALWAYS,
    shadow: undefined,
    allowPrivateNetworkAccess: undefined,
    forwardNotMatchingPreflights:
      unmatchedPreflights === 'UNSPECIFIED' ? undefined : unmatchedPreflights === 'FORWARD',
  };
}

function originOf({
  exact,
  prefix,
  regex,
}: {
  readonly exact?: string | undefined;
  readonly prefix?: string | undefined;
  readonly regex?: string | undefined;
}): StringMatcher[] {
  if (exact) return [{ kind: 'exact', value: exact, ignoreCase: false }];
  if (prefix) return [{ kind: 'prefix', value: prefix, ignoreCase: false }];
  return regex ? [{ kind: 'regex', pattern: regex }] : [];
}

const CORS_FILTER: HttpFilter = { name: CORS, config: { kind: 'cors' } };

/** The filters stand in a listener only when a route has something for them: other xDS clients refuse filters they don't know. */
export function filtersFor(routes: readonly Route[], filters: readonly HttpFilter[]): readonly HttpFilter[] {
  const wanted = [CORS_FILTER, SESSION_FILTER].filter(({ name }) =>
    routes.some(({ filterOverrides }) => filterOverrides.has(name)),
  );
  return wanted.length === 0 ? filters : [...filters.slice(0, -1), ...wanted, ...filters.slice(-1)];
}
