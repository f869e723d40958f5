import * as fc from 'fast-check';
import type { HeaderMatcher, QueryParameterMatcher } from '../../src/model/matcher.js';
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
