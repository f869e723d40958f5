import type { BodyFilterConfig } from './body-filters.js';
import type { CorsConfig, CorsPolicyConfig } from './cors.js';
import type { CustomFilterConfig } from './custom-filter.js';
import type { ForwardProxyConfig, ForwardProxyRouteConfig } from './dns-cache.js';
import type { ExtAuthzConfig, ExtAuthzRouteConfig } from './ext-authz.js';
import type { FaultRuntimeKeys } from './fault-runtime.js';
import type { FilterDiscovery, MissingConfig } from './filter-discovery.js';
import type { GlobalRateLimitConfig, GlobalRateLimitRouteConfig } from './global-rate-limit.js';
import type { HeaderMutationConfig, HeaderMutationRouteConfig } from './header-mutation.js';
import type { JwtAuthnConfig, JwtAuthnRouteConfig } from './jwt-authn.js';
import type { LocalFilterConfig } from './local-filters.js';
import type { HeaderMatcher } from './matcher.js';
import type { OnDemandConfig, OnDemandRouteConfig } from './on-demand.js';
import type { AdaptiveConcurrencyConfig, AdmissionControlConfig } from './overload.js';
import type { FractionalPercent } from './percent.js';
import type { StatefulSessionConfig, StatefulSessionRouteConfig } from './stateful-session.js';

/** Envoy HTTPFault. */
export interface FaultConfig {
  readonly kind: 'fault';
  /** Without a time the request says how long, in `x-envoy-fault-delay-request` (ms). */
  readonly delay:
    | { readonly fixedMs: number | undefined; readonly percentage: FractionalPercent }
    | undefined;
  readonly abort:
    | {
        readonly status:
          | { readonly kind: 'http'; readonly code: number }
          | { readonly kind: 'grpc'; readonly code: number }
          /** The request says it, in `x-envoy-fault-abort-request` or `x-envoy-fault-abort-grpc-request`. */
          | { readonly kind: 'header' };
        readonly percentage: FractionalPercent;
      }
    | undefined;
  /** How fast the response may be; undefined = as it comes. Default undefined. */
  readonly responseRate?:
    | {
        /** KiB a second; undefined = the request says it, in `x-envoy-fault-throughput-response`. */
        readonly limitKbps: number | undefined;
        readonly percentage: FractionalPercent;
      }
    | undefined;
  /** Applies only to callers with one of these in `x-envoy-downstream-service-node`; default any. */
  readonly downstreamNodes?: readonly string[] | undefined;
  /** Applies only when the route's cluster has this name; empty = any. */
  readonly upstreamCluster: string;
  readonly headers: readonly HeaderMatcher[];
  /** Exchanges that may have a fault at once; undefined = no limit. */
  readonly maxActiveFaults: number | undefined;
  /** Runtime keys in place of Envoy's own names for them. Undefined = none. */
  readonly runtimeKeys?: Partial<FaultRuntimeKeys> | undefined;
}

/** Envoy Router: the terminal filter. */
export interface RouterConfig {
  readonly kind: 'router';
  /** The router writes no `x-envoy-*` headers of its own. Default false. */
  readonly suppressEnvoyHeaders?: boolean | undefined;
  /** An `x-envoy-expected-rq-timeout-ms` of the caller is its timeout. Default false. */
  readonly respectExpectedTimeout?: boolean | undefined;
  /** A request whose header of such a name can't be read is refused. Default none. */
  readonly strictCheckHeaders?: readonly StrictHeader[] | undefined;
}

/** Headers that the router can be strict about. */
export const STRICT_HEADERS = [
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-max-retries',
  'x-envoy-retry-grpc-on',
  'x-envoy-retry-on',
] as const;

export type StrictHeader = (typeof STRICT_HEADERS)[number];

/** Configuration of one HTTP filter. A new filter adds its type to this union. */
export type FilterConfig =
  | LocalFilterConfig
  | MissingConfig
  | CustomFilterConfig
  | BodyFilterConfig
  | FaultConfig
  | AdaptiveConcurrencyConfig
  | AdmissionControlConfig
  | HeaderMutationConfig
  | HeaderMutationRouteConfig
  | CorsConfig
  | CorsPolicyConfig
  | ForwardProxyConfig
  | ForwardProxyRouteConfig
  | GlobalRateLimitConfig
  | GlobalRateLimitRouteConfig
  | JwtAuthnConfig
  | ExtAuthzConfig
  | ExtAuthzRouteConfig
  | JwtAuthnRouteConfig
  | StatefulSessionConfig
  | StatefulSessionRouteConfig
  | OnDemandConfig
  | OnDemandRouteConfig
  | RouterConfig;

/** One entry of the HTTP connection manager's `http_filters`. */
export interface HttpFilter {
  /** Instance name; per-route configuration refers to it. */
  readonly name: string;
  readonly config: FilterConfig;
  /** Undefined = what stands here is what counts; else it is the default (ECDS). */
  readonly discovery?: FilterDiscovery | undefined;
  /** Left out but where a route has configuration of its own for it. Default false. */
  readonly disabled?: boolean | undefined;
}

/** Per-route, per-virtual-host or per-cluster configuration, by filter instance name. */
export type FilterOverrides = ReadonlyMap<string, FilterConfig>;

export const NO_OVERRIDES: FilterOverrides = new Map();
