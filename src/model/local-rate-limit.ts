import type { HeaderAddition } from './header-mutation.js';
import type { FractionalPercent } from './percent.js';
import type { RateLimit, VirtualHostRateLimits } from './rate-limit.js';

/** Envoy TokenBucket. */
export interface TokenBucketConfig {
  /** 0 lets nothing through. */
  readonly maxTokens: number;
  /** Default 1. */
  readonly tokensPerFill: number;
  /** Time for `tokensPerFill`; they come one by one. At least 50 ms, unless `maxTokens` is 0. */
  readonly fillIntervalMs: number;
}

/** The bucket of the requests with one descriptor. */
export interface LocalRateLimitDescriptor {
  /** An empty value stands for any, and each has a bucket of its own. */
  readonly entries: readonly { readonly key: string; readonly value: string }[];
  readonly bucket: TokenBucketConfig;
  /** Counts what it would refuse, and lets it through. */
  readonly shadow: boolean;
}

/** Envoy LocalRateLimit: token buckets of this process. */
export interface LocalRateLimitConfig {
  readonly kind: 'local-rate-limit';
  readonly statPrefix: string;
  /** At least 400. Default 429. */
  readonly status: number;
  /** For all requests. Undefined: nothing but descriptors limits. */
  readonly bucket: TokenBucketConfig | undefined;
  /** Share of the requests that are counted; undefined = none. */
  readonly enabled: FractionalPercent | undefined;
  /** Share of the counted requests over the limit that are refused; undefined = none. */
  readonly enforced: FractionalPercent | undefined;
  /** For requests over the limit that go on all the same. */
  readonly requestHeadersWhenNotEnforced: readonly HeaderAddition[];
  /** For the answers to refused requests. */
  readonly responseHeaders: readonly HeaderAddition[];
  readonly descriptors: readonly LocalRateLimitDescriptor[];
  /** Buckets that each descriptor with an empty value keeps; the one used longest ago goes. Default 20. */
  readonly maxDynamicDescriptors: number;
  /** Which rate limits of routes make descriptors; 0 to 10. */
  readonly stage: number;
  /** The limits that make descriptors instead of those of routes; undefined = those of routes. */
  readonly rateLimits: readonly RateLimit[] | undefined;
  readonly virtualHostRateLimits: VirtualHostRateLimits;
  /** Each connection of a caller has buckets of its own. */
  readonly perConnection: boolean;
  /** The buckets are shared: each member of the cluster that this process belongs to gives out its part. Default false. */
  readonly localClusterShare?: true | undefined;
  /** Sends `x-ratelimit-limit`, `-remaining` and `-reset`. */
  readonly rateLimitHeaders: boolean;
  /** The bucket for all requests counts those that matched a descriptor, too. Default true. */
  readonly alwaysConsumeDefault: boolean;
  /** gRPC callers hear RESOURCE_EXHAUSTED instead of UNAVAILABLE. */
  readonly resourceExhausted: boolean;
}
