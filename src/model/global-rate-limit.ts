import type { GrpcService } from './grpc-service.js';
import type { HeaderAddition } from './header-mutation.js';
import type { FractionalPercent } from './percent.js';
import type { RateLimit, VirtualHostRateLimits } from './rate-limit.js';

/** Which requests a filter looks at: by `x-envoy-internal`. */
export type RateLimitedRequests = 'internal' | 'external' | 'both';

/** Envoy `envoy.filters.http.ratelimit`: a service that all processes ask counts the requests. */
export interface GlobalRateLimitConfig {
  readonly kind: 'global-rate-limit';
  /** Under which the service looks the limits up. */
  readonly domain: string;
  /** Which rate limits of routes make descriptors; 0 to 10. */
  readonly stage: number;
  readonly requests: RateLimitedRequests;
  /** For the answer of the service; 0 = none. Default 20. */
  readonly timeoutMs: number;
  /** Refuses requests that the service says nothing about. Default false. */
  readonly failureModeDeny: boolean;
  /** Share of those requests that are refused, instead of all or none; undefined = as `failureModeDeny` says. */
  readonly failureModeDenyPercent: FractionalPercent | undefined;
  /** gRPC callers over the limit hear RESOURCE_EXHAUSTED instead of UNAVAILABLE. */
  readonly resourceExhausted: boolean;
  readonly service: GrpcService;
  /** Sends `x-ratelimit-limit`, `-remaining` and `-reset`, unless a limit says otherwise. */
  readonly rateLimitHeaders: boolean;
  /** Answers to requests over the limit carry `x-envoy-ratelimited`, so that they are not retried. Default true. */
  readonly rateLimitedHeader: boolean;
  /** For requests over the limit; at least 400. Default 429. */
  readonly status: number;
  /** For the answers to refused requests. */
  readonly responseHeaders: readonly HeaderAddition[];
  /** For requests that are refused because the service says nothing. Default 500. */
  readonly statusOnError: number;
  /** Goes into the names of the counters; empty = nothing. */
  readonly statPrefix: string;
  /** Share of the requests that the service is asked about; undefined = all. */
  readonly enabled: FractionalPercent | undefined;
  /** Share of the requests over the limit that are refused; undefined = all. */
  readonly enforced: FractionalPercent | undefined;
  /** The limits that make descriptors instead of those of routes; undefined = those of routes. */
  readonly rateLimits: readonly RateLimit[] | undefined;
}

/** What a route, virtual host or weighted cluster has instead (Envoy RateLimitPerRoute). */
export interface GlobalRateLimitRouteConfig {
  readonly kind: 'global-rate-limit-route';
  readonly virtualHostRateLimits: VirtualHostRateLimits;
  /** Instead of those of the filter and of routes; undefined = those. */
  readonly rateLimits: readonly RateLimit[] | undefined;
  /** Empty = that of the filter. */
  readonly domain: string;
}
