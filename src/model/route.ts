import type { FilterOverrides } from './filter-config.js';
import type { HeaderMatcher, PathMatcher, QueryParameterMatcher } from './matcher.js';
import type { FractionalPercent } from './percent.js';
import type { RetryPolicy } from './retry.js';

/** Envoy RouteConfiguration. */
export interface RouteConfiguration {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHost[];
}

/** Envoy VirtualHost. */
export interface VirtualHost {
  readonly name: string;
  /** Exact, `*suffix`, `prefix*` or `*`; lower case. */
  readonly domains: readonly string[];
  /** First match wins. */
  readonly routes: readonly Route[];
  readonly retryPolicy: RetryPolicy | undefined;
  readonly filterOverrides: FilterOverrides;
  /** Sends `x-envoy-attempt-count` upstream. */
  readonly includeRequestAttemptCount: boolean;
}

/** Envoy Route. */
export interface Route {
  /** May be empty. */
  readonly name: string;
  readonly match: RouteMatch;
  readonly action: RouteAction | DirectResponseAction | NonForwardingAction;
  readonly filterOverrides: FilterOverrides;
}

/** Envoy RouteMatch: all of it must hold. */
export interface RouteMatch {
  readonly path: PathMatcher;
  readonly headers: readonly HeaderMatcher[];
  readonly queryParameters: readonly QueryParameterMatcher[];
  readonly runtimeFraction: FractionalPercent | undefined;
  /** Matches gRPC requests only. */
  readonly grpcOnly: boolean;
}

/** Forwards to a cluster. */
export interface RouteAction {
  readonly kind: 'forward';
  readonly cluster: ClusterSpecifier;
  /** Covers all attempts; 0 = none. Envoy's default is 15 s, Istio's compiled default is 0. */
  readonly timeoutMs: number;
  readonly retryPolicy: RetryPolicy | undefined;
  /** `max_stream_duration`: gRPC clients read their timeout from it (gRFC A31). Undefined = not set. */
  readonly maxStreamDurationMs: number | undefined;
  readonly priority: RoutePriority;
}

export type RoutePriority = 'default' | 'high';

export type ClusterSpecifier =
  | { readonly kind: 'cluster'; readonly name: string }
  | {
      readonly kind: 'weighted';
      readonly clusters: readonly WeightedCluster[];
      readonly totalWeight: number;
    };

/** Envoy WeightedCluster.ClusterWeight. */
export interface WeightedCluster {
  readonly name: string;
  readonly weight: number;
  readonly filterOverrides: FilterOverrides;
}

/** Answers here. */
export interface DirectResponseAction {
  readonly kind: 'direct-response';
  readonly status: number;
  readonly body: string;
}

/** For inbound routes: the request goes to the application (Envoy `non_forwarding_action`). */
export interface NonForwardingAction {
  readonly kind: 'non-forwarding';
}
