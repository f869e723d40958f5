import * as fc from 'fast-check';
import type {
  DnsCacheConfig,
  ForwardProxyConfig,
  ForwardProxyRouteConfig,
} from '../../src/model/dns-cache.js';
import type { GlobalRateLimitConfig, GlobalRateLimitRouteConfig } from '../../src/model/global-rate-limit.js';
import type { GrpcService } from '../../src/model/grpc-service.js';
import type { HeaderAddition } from '../../src/model/header-mutation.js';
import type { LocalRateLimitConfig, TokenBucketConfig } from '../../src/model/local-rate-limit.js';
import type { HeaderMatcher, QueryParameterMatcher } from '../../src/model/matcher.js';
import type { FractionalPercent } from '../../src/model/percent.js';
import type { MetadataPath, RateLimit, RateLimitAction } from '../../src/model/rate-limit.js';

/** Model values of HTTP filters that the codec can carry. */

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const text = (): fc.Arbitrary<string> => fc.string({ unit: 'grapheme', maxLength: 12 });
const someText = (): fc.Arbitrary<string> => fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });

const metadataPath = (): fc.Arbitrary<MetadataPath> =>
  fc.record({ namespace: someText(), keys: fc.array(someText(), { minLength: 1, maxLength: 3 }) });

const rateLimitAction = (
  headers: fc.Arbitrary<HeaderMatcher>,
  parameters: fc.Arbitrary<QueryParameterMatcher>,
): fc.Arbitrary<RateLimitAction> =>
  fc.oneof(
    fc.record({ kind: fc.constantFrom('source-cluster', 'destination-cluster', 'remote-address') }),
    fc.record({
      kind: fc.constant('masked-remote-address' as const),
      v4PrefixLength: fc.integer({ min: 0, max: 32 }),
      v6PrefixLength: fc.integer({ min: 0, max: 128 }),
    }),
    fc.record({
      kind: fc.constant('request-header' as const),
      name: fc.constantFrom('x-user', ':path', 'constructor'),
      key: someText(),
      skipIfAbsent: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('query-parameter' as const),
      name: someText(),
      key: someText(),
      skipIfAbsent: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('generic-key' as const),
      key: someText(),
      value: someText(),
      defaultValue: text(),
    }),
    fc.record({
      kind: fc.constant('header-value-match' as const),
      key: someText(),
      value: someText(),
      defaultValue: text(),
      expectMatch: fc.boolean(),
      headers: fc.array(headers, { minLength: 1, maxLength: 2 }),
    }),
    fc.record({
      kind: fc.constant('query-parameter-value-match' as const),
      key: someText(),
      value: someText(),
      defaultValue: text(),
      expectMatch: fc.boolean(),
      queryParameters: fc.array(parameters, { minLength: 1, maxLength: 2 }),
    }),
    fc.record({
      kind: fc.constant('metadata' as const),
      key: someText(),
      source: fc.constantFrom('dynamic', 'route'),
      path: metadataPath(),
      defaultValue: text(),
      skipIfAbsent: fc.boolean(),
    }),
    fc.record({
      kind: fc.constantFrom('header-input', 'query-parameter-input'),
      key: someText(),
      name: fc.constantFrom('x-user', 'constructor'),
    }),
  );

/** RateLimit. */
export const rateLimit = (
  headers: fc.Arbitrary<HeaderMatcher>,
  parameters: fc.Arbitrary<QueryParameterMatcher>,
): fc.Arbitrary<RateLimit> =>
  fc.record({
    stage: fc.integer({ min: 0, max: 10 }),
    disableKey: text(),
    actions: fc.array(rateLimitAction(headers, parameters), { minLength: 1, maxLength: 3 }),
    limit: maybe(metadataPath()),
    hits: maybe(
      fc.record({
        count: fc.oneof(fc.integer({ min: 0, max: 1_000_000_000 }), fc.constant('%BYTES_RECEIVED%')),
        isRefund: fc.boolean(),
      }),
    ),
    onStreamDone: fc.boolean(),
    rateLimitHeaders: maybe(fc.boolean()),
  });

/** Few rate limits, for tables that hold much else; their own property has all of them. */
export const someRateLimits = (): fc.Arbitrary<readonly RateLimit[] | undefined> =>
  fc.constantFrom(undefined, [
    {
      stage: 0,
      disableKey: '',
      actions: [{ kind: 'source-cluster' }],
      limit: undefined,
      hits: undefined,
      onStreamDone: false,
      rateLimitHeaders: undefined,
    },
  ]);

const bucket = (): fc.Arbitrary<TokenBucketConfig> =>
  fc.record({
    maxTokens: fc.nat(1000),
    tokensPerFill: fc.integer({ min: 1, max: 1000 }),
    fillIntervalMs: fc.integer({ min: 50, max: 1_000_000 }),
  });

const addition = (): fc.Arbitrary<HeaderAddition> =>
  fc.record({
    name: fc.constantFrom('x-limited', 'constructor'),
    value: fc.constantFrom('', 'yes', '%REQ(x-user)%'),
    action: fc.constantFrom('append-if-exists-or-add', 'add-if-absent', 'overwrite-if-exists'),
    keepEmpty: fc.boolean(),
  });

const fraction = (): fc.Arbitrary<FractionalPercent> =>
  fc.record({ numerator: fc.nat(1_000_000), denominator: fc.constantFrom(100, 10_000, 1_000_000) });

/** GrpcService. */
export const grpcService = (): fc.Arbitrary<GrpcService> =>
  fc.record({
    cluster: fc.constantFrom('limits', 'outbound|8081||ratelimit'),
    authority: fc.constantFrom('', 'limits.example'),
    timeoutMs: maybe(fc.nat(10_000)),
    initialMetadata: fc.array(
      fc.record({
        name: fc.constantFrom('x-token', 'constructor'),
        value: fc.constantFrom('', '%REQ(x-user)%'),
      }),
      { maxLength: 2 },
    ),
    maxReceiveBytes: maybe(fc.nat(1_000_000)),
  });

/** DnsCacheConfig. */
export const dnsCache = (): fc.Arbitrary<DnsCacheConfig> =>
  fc.record({
    name: someText(),
    lookupFamily: fc.constantFrom('v4-only', 'v6-only', 'v4-preferred', 'all', undefined),
    refreshRateMs: fc.integer({ min: 1, max: 1_000_000 }),
    minRefreshRateMs: fc.integer({ min: 1000, max: 1_000_000 }),
    failureRefresh: maybe(
      fc
        .record({ baseMs: fc.integer({ min: 1, max: 1_000_000 }), moreMs: fc.nat(1_000_000) })
        .map(({ baseMs, moreMs }) => ({ baseMs, maxMs: baseMs + moreMs })),
    ),
    hostTtlMs: fc.integer({ min: 1, max: 1_000_000 }),
    maxHosts: fc.integer({ min: 1, max: 10_000 }),
    maxPendingRequests: fc.nat(10_000),
    preresolve: fc.array(
      fc.record({ address: fc.constantFrom('a.example', '10.0.0.1'), port: fc.nat(65_535) }),
      { maxLength: 2 },
    ),
    queryTimeoutMs: fc.nat(1_000_000),
  });

/** ForwardProxyConfig. */
export const forwardProxyConfig = (): fc.Arbitrary<ForwardProxyConfig> =>
  fc.record({
    kind: fc.constant('forward-proxy' as const),
    cache: dnsCache(),
    saveUpstreamAddress: fc.boolean(),
  });

/** ForwardProxyRouteConfig. */
export const forwardProxyRouteConfig = (): fc.Arbitrary<ForwardProxyRouteConfig> =>
  fc.record({
    kind: fc.constant('forward-proxy-route' as const),
    hostRewrite: fc.constantFrom(
      undefined,
      { kind: 'literal' as const, value: 'a.example:80' },
      { kind: 'literal' as const, value: '' },
      { kind: 'header' as const, value: 'x-to' },
    ),
  });

/** Limits of a filter's own list: neither stage nor disable key. */
const ownLimits = (limits: fc.Arbitrary<RateLimit>): fc.Arbitrary<readonly RateLimit[] | undefined> =>
  maybe(
    fc.array(
      limits.map((limit) => ({ ...limit, stage: 0, disableKey: '' })),
      { minLength: 1, maxLength: 2 },
    ),
  );

/** GlobalRateLimitConfig. */
export const globalRateLimitConfig = (limits: fc.Arbitrary<RateLimit>): fc.Arbitrary<GlobalRateLimitConfig> =>
  fc.record({
    kind: fc.constant('global-rate-limit' as const),
    domain: someText(),
    stage: fc.integer({ min: 0, max: 10 }),
    requests: fc.constantFrom('internal', 'external', 'both'),
    timeoutMs: fc.nat(10_000),
    failureModeDeny: fc.boolean(),
    failureModeDenyPercent: maybe(fraction()),
    resourceExhausted: fc.boolean(),
    service: grpcService(),
    rateLimitHeaders: fc.boolean(),
    rateLimitedHeader: fc.boolean(),
    status: fc.integer({ min: 400, max: 599 }),
    responseHeaders: fc.array(addition(), { maxLength: 2 }),
    statusOnError: fc.integer({ min: 200, max: 599 }),
    statPrefix: text(),
    enabled: maybe(fraction()),
    enforced: maybe(fraction()),
    rateLimits: ownLimits(limits),
  });

/** GlobalRateLimitRouteConfig. */
export const globalRateLimitRouteConfig = (
  limits: fc.Arbitrary<RateLimit>,
): fc.Arbitrary<GlobalRateLimitRouteConfig> =>
  fc.record({
    kind: fc.constant('global-rate-limit-route' as const),
    virtualHostRateLimits: fc.constantFrom('override', 'include', 'ignore'),
    rateLimits: ownLimits(limits),
    domain: text(),
  });

/** LocalRateLimitConfig. */
export const localRateLimitConfig = (limits: fc.Arbitrary<RateLimit>): fc.Arbitrary<LocalRateLimitConfig> =>
  fc.record({
    kind: fc.constant('local-rate-limit' as const),
    statPrefix: someText(),
    status: fc.integer({ min: 400, max: 599 }),
    bucket: maybe(bucket()),
    enabled: maybe(fraction()),
    enforced: maybe(fraction()),
    requestHeadersWhenNotEnforced: fc.array(addition(), { maxLength: 2 }),
    responseHeaders: fc.array(addition(), { maxLength: 2 }),
    descriptors: fc.uniqueArray(
      fc.record({
        entries: fc.array(fc.record({ key: someText(), value: text() }), { minLength: 1, maxLength: 2 }),
        bucket: bucket(),
        shadow: fc.boolean(),
      }),
      { maxLength: 2, selector: ({ entries }) => JSON.stringify(entries) },
    ),
    maxDynamicDescriptors: fc.nat(100),
    stage: fc.integer({ min: 0, max: 10 }),
    rateLimits: maybe(
      limits.map((limit) => [{ ...limit, stage: 0, disableKey: '', limit: undefined }] as const),
    ),
    virtualHostRateLimits: fc.constantFrom('override', 'include', 'ignore'),
    perConnection: fc.boolean(),
    rateLimitHeaders: fc.boolean(),
    alwaysConsumeDefault: fc.boolean(),
    resourceExhausted: fc.boolean(),
  });
