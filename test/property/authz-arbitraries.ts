import * as fc from 'fast-check';
import type { AuthzBody, ExtAuthzConfig, ExtAuthzRouteConfig } from '../../src/model/ext-authz.js';
import type { StringMatcher } from '../../src/model/matcher.js';
import type { HeaderMutationRules } from '../../src/model/mutation-rules.js';
import type { MetadataMatcher } from '../../src/model/value-matcher.js';
import { grpcService } from './filter-arbitraries.js';

/** External authorization, as the codec can carry it. */

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const few = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(arbitrary, { maxLength: 2 });
const text = (): fc.Arbitrary<string> => fc.string({ unit: 'grapheme', maxLength: 8 });

const body = (): fc.Arbitrary<AuthzBody> =>
  fc.record({
    maxBytes: fc.integer({ min: 1, max: 0xffff_ffff }),
    allowPartial: fc.boolean(),
    packAsBytes: fc.boolean(),
  });

const mutationRules = (): fc.Arbitrary<HeaderMutationRules> =>
  fc.record({
    allowAllRouting: fc.boolean(),
    allowEnvoy: fc.boolean(),
    disallowSystem: fc.boolean(),
    disallowAll: fc.boolean(),
    allowExpression: maybe(fc.constantFrom('x', 'x-.*')),
    disallowExpression: maybe(fc.constantFrom('y-.*', '(a|b)+')),
    disallowIsError: fc.boolean(),
  });

const metadataMatcher = (): fc.Arbitrary<MetadataMatcher> =>
  fc.record({
    namespace: fc.constantFrom('a', 'constructor'),
    path: fc.array(fc.constantFrom('b', 'c'), { minLength: 1, maxLength: 2 }),
    value: fc.record({ kind: fc.constant('bool' as const), value: fc.boolean() }),
    invert: fc.boolean(),
  });

const httpService = (matcher: fc.Arbitrary<StringMatcher>) =>
  fc.record({
    kind: fc.constant('http' as const),
    uri: fc.record({
      uri: fc.constantFrom('http://authz.example', 'https://a:1', 'host/path?x'),
      cluster: fc.constantFrom('authz', 'outbound|80||authz'),
      timeoutMs: fc.nat(10_000_000),
    }),
    pathPrefix: fc.constantFrom('', '/', '/check'),
    headersToAdd: few(
      fc.record({
        name: fc.constantFrom('x-token', 'constructor'),
        value: fc.constantFrom('', '%REQ(x-user)%'),
      }),
    ),
    upstreamHeaders: few(matcher),
    upstreamHeadersToAppend: few(matcher),
    clientHeaders: few(matcher),
    clientHeadersOnSuccess: few(matcher),
    dynamicMetadataFromHeaders: few(matcher),
  });

/** ExtAuthz. */
export const extAuthzConfig = (matcher: fc.Arbitrary<StringMatcher>): fc.Arbitrary<ExtAuthzConfig> =>
  fc.record({
    kind: fc.constant('ext-authz' as const),
    service: fc.oneof(
      httpService(matcher),
      fc.record({ kind: fc.constant('grpc' as const), service: grpcService() }),
    ),
    failureModeAllow: fc.boolean(),
    failureModeAllowHeaderAdd: fc.boolean(),
    clearRouteCache: fc.constantFrom(true as const, undefined),
    body: maybe(body()),
    statusOnError: fc.integer({ min: 200, max: 599 }),
    validateMutations: fc.boolean(),
    metadataNamespaces: few(text()),
    routeMetadataNamespaces: few(text()),
    enabled: maybe(
      fc.record({ numerator: fc.nat(1_000_000), denominator: fc.constantFrom(100, 10_000, 1_000_000) }),
    ),
    enabledMetadata: maybe(metadataMatcher()),
    denyAtDisable: fc.boolean(),
    includePeerCertificate: fc.boolean(),
    includeTlsSession: fc.boolean(),
    allowedHeaders: maybe(few(matcher)),
    disallowedHeaders: few(matcher),
    encodeRawHeaders: fc.boolean(),
    mutationRules: maybe(mutationRules()),
    ingestMetadata: fc.boolean(),
    statPrefix: text(),
    chargeCluster: fc.boolean(),
  });

/** ExtAuthzPerRoute. */
export const extAuthzRouteConfig = (): fc.Arbitrary<ExtAuthzRouteConfig> => {
  const extensions = fc
    .dictionary(fc.constantFrom('tenant', 'constructor'), text())
    .map((one) => new Map(Object.entries(one)));
  const settings = fc.oneof(
    fc.record({ contextExtensions: extensions, disableBody: fc.boolean(), body: fc.constant(undefined) }),
    fc.record({ contextExtensions: extensions, disableBody: fc.constant(false), body: body() }),
  );
  return fc.record({ kind: fc.constant('ext-authz-route' as const), settings: maybe(settings) });
};
