import * as fc from 'fast-check';
import type {
  EndpointHealthCheck,
  HealthCheck,
  HttpHealthChecker,
  TcpHealthChecker,
} from '../../src/model/health-check.js';
import type { StringMatcher } from '../../src/model/matcher.js';
import { headerMutations } from './route-effects-arbitraries.js';

/** Health checks, as the codec can carry them. */

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const word = (): fc.Arbitrary<string> => fc.stringMatching(/^[a-z0-9.-]{0,12}$/);
const ms = (min = 1): fc.Arbitrary<number> => fc.integer({ min, max: 100_000 });
const hex = (): fc.Arbitrary<string> => fc.stringMatching(/^(?:[0-9a-f]{2}){1,5}$/);
const ranges = (minLength: number): fc.Arbitrary<HttpHealthChecker['expectedStatuses']> =>
  fc.array(
    fc
      .tuple(fc.integer({ min: 100, max: 599 }), fc.integer({ min: 1, max: 500 }))
      .map(([start, size]) => ({ start, end: Math.min(600, start + size) })),
    { minLength, maxLength: 3 },
  );

const httpChecker = (matcher: fc.Arbitrary<StringMatcher>): fc.Arbitrary<HttpHealthChecker> =>
  fc
    .record({
      kind: fc.constant('http' as const),
      host: word(),
      path: word().map((text) => `/${text}`),
      method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH'),
      send: maybe(hex()),
      receive: fc.array(hex(), { maxLength: 3 }),
      responseBufferBytes: fc.constantFrom(0, 1024, 2048),
      headers: headerMutations(),
      expectedStatuses: ranges(1),
      retriableStatuses: ranges(0),
      serviceName: maybe(matcher),
      http2: fc.constantFrom(true, undefined),
    })
    .map((checker) => ({
      ...checker,
      send: ['POST', 'PUT', 'PATCH', 'OPTIONS'].includes(checker.method) ? checker.send : undefined,
    }));

const tcpChecker = (): fc.Arbitrary<TcpHealthChecker> =>
  fc.record({
    kind: fc.constant('tcp' as const),
    send: maybe(hex()),
    receive: fc.array(hex(), { maxLength: 3 }),
  });

/** HealthCheck. Checks by gRPC need a cluster that speaks HTTP/2. */
export const healthCheck = (matcher: fc.Arbitrary<StringMatcher>): fc.Arbitrary<HealthCheck> =>
  fc.record({
    timeoutMs: ms(),
    intervalMs: ms(),
    initialJitterMs: ms(0),
    intervalJitterMs: ms(0),
    intervalJitterPercent: fc.nat(200),
    unhealthyThreshold: fc.nat(10),
    healthyThreshold: fc.nat(10),
    noTrafficIntervalMs: ms(),
    noTrafficHealthyIntervalMs: ms(),
    unhealthyIntervalMs: ms(),
    unhealthyEdgeIntervalMs: ms(),
    healthyEdgeIntervalMs: ms(),
    reuseConnection: fc.boolean(),
    alwaysLogFailures: fc.boolean(),
    alwaysLogSuccess: fc.boolean(),
    alpn: fc.array(fc.constantFrom('http/1.1', 'istio', 'x'), { maxLength: 2 }),
    transportSocketMatch: maybe(
      fc.dictionary(fc.constantFrom('tlsMode', 'a'), word(), { noNullPrototype: true }),
    ),
    checker: fc.oneof(httpChecker(matcher), tcpChecker()),
  });

/** HealthCheckConfig of an endpoint. */
export const endpointHealthCheck = (): fc.Arbitrary<EndpointHealthCheck> =>
  fc.record({
    port: fc.nat(65_535),
    address: maybe(fc.record({ address: fc.ipV4(), port: fc.nat(65_535) })),
    hostname: word(),
    isDisabled: fc.boolean(),
  });
