import type { HeaderMatcher, QueryParameterMatcher } from './matcher.js';

/** Envoy MetadataKey: a namespace and the keys that lead down from it. */
export interface MetadataPath {
  readonly namespace: string;
  readonly keys: readonly string[];
}

/** Envoy RateLimit: makes one descriptor of a request, by which it is counted. */
export interface RateLimit {
  /** Filters read the limits of their own stage only; 0 to 10. Default 0. */
  readonly stage: number;
  /** Envoy's name of a runtime switch; empty = none. The local rate limit filter passes over limits that have one. */
  readonly disableKey: string;
  /** Each adds an entry; when one has nothing to add, there is no descriptor. */
  readonly actions: readonly RateLimitAction[];
  /** Where dynamic metadata has a limit (`requests_per_unit`, `unit`) that replaces the service's; undefined = nowhere. */
  readonly limit: MetadataPath | undefined;
  /** Undefined counts 1. */
  readonly hits: RateLimitHits | undefined;
  /** Counted when the exchange is over instead of before it; then it never refuses anything. Default false. */
  readonly onStreamDone: boolean;
  /** Whether callers hear about their limit in `x-ratelimit-*`; undefined leaves it to the filter. */
  readonly rateLimitHeaders: boolean | undefined;
}

/** How many hits a descriptor counts for. */
export interface RateLimitHits {
  /** A number up to 1,000,000,000, or a format of one command that gives one. */
  readonly count: number | string;
  /** Whether they are given back. */
  readonly isRefund: boolean;
}

/** What adds an entry to a descriptor. */
export type RateLimitAction =
  | { readonly kind: 'source-cluster' }
  | { readonly kind: 'destination-cluster' }
  | { readonly kind: 'remote-address' }
  | {
      readonly kind: 'masked-remote-address';
      /** Default 32. */
      readonly v4PrefixLength: number;
      /** Default 128. */
      readonly v6PrefixLength: number;
    }
  | {
      readonly kind: 'request-header' | 'query-parameter';
      /** Of the header (lower case) or the parameter. */
      readonly name: string;
      readonly key: string;
      /** Leaves out the entry, not the whole descriptor, when there is none. */
      readonly skipIfAbsent: boolean;
    }
  | ({
      readonly kind: 'generic-key';
      /** Default `generic_key`. */
      readonly key: string;
    } & RateLimitValue)
  | ({
      readonly kind: 'header-value-match';
      /** Default `header_match`. */
      readonly key: string;
      /** Whether the matchers must hold, or must not. Default true. */
      readonly expectMatch: boolean;
      readonly headers: readonly HeaderMatcher[];
    } & RateLimitValue)
  | ({
      readonly kind: 'query-parameter-value-match';
      /** Default `query_match`. */
      readonly key: string;
      readonly expectMatch: boolean;
      readonly queryParameters: readonly QueryParameterMatcher[];
    } & RateLimitValue)
  | {
      readonly kind: 'metadata';
      readonly key: string;
      readonly source: 'dynamic' | 'route';
      readonly path: MetadataPath;
      /** Stands in for a value that is missing; empty = none. */
      readonly defaultValue: string;
      readonly skipIfAbsent: boolean;
    }
  | {
      /** A matching input as a descriptor extension; all lines of a header, or the first value of a parameter. */
      readonly kind: 'header-input' | 'query-parameter-input';
      readonly key: string;
      readonly name: string;
    };

/** A value that is written as it stands. */
export interface RateLimitValue {
  readonly value: string;
  /** Envoy: stands in for a value that is a format and gives nothing; without formats it is not read. */
  readonly defaultValue: string;
}

/** How the limits of a virtual host go with those of its route. */
export type VirtualHostRateLimits = 'override' | 'include' | 'ignore';
