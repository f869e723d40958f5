import type { LocalRateLimitConfig } from './local-rate-limit.js';
import type { RbacConfig, RbacRouteConfig } from './rbac.js';

/** At a route: the filter is left out there, whatever it is configured to do. */
export interface DisabledFilterConfig {
  readonly kind: 'disabled';
}

/** Configuration of the filters that decide by themselves, without asking a service. */
export type LocalFilterConfig = LocalRateLimitConfig | RbacConfig | RbacRouteConfig | DisabledFilterConfig;
