import type { RateLimit, VirtualHostRateLimits } from '../model/rate-limit.js';
import type { Route, VirtualHost } from '../model/route.js';

/** The rate limits that stand at the route of a stack and at its virtual host. */
export interface RouteRateLimits {
  readonly route: readonly RateLimit[];
  readonly virtualHost: readonly RateLimit[];
  /** The route's deprecated `include_vh_rate_limits`; it goes before what the filter says. */
  readonly includeVirtualHost: boolean;
}

export const NO_RATE_LIMITS: RouteRateLimits = { route: [], virtualHost: [], includeVirtualHost: false };

/** The rate limits at a place in a route table. Envoy: routes that answer themselves have none, nor their virtual host. */
export function rateLimitsAt({ action }: Route, virtualHost: VirtualHost): RouteRateLimits {
  if (action.kind === 'redirect' || action.kind === 'direct-response') return NO_RATE_LIMITS;
  const ofHost = virtualHost.rateLimits ?? [];
  if (action.kind === 'non-forwarding') return { ...NO_RATE_LIMITS, virtualHost: ofHost };
  const { rateLimits = [], includeVirtualHostRateLimits = false } = action;
  return { route: rateLimits, virtualHost: ofHost, includeVirtualHost: includeVirtualHostRateLimits };
}

/**
 * The limits of a route that count for a filter of this stage. Envoy: `include` adds those of the virtual host,
 * `override` takes them when the route has none at all, of whatever stage, and `ignore` never reads them.
 */
export function selectRateLimits(
  limits: RouteRateLimits,
  stage: number,
  virtualHost: VirtualHostRateLimits,
): readonly RateLimit[] {
  const mode = limits.includeVirtualHost ? 'include' : virtualHost;
  const includes = mode === 'include' || (mode === 'override' && limits.route.length === 0);
  const all = includes ? [...limits.route, ...limits.virtualHost] : limits.route;
  return all.filter((limit) => limit.stage === stage);
}
