import type { StringMatcher } from './matcher.js';
import type { FractionalPercent } from './percent.js';

/** Envoy `envoy.filters.http.cors`: it does nothing but what the policies of routes say. */
export interface CorsConfig {
  readonly kind: 'cors';
}

/** Envoy CorsPolicy. What a route's policy leaves out comes from its virtual host's. */
export interface CorsPolicyConfig {
  readonly kind: 'cors-policy';
  readonly allowOrigins: readonly StringMatcher[];
  /** Empty = not said; the same for the other texts. */
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean | undefined;
  /** Undefined = always. */
  readonly enabled: FractionalPercent | undefined;
  /** Only counted, not enforced, while not enabled. Undefined = never. */
  readonly shadow: FractionalPercent | undefined;
  readonly allowPrivateNetworkAccess: boolean | undefined;
  /** Whether a preflight from another origin goes on to the upstream. Default true. */
  readonly forwardNotMatchingPreflights: boolean | undefined;
}
