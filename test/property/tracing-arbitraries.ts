import fc from 'fast-check';
import type { FractionalPercent } from '../../src/model/percent.js';
import type {
  CustomTag,
  HttpTracing,
  RequestIdRules,
  RouteDecorator,
  RouteTracing,
  SpanExporter,
  TagSource,
  TracingProvider,
} from '../../src/model/tracing.js';
import { grpcService } from './filter-arbitraries.js';

/** How requests are traced, as the codec can carry it. */

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const text = () => fc.constantFrom('a', 'B-c', 'ü', 'constructor');

const fraction = (denominator: 100 | 10_000): fc.Arbitrary<FractionalPercent> =>
  fc.record({ numerator: fc.nat({ max: denominator }), denominator: fc.constant(denominator) });

const tagSource = (): fc.Arbitrary<TagSource> =>
  fc.oneof(
    fc.record({ kind: fc.constant('literal' as const), value: text() }),
    fc.record({ kind: fc.constant('environment' as const), name: text(), defaultValue: fc.string() }),
    fc.record({
      kind: fc.constant('header' as const),
      name: fc.constantFrom('x-a', ':path'),
      defaultValue: fc.string(),
    }),
    fc.record({ kind: fc.constant('format' as const), format: fc.constantFrom('%PROTOCOL%', 'x', '100%%') }),
    fc.record({
      kind: fc.constant('metadata' as const),
      of: fc.constantFrom('request', 'route', 'cluster', 'host'),
      path: fc.record({ namespace: text(), keys: fc.array(text(), { minLength: 1, maxLength: 3 }) }),
      defaultValue: fc.string(),
    }),
  );

const customTags = (): fc.Arbitrary<CustomTag[]> =>
  fc.array(fc.record({ tag: text(), source: tagSource() }), { maxLength: 3 });

/** Names are left out where there are none. */
const names = () =>
  fc.record(
    { operation: fc.constant('%REQ(:path)%'), upstreamOperation: fc.constantFrom('try', '%PROTOCOL%') },
    { requiredKeys: [] },
  );

const httpExporter = (): fc.Arbitrary<Extract<SpanExporter, { kind: 'http' }>> =>
  fc.record({
    kind: fc.constant('http' as const),
    uri: fc.record({
      uri: fc.constantFrom('http://otel/v1/traces', 'otel/v1/traces'),
      cluster: text(),
      timeoutMs: fc.nat({ max: 60_000 }),
    }),
    headers: fc.array(
      fc.record({
        name: fc.constantFrom('x-a', 'authorization'),
        value: fc.constantFrom('', 'secret'),
        action: fc.constant('overwrite-if-exists-or-add' as const),
        keepEmpty: fc.boolean(),
      }),
      { maxLength: 2 },
    ),
  });

const provider = (): fc.Arbitrary<TracingProvider> =>
  fc.oneof(
    fc.record({
      kind: fc.constant('opentelemetry' as const),
      exporter: fc.oneof(
        fc.constant(undefined),
        fc.record({ kind: fc.constant('grpc' as const), service: grpcService() }),
        httpExporter(),
      ),
      serviceName: fc.constantFrom('', 'reviews.default'),
      resourceDetectors: fc.subarray<'environment' | 'dynatrace'>(['environment', 'dynatrace']),
    }),
    fc.record({
      kind: fc.constant('zipkin' as const),
      exporter: httpExporter(),
      has128BitIds: fc.boolean(),
      sharesSpans: fc.boolean(),
      withW3c: fc.boolean(),
    }),
  );

export const httpTracing = (): fc.Arbitrary<HttpTracing | undefined> =>
  maybe(
    fc
      .record({
        sampling: fc.record({
          client: fraction(100),
          random: fraction(10_000),
          overall: fraction(10_000),
        }),
        maxPathTagLength: fc.constantFrom(0, 64, 256),
        customTags: customTags(),
        spawnUpstreamSpan: fc.boolean(),
        noContextPropagation: fc.boolean(),
        provider: maybe(provider()),
        names: names(),
      })
      .map(({ names: own, ...rest }) => ({ ...rest, ...own })),
  );

export const routeTracing = (): fc.Arbitrary<RouteTracing | undefined> =>
  maybe(
    fc
      .record({
        sampling: fc.record({ client: fraction(100), random: fraction(10_000), overall: fraction(10_000) }),
        customTags: customTags(),
        names: names(),
      })
      .map(({ names: own, ...rest }) => ({ ...rest, ...own })),
  );

export const routeDecorator = (): fc.Arbitrary<RouteDecorator | undefined> =>
  maybe(fc.record({ operation: text(), propagate: fc.boolean() }));

export const requestIdRules = (): fc.Arbitrary<RequestIdRules | undefined> =>
  maybe(fc.record({ packsTraceReason: fc.boolean(), decidesTracing: fc.boolean() }));
