import * as fc from 'fast-check';
import type { HttpUri } from '../../src/model/http-uri.js';
import type {
  JwksSource,
  JwtAuthnConfig,
  JwtAuthnRouteConfig,
  JwtProvider,
  JwtRequirement,
} from '../../src/model/jwt-authn.js';
import type { StringMatcher } from '../../src/model/matcher.js';
import type { RouteMatch } from '../../src/model/route-match.js';
import type {
  SessionState,
  StatefulSession,
  StatefulSessionConfig,
  StatefulSessionRouteConfig,
} from '../../src/model/stateful-session.js';

/** Filters that remember hosts or ask a service, as the codec can carry them. */

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const few = <T>(arbitrary: fc.Arbitrary<T>, minLength = 0): fc.Arbitrary<T[]> =>
  fc.array(arbitrary, { minLength, maxLength: 3 });

const sessionState = (): fc.Arbitrary<SessionState> =>
  fc.oneof(
    fc.record({
      kind: fc.constant('cookie' as const),
      name: fc.constantFrom('session', '__Host-id', 'constructor'),
      ttlSeconds: fc.nat(1_000_000),
      path: fc.constantFrom('', '/', '/a/', '/a'),
      attributes: few(
        fc.record({ name: fc.constantFrom('SameSite', 'Secure'), value: fc.constantFrom('', 'Strict') }),
      ),
    }),
    fc.record({ kind: fc.constant('header' as const), name: fc.constantFrom('x-host', 'constructor') }),
  );

const session = (): fc.Arbitrary<StatefulSession> =>
  fc.record({ state: maybe(sessionState()), strict: fc.boolean() });

/** StatefulSession. */
export const statefulSessionConfig = (): fc.Arbitrary<StatefulSessionConfig> =>
  session().map((one) => ({ kind: 'stateful-session', ...one }));

/** StatefulSessionPerRoute. */
export const statefulSessionRouteConfig = (): fc.Arbitrary<StatefulSessionRouteConfig> =>
  fc.record({ kind: fc.constant('stateful-session-route' as const), session: maybe(session()) });

const milliseconds = (min = 0): fc.Arbitrary<number> => fc.integer({ min, max: 10_000_000 });
const text = (): fc.Arbitrary<string> => fc.string({ unit: 'grapheme', maxLength: 8 });
const headerName = (): fc.Arbitrary<string> => fc.constantFrom('x-a', 'x-b', 'authorization', 'constructor');
const clusterName = (): fc.Arbitrary<string> => fc.constantFrom('authz', 'outbound|80||keys', 'constructor');

const httpUri = (): fc.Arbitrary<HttpUri> =>
  fc.record({
    uri: fc.constantFrom('http://keys.example/jwks', 'https://a:1', 'host/path?x'),
    cluster: clusterName(),
    timeoutMs: milliseconds(),
  });

const jwks = (): fc.Arbitrary<JwksSource> =>
  fc.oneof(
    fc.record({ kind: fc.constant('local' as const), text: text() }),
    fc.record({
      kind: fc.constant('remote' as const),
      uri: httpUri(),
      cacheDurationMs: milliseconds(1),
      asyncFetch: maybe(fc.record({ fastListener: fc.boolean(), failedRefetchMs: milliseconds() })),
      retry: maybe(
        fc
          .record({ numRetries: fc.nat(10), baseIntervalMs: milliseconds(1), more: milliseconds() })
          .map(({ more, ...retry }) => ({ ...retry, maxIntervalMs: retry.baseIntervalMs + more })),
      ),
    }),
  );

const jwtProvider = (matcher: fc.Arbitrary<StringMatcher>): fc.Arbitrary<JwtProvider> =>
  fc.record({
    issuer: text(),
    audiences: few(text()),
    subjects: maybe(matcher),
    requireExpiration: fc.boolean(),
    clearRouteCache: fc.constantFrom(true as const, undefined),
    maxLifetimeMs: maybe(milliseconds()),
    jwks: jwks(),
    forward: fc.boolean(),
    fromHeaders: few(fc.record({ name: headerName(), valuePrefix: text() })),
    fromParams: few(text()),
    fromCookies: few(text()),
    forwardPayloadHeader: fc.oneof(fc.constant(''), headerName()),
    padForwardPayloadHeader: fc.boolean(),
    payloadInMetadata: text(),
    headerInMetadata: text(),
    failedStatusInMetadata: text(),
    spaceDelimitedClaims: few(text()),
    clockSkewSeconds: fc.integer({ min: 1, max: 1000 }),
    cacheSize: maybe(fc.integer({ min: 1, max: 1000 })),
    claimToHeaders: few(fc.record({ header: headerName(), claim: fc.constantFrom('sub', 'a.b') })),
  });

const { requirement: jwtRequirement } = fc.letrec<{ requirement: JwtRequirement }>((tie) => ({
  requirement: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<JwtRequirement>(
      { kind: 'allow-missing' },
      { kind: 'allow-missing-or-failed' },
      { kind: 'none' },
    ),
    fc.record({ kind: fc.constant('provider' as const), name: fc.constant('p'), audiences: few(text()) }),
    fc.record({
      kind: fc.constantFrom('any', 'all'),
      requirements: fc.array(tie('requirement'), { minLength: 2, maxLength: 3 }),
    }),
  ),
}));

/** JwtAuthentication. */
export const jwtAuthnConfig = (
  match: fc.Arbitrary<RouteMatch>,
  matcher: fc.Arbitrary<StringMatcher>,
): fc.Arbitrary<JwtAuthnConfig> => {
  const rule = fc.record({
    // Conditions that Envoy's filter does not read.
    match: match.map((one) => ({ ...one, runtimeFraction: undefined, grpcOnly: false })),
    requires: fc.oneof(
      fc.constant(undefined),
      jwtRequirement,
      fc.constant({ kind: 'named' as const, name: 'named' }),
    ),
  });
  return fc.record({
    kind: fc.constant('jwt-authn' as const),
    providers: jwtProvider(matcher).map((one) => new Map([['p', one]])),
    rules: few(rule),
    filterStateRules: maybe(
      fc.record({
        name: fc.constant('key'),
        requires: jwtRequirement.map((one) => new Map([['value', one]])),
      }),
    ),
    bypassCorsPreflight: fc.boolean(),
    requirementMap: jwtRequirement.map((one) => new Map([['named', one]])),
    stripFailureResponse: fc.boolean(),
  });
};

/** PerRouteConfig of JWT. */
export const jwtAuthnRouteConfig = (): fc.Arbitrary<JwtAuthnRouteConfig> =>
  fc.record({
    kind: fc.constant('jwt-authn-route' as const),
    requirementName: maybe(fc.constantFrom('named', 'other')),
  });
