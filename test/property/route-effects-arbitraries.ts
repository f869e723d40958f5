import * as fc from 'fast-check';
import type { AccessLog, AccessLogFilter } from '../../src/model/access-log.js';
import type { CorsPolicyConfig } from '../../src/model/cors.js';
import type { HashPolicy, HashSource } from '../../src/model/hash-policy.js';
import type {
  HeaderAddition,
  HeaderMutationConfig,
  HeaderMutationRouteConfig,
  HeaderMutations,
  HeaderRules,
  HeaderStep,
} from '../../src/model/header-mutation.js';
import type { HeaderMatcher, StringMatcher } from '../../src/model/matcher.js';
import type { MirrorPolicy } from '../../src/model/mirror.js';
import type { FractionalPercent } from '../../src/model/percent.js';
import type { InternalRedirectPolicy, RedirectAction } from '../../src/model/redirect.js';
import { NO_PROCESSING, type RequestProcessing } from '../../src/model/request-processing.js';
import type { HostRewrite, PathRewrite, RegexRewrite } from '../../src/model/rewrite.js';
import { valueMatcher } from './match-arbitraries.js';

/** What routes do besides choosing, as the codec can carry it. */

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const few = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(arbitrary, { maxLength: 3 });
const headerName = (): fc.Arbitrary<string> => fc.constantFrom('x-a', 'x-b', 'cookie', 'constructor');

const headerAddition = (): fc.Arbitrary<HeaderAddition> =>
  fc.record({
    name: headerName(),
    value: fc.constantFrom('', 'plain', '100%%', '%PROTOCOL%', 'a %REQ(x?y):3% b', 'é'),
    action: fc.constantFrom(
      'append-if-exists-or-add',
      'add-if-absent',
      'overwrite-if-exists-or-add',
      'overwrite-if-exists',
    ),
    keepEmpty: fc.boolean(),
  });

export const headerMutations = (): fc.Arbitrary<HeaderMutations> =>
  fc.record({ remove: few(headerName()), add: few(headerAddition()) });

/** HeaderRules; undefined when they change nothing. */
export const headerRules = (): fc.Arbitrary<HeaderRules | undefined> =>
  maybe(
    fc
      .record({ request: headerMutations(), response: headerMutations() })
      .filter(({ request, response }) =>
        [request.add, request.remove, response.add, response.remove].some((list) => list.length > 0),
      ),
  );

const regexRewrite = (): fc.Arbitrary<RegexRewrite> =>
  fc.record({
    pattern: fc.constantFrom('^/a/(.*)$', '(x)(y)', '[(]([a-z]+)', '(?P<n>a)\\('),
    substitution: fc.constantFrom('', 'b', '/\\1', '\\0\\\\'),
  });

const hashSource = (): fc.Arbitrary<HashSource> => {
  const name = fc.constantFrom('x-user', 'session', 'constructor');
  return fc.oneof(
    fc.record({ kind: fc.constant('header' as const), name, rewrite: maybe(regexRewrite()) }),
    fc.record({
      kind: fc.constant('cookie' as const),
      name,
      ttlSeconds: maybe(fc.nat()),
      path: fc.constantFrom('', '/a'),
      attributes: few(fc.record({ name, value: fc.constantFrom('', 'Lax') })),
    }),
    fc.constant({ kind: 'source-ip' as const }),
    fc.record({ kind: fc.constant('query-parameter' as const), name }),
    fc.record({ kind: fc.constant('filter-state' as const), key: name }),
  );
};

/** Hash policies; undefined when there are none. */
export const hashPolicies = (): fc.Arbitrary<readonly HashPolicy[] | undefined> =>
  maybe(
    fc.array(fc.record({ source: hashSource(), terminal: fc.boolean() }), { minLength: 1, maxLength: 3 }),
  );

/** PathRewrite. */
export const pathRewrite = (): fc.Arbitrary<PathRewrite | undefined> =>
  maybe(
    fc.oneof(
      fc.record({ kind: fc.constant('prefix' as const), value: fc.constantFrom('/', '/new', 'x?y') }),
      fc.record({ kind: fc.constant('regex' as const), rewrite: regexRewrite() }),
    ),
  );

/** HostRewrite. */
export const hostRewrite = (): fc.Arbitrary<HostRewrite | undefined> =>
  maybe(
    fc.oneof(
      fc.record({ kind: fc.constant('literal' as const), value: fc.domain() }),
      fc.record({ kind: fc.constant('header' as const), name: headerName() }),
      fc.record({ kind: fc.constant('path-regex' as const), rewrite: regexRewrite() }),
      fc.constant({ kind: 'auto' as const }),
    ),
  );

/** The mirrors of a route or a virtual host. */
export const mirrors = (
  fraction: fc.Arbitrary<FractionalPercent>,
): fc.Arbitrary<readonly MirrorPolicy[] | undefined> =>
  maybe(
    fc.array(
      fc.record({
        target: fc.oneof(
          fc.record({ kind: fc.constant('cluster' as const), name: fc.constantFrom('a', 'b') }),
          fc.record({ kind: fc.constant('header' as const), name: headerName() }),
        ),
        fraction: maybe(fraction),
        traceSampled: maybe(fc.boolean()),
        hostSuffix: fc.boolean(),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  );

/** InternalRedirectPolicy. */
export const internalRedirect = (): fc.Arbitrary<InternalRedirectPolicy | undefined> =>
  maybe(
    fc.record({
      maxRedirects: fc.nat(5),
      codes: fc.uniqueArray(fc.constantFrom(301, 302, 303, 307, 308)),
      predicates: few(
        fc.oneof(
          fc.record({ kind: fc.constant('allow-listed-routes' as const), routes: few(fc.string()) }),
          fc.constant({ kind: 'previous-routes' as const }),
          fc.constant({ kind: 'safe-cross-scheme' as const }),
        ),
      ),
      allowCrossScheme: fc.boolean(),
      copyHeaders: few(headerName()),
    }),
  );

/** RedirectAction. */
export const redirectAction = (): fc.Arbitrary<RedirectAction> =>
  fc
    .record({
      kind: fc.constant('redirect' as const),
      status: fc.constantFrom(301, 302, 303, 307, 308),
      scheme: maybe(fc.constantFrom('', 'http', 'https')),
      https: fc.boolean(),
      host: fc.constantFrom('', 'example.com'),
      port: fc.integer({ min: 0, max: 65_535 }),
      path: maybe(
        fc.oneof(
          fc.record({ kind: fc.constantFrom('path', 'prefix'), value: fc.constantFrom('', '/a?b=c') }),
          fc.record({ kind: fc.constant('regex' as const), rewrite: regexRewrite() }),
        ),
      ),
      stripQuery: fc.boolean(),
    })
    .map((action) => ({ ...action, https: action.scheme === undefined && action.https }));

const headerStep = (): fc.Arbitrary<HeaderStep> =>
  fc.oneof(
    fc.record({ kind: fc.constant('remove' as const), name: headerName() }),
    fc.record({ kind: fc.constant('set' as const), addition: headerAddition() }),
  );

/** HeaderMutationConfig. */
export const headerMutationConfig = (): fc.Arbitrary<HeaderMutationConfig> =>
  fc.record({
    kind: fc.constant('header-mutation' as const),
    request: few(headerStep()),
    response: few(headerStep()),
    mostSpecificWins: fc.boolean(),
  });

/** HeaderMutationRouteConfig. */
export const headerMutationRouteConfig = (): fc.Arbitrary<HeaderMutationRouteConfig> =>
  fc.record({
    kind: fc.constant('header-mutation-route' as const),
    request: few(headerStep()),
    response: few(headerStep()),
  });

/** CorsPolicyConfig. */
export const corsPolicyConfig = (
  matcher: fc.Arbitrary<StringMatcher>,
  fraction: fc.Arbitrary<FractionalPercent>,
): fc.Arbitrary<CorsPolicyConfig> =>
  fc.record({
    kind: fc.constant('cors-policy' as const),
    allowOrigins: few(matcher),
    allowMethods: fc.constantFrom('', 'GET,PUT'),
    allowHeaders: fc.constantFrom('', 'x-a'),
    exposeHeaders: fc.constantFrom('', 'x-b'),
    maxAge: fc.constantFrom('', '600'),
    allowCredentials: maybe(fc.boolean()),
    enabled: maybe(fraction),
    shadow: maybe(fraction),
    allowPrivateNetworkAccess: maybe(fc.boolean()),
    forwardNotMatchingPreflights: maybe(fc.boolean()),
  });

const comparison = (kind: 'status-code' | 'duration'): fc.Arbitrary<AccessLogFilter> =>
  fc.record({ kind: fc.constant(kind), operator: fc.constantFrom('eq', 'ge', 'le'), value: fc.nat() });

const simpleLogFilter = (
  header: fc.Arbitrary<HeaderMatcher>,
  text: fc.Arbitrary<StringMatcher>,
  fraction: fc.Arbitrary<FractionalPercent>,
): fc.Arbitrary<AccessLogFilter> =>
  fc.oneof(
    comparison('status-code'),
    comparison('duration'),
    fc.constantFrom({ kind: 'not-health-check' as const }, { kind: 'traceable' as const }),
    fc.record({ kind: fc.constant('runtime' as const), fraction, independent: fc.boolean() }),
    fc.record({ kind: fc.constant('header' as const), matcher: header }),
    fc.record({ kind: fc.constant('response-flag' as const), flags: few(fc.constantFrom('UH', 'UAEX')) }),
    fc.record({
      kind: fc.constant('grpc-status' as const),
      statuses: few(fc.integer({ min: 0, max: 16 })),
      exclude: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('log-type' as const),
      types: few(fc.constantFrom('NotSet', 'DownstreamEnd')),
      exclude: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('metadata' as const),
      namespace: fc.constantFrom('a', 'b'),
      path: fc.array(fc.constantFrom('k', 'l'), { minLength: 1, maxLength: 2 }),
      match: valueMatcher(text),
      matchIfNotFound: fc.boolean(),
    }),
  );

/** The access logs of a connection manager. */
export const accessLogs = (
  header: fc.Arbitrary<HeaderMatcher>,
  text: fc.Arbitrary<StringMatcher>,
  fraction: fc.Arbitrary<FractionalPercent>,
): fc.Arbitrary<readonly AccessLog[] | undefined> => {
  const simple = simpleLogFilter(header, text, fraction);
  const filters = fc.array(simple, { minLength: 2, maxLength: 3 });
  return maybe(
    fc.array(
      fc.record({
        sink: fc.oneof(
          fc.record({ kind: fc.constant('file' as const), path: fc.constantFrom('/dev/stdout', '/tmp/a') }),
          fc.constantFrom({ kind: 'stdout' as const }, { kind: 'stderr' as const }),
        ),
        format: fc.oneof(
          fc.record({
            kind: fc.constant('text' as const),
            text: fc.constantFrom('%PROTOCOL%\n', 'x'),
            omitEmptyValues: fc.boolean(),
          }),
          fc.record({
            kind: fc.constant('json' as const),
            template: fc.constantFrom({ a: '%PROTOCOL%', b: { c: [1, true, null, '%DURATION%'] } }, {}),
            omitEmptyValues: fc.boolean(),
          }),
        ),
        filter: maybe(
          fc.oneof(simple, fc.record({ kind: fc.constantFrom('and' as const, 'or' as const), filters })),
        ),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  );
};

/** RequestProcessing; undefined when it asks for nothing. */
export const requestProcessing = (): fc.Arbitrary<RequestProcessing | undefined> =>
  maybe(
    fc.record<RequestProcessing>({
      ...(Object.fromEntries(
        Object.entries(NO_PROCESSING).map(([key, value]) => [
          key,
          typeof value === 'boolean' ? fc.boolean() : fc.constant(value),
        ]),
      ) as { [K in keyof RequestProcessing]: fc.Arbitrary<RequestProcessing[K]> }),
      escapedSlashes: fc.constantFrom('keep', 'reject', 'redirect', 'forward'),
      stripHostPort: fc.constantFrom('none', 'matching', 'any'),
      xffNumTrustedHops: fc.nat(3),
      internalAddresses: few(
        fc.constantFrom({ address: '10.0.0.0', prefixLength: 8 }, { address: '::1', prefixLength: 128 }),
      ),
      via: fc.constantFrom('', 'mesh'),
      scheme: maybe(fc.constantFrom('http', 'https')),
      server: maybe(fc.record({ name: fc.constantFrom('mesh', 'x'), overwrite: fc.boolean() })),
    }),
  );
