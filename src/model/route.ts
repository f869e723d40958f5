import type { FilterOverrides } from './filter-config.js';
import type { HashPolicy } from './hash-policy.js';
import type { HeaderRules } from './header-mutation.js';
import type { MatchTree } from './match-tree.js';
import type { HeaderMatcher } from './matcher.js';
import type { Metadata, MetadataStruct } from './metadata.js';
import type { MirrorPolicy } from './mirror.js';
import type { RateLimit } from './rate-limit.js';
import type { InternalRedirectPolicy, RedirectAction } from './redirect.js';
import type { HedgePolicy, RetryPolicy } from './retry.js';
import type { HostRewrite, PathRewrite } from './rewrite.js';
import type { RouteMatch } from './route-match.js';
import type { RouteDecorator, RouteTracing } from './tracing.js';
import type { UpgradeRule } from './upgrade.js';

/** Envoy RouteConfiguration. */
export interface RouteConfiguration {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHost[];
  /** Further virtual hosts come by VHDS, under names that begin with the table's. Default false. */
  readonly virtualHostDiscovery?: true | undefined;
  /** Undefined = none. */
  readonly headers?: HeaderRules | undefined;
  /** Default false: a table's header wins over a virtual host's, that one over a route's. */
  readonly mostSpecificHeaderMutationsWins?: boolean | undefined;
  /** Headers that only internal requests may carry (Envoy `internal_only_headers`); lower case. */
  readonly internalOnlyHeaders?: readonly string[] | undefined;
  /** The request header (lower case) that names the virtual host; undefined = the authority does. */
  readonly virtualHostHeader?: string | undefined;
  /** A port in that name does not count. Default false. */
  readonly ignorePortInHost?: boolean | undefined;
  /** From each segment of a path, what follows a `;` does not count in matching. Default false. */
  readonly ignorePathParameters?: boolean | undefined;
  /** For virtual hosts, routes and weighted clusters that have none of their own. */
  readonly filterOverrides?: FilterOverrides | undefined;
  /** For virtual hosts and routes that have none of their own. */
  readonly mirrors?: readonly MirrorPolicy[] | undefined;
}

/** Envoy VirtualHost. */
export interface VirtualHost {
  readonly name: string;
  /** Exact, `*suffix`, `prefix*` or `*`; lower case. */
  readonly domains: readonly string[];
  /** First match wins. */
  readonly routes: readonly Route[];
  /** Leads to lists of routes, of which the first match wins; then there are no `routes`. See `routesOf`. */
  readonly matcher?: MatchTree<readonly Route[]> | undefined;
  /** What rate limit filters count requests by. Undefined = none. */
  readonly rateLimits?: readonly RateLimit[] | undefined;
  readonly retryPolicy: RetryPolicy | undefined;
  readonly filterOverrides: FilterOverrides;
  /** Sends `x-envoy-attempt-count` upstream. */
  readonly includeRequestAttemptCount: boolean;
  /** Sends `x-envoy-attempt-count` back to the caller. Default false. */
  readonly includeAttemptCountInResponse?: boolean | undefined;
  /** Undefined = none. */
  readonly headers?: HeaderRules | undefined;
  /** For routes that have none of their own. */
  readonly mirrors?: readonly MirrorPolicy[] | undefined;
  /** Plaintext requests are redirected to https: all, or all but internal ones. Default none. */
  readonly requireTls?: 'all' | 'external-only' | undefined;
  /** Group requests for logs: the first whose headers match. */
  readonly virtualClusters?: readonly VirtualCluster[] | undefined;
  /** For routes that have none of their own. */
  readonly hedge?: HedgePolicy | undefined;
  /** Sends `x-envoy-is-timeout-retry` with retries. Default false. */
  readonly includeIsTimeoutRetry?: boolean | undefined;
  /** Bytes of a request that are kept for another try. Undefined: the connection's limit. */
  readonly bufferLimitBytes?: number | undefined;
}

/** Envoy VirtualCluster. */
export interface VirtualCluster {
  readonly name: string;
  /** All must hold. */
  readonly headers: readonly HeaderMatcher[];
}

/** Envoy Route. */
export interface Route {
  /** May be empty. */
  readonly name: string;
  /** For filters and logs. Undefined = none. */
  readonly metadata?: Metadata | undefined;
  readonly match: RouteMatch;
  readonly action: RouteAction | RedirectAction | DirectResponseAction | NonForwardingAction;
  readonly filterOverrides: FilterOverrides;
  /** Undefined = none. */
  readonly headers?: HeaderRules | undefined;
  /** What Envoy calls the route in its statistics; members tell routes apart by their names. Undefined = it has none. */
  readonly statPrefix?: string | undefined;
  /** Bytes of a request that are kept for another try; goes before the virtual host's. */
  readonly bufferLimitBytes?: number | undefined;
  /** Goes before the listener's, where that has any. */
  readonly tracing?: RouteTracing | undefined;
  /** How spans are named, where the listener has any. */
  readonly decorator?: RouteDecorator | undefined;
}

/** Forwards to a cluster. */
export interface RouteAction {
  readonly kind: 'forward';
  readonly cluster: ClusterSpecifier;
  /** Status when the cluster is not there. Default 503. */
  readonly clusterNotFoundStatus?: 404 | 500 | undefined;
  /** What rate limit filters count requests by. Undefined = none. */
  readonly rateLimits?: readonly RateLimit[] | undefined;
  /** Adds those of the virtual host, whatever the filter says. Default false. */
  readonly includeVirtualHostRateLimits?: boolean | undefined;
  /** Covers all attempts; 0 = none. Envoy's default is 15 s, Istio's compiled default is 0. */
  readonly timeoutMs: number;
  /** The timeout is Envoy's default, nobody asked for it: calls of gRPC clients have none then (gRFC A31). Default false. */
  readonly timeoutIsDefault?: true | undefined;
  readonly retryPolicy: RetryPolicy | undefined;
  /**
   * `max_stream_duration`: covers the whole exchange from its start; gRPC clients read their timeout from it (gRFC A31).
   * Undefined = not set, 0 = none. When it is set `timeoutMs` is out of force (Envoy).
   */
  readonly maxStreamDurationMs: number | undefined;
  /** The rest of `max_stream_duration`: how a caller's `grpc-timeout` counts. Takes `timeoutMs` out of force, too. */
  readonly grpcTimeoutHeader?: GrpcTimeoutHeader | undefined;
  /** Deprecated `max_grpc_timeout`: gRPC callers' own timeout counts, up to this; 0 = without limit. */
  readonly maxGrpcTimeoutMs?: number | undefined;
  /** Deprecated `grpc_timeout_offset`: what `maxGrpcTimeoutMs` subtracts from the caller's timeout. */
  readonly grpcTimeoutOffsetMs?: number | undefined;
  /** Longest pause of the exchange; goes before the connection manager's. 0 = none. */
  readonly idleTimeoutMs?: number | undefined;
  /** Several attempts at once; goes before the virtual host's. */
  readonly hedge?: HedgePolicy | undefined;
  readonly priority: RoutePriority;
  /** Undefined keeps the path. */
  readonly pathRewrite?: PathRewrite | undefined;
  /** Undefined keeps the host. */
  readonly hostRewrite?: HostRewrite | undefined;
  /** Appends the old host to `x-forwarded-host` when it is rewritten. */
  readonly appendForwardedHost?: boolean | undefined;
  readonly mirrors?: readonly MirrorPolicy[] | undefined;
  /** Undefined passes redirects on. */
  readonly internalRedirect?: InternalRedirectPolicy | undefined;
  /** Protocols that requests may switch to; goes before what the listener says. Undefined = nothing is said here. */
  readonly upgrades?: readonly UpgradeRule[] | undefined;
  /** What requests are placed by where the load balancer hashes; undefined = nothing. */
  readonly hashPolicies?: readonly HashPolicy[] | undefined;
  /** What hosts must have in their `envoy.lb` metadata where the load balancer has subsets. */
  readonly metadataMatch?: MetadataStruct | undefined;
}

/** The part of Envoy `max_stream_duration` that concerns `grpc-timeout`. */
export interface GrpcTimeoutHeader {
  /** The caller's timeout counts, up to this; 0 = without limit. Undefined: it does not count. */
  readonly maxMs: number | undefined;
  /** Subtracted from the caller's timeout. Undefined: nothing. */
  readonly offsetMs: number | undefined;
}

export type RoutePriority = 'default' | 'high';

export type ClusterSpecifier =
  | { readonly kind: 'cluster'; readonly name: string }
  | {
      readonly kind: 'weighted';
      readonly clusters: readonly WeightedCluster[];
      readonly totalWeight: number;
      /** What is chosen by; undefined = the exchange's random value. */
      readonly choice?: WeightedChoice | undefined;
    }
  /** The first value of a request header (lower case) is the name. */
  | { readonly kind: 'header'; readonly name: string };

/** Where it gives no number, the exchange's random value counts. */
export type WeightedChoice =
  /** The number in a request header (lower case), where it has one value. */
  | { readonly kind: 'header'; readonly name: string }
  /** The hash that the route's hash policies make. */
  | { readonly kind: 'hash' };

/** Envoy WeightedCluster.ClusterWeight. */
export interface WeightedCluster {
  /** Empty when a header names the cluster. */
  readonly name: string;
  /** The request header (lower case) whose first value is the name. */
  readonly clusterHeader?: string | undefined;
  readonly weight: number;
  readonly filterOverrides: FilterOverrides;
  /** Undefined = none. */
  readonly headers?: HeaderRules | undefined;
  /** Goes before the route's host rewrite. */
  readonly hostRewrite?: string | undefined;
  /** Added to the route's, and before it where both have a key. */
  readonly metadataMatch?: MetadataStruct | undefined;
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
