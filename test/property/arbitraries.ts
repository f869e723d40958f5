import * as fc from 'fast-check';
import { encodeFilter } from '../../src/codec/filter-config.js';
import type { NamedSecretValue } from '../../src/codec/secret.js';
import type { SocketAddress } from '../../src/model/address.js';
import type { ForwardedClientCert } from '../../src/model/client-cert.js';
import type {
  BreakerThresholds,
  CircuitBreakers,
  Cluster,
  ClusterDiscovery,
  OutlierDetection,
} from '../../src/model/cluster.js';
import type {
  ClusterLoadAssignment,
  Endpoint,
  EndpointHealth,
  Locality,
  LocalityEndpoints,
} from '../../src/model/endpoint.js';
import {
  type FaultConfig,
  type FilterConfig,
  type FilterOverrides,
  type HttpFilter,
  type RouterConfig,
  STRICT_HEADERS,
} from '../../src/model/filter-config.js';
import type { FilterExtension } from '../../src/model/filter-extension.js';
import type { ChildPolicy, LbPolicy } from '../../src/model/lb-policy.js';
import type { HttpConnectionManager, InboundChainConfig, Listener } from '../../src/model/listener.js';
import type {
  HeaderMatcher,
  PathMatcher,
  QueryParameterMatcher,
  StringMatcher,
} from '../../src/model/matcher.js';
import type { Metadata, MetadataStruct, MetadataValue } from '../../src/model/metadata.js';
import type { Node, NodeMetadata, NodeWorkload } from '../../src/model/node.js';
import type { FractionalPercent } from '../../src/model/percent.js';
import type { PathRules } from '../../src/model/request-processing.js';
import { type HedgePolicy, RETRY_CONDITIONS, type RetryPolicy } from '../../src/model/retry.js';
import type {
  Route,
  RouteAction,
  RouteConfiguration,
  VirtualHost,
  WeightedCluster,
} from '../../src/model/route.js';
import type { RouteMatch } from '../../src/model/route-match.js';
import type { DownstreamTls, TransportSocketMatch, UpstreamTls } from '../../src/model/tls.js';
import { typeNameOf } from '../../src/proto/any.js';
import { dnsCache, someRateLimits } from './filter-arbitraries.js';
import { endpointHealthCheck, healthCheck } from './health-arbitraries.js';
import { overrideHostPolicy, overrideHostStatuses, pickFirstPolicy, subsetPolicy } from './lb-arbitraries.js';
import { inboundLimits } from './limits-arbitraries.js';
import {
  contextMatchers,
  matchTree,
  pathTemplate,
  weightedChoice,
  withFittingRewrite,
} from './match-arbitraries.js';
import { adaptiveConcurrency, admissionControl } from './overload-arbitraries.js';
import {
  jwtAuthnConfig,
  jwtAuthnRouteConfig,
  statefulSessionConfig,
  statefulSessionRouteConfig,
} from './remote-filter-arbitraries.js';
import {
  accessLogs,
  corsPolicyConfig,
  hashPolicies,
  headerMutationConfig,
  headerMutationRouteConfig,
  headerRules,
  hostRewrite,
  internalRedirect,
  mirrors,
  pathRewrite,
  redirectAction,
  requestProcessing,
} from './route-effects-arbitraries.js';
import { chainMatch, inspection, networkGuard, outboundTcp, tcpServer } from './tcp-arbitraries.js';
import { httpTracing, requestIdRules, routeDecorator, routeTracing } from './tracing-arbitraries.js';
import {
  autoNames,
  clientCertificate,
  clientValidation,
  proxyProtocol,
  secret,
  upstreamProtocol,
  withTlsDetails,
} from './transport-arbitraries.js';
import { trustSecret } from './trust-arbitraries.js';

/** Model values that the codec can carry: each invariant that the decoders check holds. */

const UINT32_MAX = 0xffff_ffff;

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const few = <T>(arbitrary: fc.Arbitrary<T>, minLength = 0): fc.Arbitrary<T[]> =>
  fc.array(arbitrary, { minLength, maxLength: 3 });

/** Names of clusters, listeners, hosts: the dangerous keys of JavaScript objects among them. */
export const name = (): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ minLength: 1, maxLength: 20 }),
    fc.constantFrom('outbound|80||reviews.default.svc.cluster.local', 'constructor', 'toString', '__proto__'),
  );
const text = (): fc.Arbitrary<string> => fc.string({ unit: 'grapheme', maxLength: 12 });
const someText = (): fc.Arbitrary<string> => fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
const uint32 = (): fc.Arbitrary<number> => fc.integer({ min: 0, max: UINT32_MAX });
const pattern = (): fc.Arbitrary<string> =>
  fc.constantFrom('.*', '[a-z]+', '^/v[0-9]{1,3}$', 'a|b', '(?i)jason', '\\d+');

/** Durations, also below a millisecond. */
export const milliseconds = (min = 0): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min, max: 10_000_000 }), fc.constantFrom(min, min + 0.5, min + 1500.25));

/** FractionalPercent. */
export const fractionalPercent = (): fc.Arbitrary<FractionalPercent> =>
  fc.record({ numerator: uint32(), denominator: fc.constantFrom(100, 10_000, 1_000_000) });

/** RuntimeFractionalPercent. */
const runtimeFraction = (): fc.Arbitrary<FractionalPercent> =>
  fc
    .tuple(fractionalPercent(), maybe(fc.constantFrom('a', 'b.c')))
    .map(([percent, runtimeKey]) => (runtimeKey === undefined ? percent : { ...percent, runtimeKey }));

/** StringMatcher. */
export const stringMatcher = (): fc.Arbitrary<StringMatcher> =>
  fc.oneof(
    fc.record({ kind: fc.constant('exact' as const), value: text(), ignoreCase: fc.boolean() }),
    fc.record({
      kind: fc.constantFrom('prefix', 'suffix', 'contains'),
      value: someText(),
      ignoreCase: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('regex' as const), pattern: pattern() }),
  );

/** HeaderMatcher. */
export const headerMatcher = (): fc.Arbitrary<HeaderMatcher> =>
  fc.record({
    name: fc.constantFrom('x-user', ':authority', ':method', 'end-user', 'constructor'),
    match: fc.oneof(
      fc.record({ kind: fc.constant('string' as const), matcher: stringMatcher() }),
      fc.record({ kind: fc.constant('present' as const), present: fc.boolean() }),
      fc.record({
        kind: fc.constant('range' as const),
        start: fc.oneof(fc.maxSafeInteger(), fc.constant('-9223372036854775808')),
        end: fc.oneof(fc.maxSafeInteger(), fc.constant('9007199254740993')),
      }),
    ),
    invert: fc.boolean(),
    treatMissingAsEmpty: fc.boolean(),
  });

/** QueryParameterMatcher. */
export const queryParameterMatcher = (): fc.Arbitrary<QueryParameterMatcher> =>
  fc.record({
    name: someText(),
    match: fc.oneof(
      fc.record({ kind: fc.constant('string' as const), matcher: stringMatcher() }),
      fc.record({ kind: fc.constant('present' as const), present: fc.boolean() }),
    ),
  });

/** PathMatcher. */
export const pathMatcher = (): fc.Arbitrary<PathMatcher> =>
  fc.oneof(
    fc.record({
      kind: fc.constantFrom('prefix', 'path'),
      value: fc.constantFrom('', '/', '/reviews', '/a/b?c'),
      caseSensitive: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('path-separated-prefix' as const),
      value: fc.constantFrom('/a', '/api/v1'),
      caseSensitive: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('regex' as const), pattern: pattern() }),
    pathTemplate(),
    fc.constant({ kind: 'connect' as const }),
  );

/** FaultConfig. */
export const faultConfig = (): fc.Arbitrary<FaultConfig> =>
  fc.record({
    kind: fc.constant('fault' as const),
    delay: maybe(fc.record({ fixedMs: milliseconds(1), percentage: fractionalPercent() })),
    abort: maybe(
      fc.record({
        status: fc.oneof(
          fc.record({ kind: fc.constant('http' as const), code: fc.integer({ min: 200, max: 599 }) }),
          fc.record({ kind: fc.constant('grpc' as const), code: fc.integer({ min: 0, max: 16 }) }),
        ),
        percentage: fractionalPercent(),
      }),
    ),
    responseRate: maybe(
      fc.record({ limitKbps: maybe(fc.integer({ min: 1, max: 1e9 })), percentage: fractionalPercent() }),
    ),
    upstreamCluster: text(),
    headers: few(headerMatcher()),
    maxActiveFaults: maybe(uint32()),
    runtimeKeys: maybe(fc.constantFrom({ delayMs: 'd' }, { abortPercent: 'x.y', httpStatus: 's' })),
  });

const routeFilterConfig = (): fc.Arbitrary<FilterConfig> =>
  fc.oneof(
    faultConfig(),
    headerMutationRouteConfig(),
    corsPolicyConfig(stringMatcher(), runtimeFraction()),
    statefulSessionRouteConfig(),
    jwtAuthnRouteConfig(),
    fc.constant({ kind: 'on-demand-route' as const }),
  );

const listedFilterConfig = (): fc.Arbitrary<FilterConfig> =>
  fc.oneof(
    faultConfig(),
    headerMutationConfig(),
    fc.constant({ kind: 'cors' as const }),
    statefulSessionConfig(),
    adaptiveConcurrency(),
    admissionControl(),
    jwtAuthnConfig(routeMatch(), stringMatcher()),
  );

/** Per-route filter configuration. */
export const filterOverrides = (): fc.Arbitrary<FilterOverrides> =>
  fc.array(fc.tuple(name(), routeFilterConfig()), { maxLength: 2 }).map((entries) => new Map(entries));

const routerConfig = (): fc.Arbitrary<RouterConfig> =>
  fc.record({
    kind: fc.constant('router' as const),
    suppressEnvoyHeaders: maybe(fc.constant(true)),
    respectExpectedTimeout: maybe(fc.constant(true)),
    strictCheckHeaders: maybe(fc.subarray([...STRICT_HEADERS], { minLength: 1 })),
  });

/** A filter whose configuration comes by ECDS, with a default or without. */
const discoveredFilter = (filterName: string): fc.Arbitrary<HttpFilter> =>
  fc
    .record({ config: maybe(listedFilterConfig()), others: few(fc.domain()), isEager: fc.boolean() })
    .map(({ config, others, isEager }) => ({
      name: filterName,
      config: config ?? { kind: 'missing-config' },
      discovery: {
        types: [config === undefined ? 'test.Filter' : typeNameOf(encodeFilter(config).typeUrl), ...others],
        appliesDefault: config !== undefined && isEager,
      },
    }));

/** What ECDS brings. */
export const filterExtension = (): fc.Arbitrary<FilterExtension> =>
  fc.tuple(name(), listedFilterConfig()).map(([own, config]) => ({
    name: own,
    type: typeNameOf(encodeFilter(config).typeUrl),
    config,
    directions: ['outbound', 'inbound'],
  }));

/** The filters of a listener: faults, then the router. */
export const httpFilters = (): fc.Arbitrary<readonly HttpFilter[]> =>
  fc.uniqueArray(name(), { minLength: 1, maxLength: 3 }).chain((names) =>
    fc.tuple(
      ...names.map((filterName, index) =>
        index === names.length - 1
          ? routerConfig().map((config): HttpFilter => ({ name: filterName, config }))
          : fc.oneof(
              listedFilterConfig().map((config): HttpFilter => ({ name: filterName, config })),
              discoveredFilter(filterName),
            ),
      ),
    ),
  );

/** RetryPolicy. */
export const retryPolicy = (): fc.Arbitrary<RetryPolicy> =>
  fc
    .record({
      retryOn: fc.uniqueArray(fc.constantFrom(...RETRY_CONDITIONS), { maxLength: 5 }),
      numRetries: fc.integer({ min: 1, max: UINT32_MAX }),
      perTryTimeoutMs: maybe(milliseconds()),
      retriableStatusCodes: few(fc.integer({ min: 100, max: 599 })),
      baseIntervalMs: milliseconds(1),
      additionalMs: milliseconds(),
      avoidPreviousHosts: fc.boolean(),
      hostSelectionAttempts: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      perTryIdleTimeoutMs: maybe(milliseconds()),
      retriableHeaders: maybe(few(headerMatcher(), 1)),
      retriableRequestHeaders: maybe(few(headerMatcher(), 1)),
      rateLimitedBackOff: maybe(
        fc.record({
          resetHeaders: few(
            fc.record({
              name: fc.constantFrom('retry-after', 'x-ratelimit-reset'),
              format: fc.constantFrom('seconds', 'unix-timestamp'),
            }),
            1,
          ),
          maxIntervalMs: milliseconds(1),
        }),
      ),
      omitCanaryHosts: maybe(fc.constant(true)),
      omitHostMetadata: maybe(few(fc.constantFrom({}, { stage: 'beta' }, { a: [1, null], b: true }), 1)),
      previousPriorities: maybe(fc.record({ updateFrequency: fc.integer({ min: 1, max: 0x7fff_ffff }) })),
    })
    .map(
      ({ additionalMs, ...policy }): RetryPolicy => ({
        ...policy,
        maxIntervalMs: policy.baseIntervalMs + additionalMs,
      }),
    );

/** HedgePolicy. */
const hedgePolicy = (): fc.Arbitrary<HedgePolicy> =>
  fc.record({
    initialRequests: fc.integer({ min: 1, max: 5 }),
    additionalRequestChance: fractionalPercent(),
    onPerTryTimeout: fc.boolean(),
  });

/** `max_stream_duration`: with nothing but a duration there is no more to say. */
const streamDuration = (): fc.Arbitrary<Pick<RouteAction, 'maxStreamDurationMs' | 'grpcTimeoutHeader'>> =>
  fc
    .record({
      maxStreamDurationMs: maybe(milliseconds()),
      grpcTimeoutHeader: maybe(fc.record({ maxMs: maybe(milliseconds()), offsetMs: maybe(milliseconds()) })),
    })
    .map(({ maxStreamDurationMs, grpcTimeoutHeader: header }) => ({
      maxStreamDurationMs,
      grpcTimeoutHeader:
        maxStreamDurationMs !== undefined && header?.maxMs === undefined && header?.offsetMs === undefined
          ? undefined
          : header,
    }));

const weightedClusters = (): fc.Arbitrary<readonly WeightedCluster[]> =>
  fc
    .array(
      fc
        .record({
          name: name(),
          clusterHeader: maybe(fc.constantFrom('x-cluster', ':authority')),
          weight: fc.nat(1000),
          filterOverrides: filterOverrides(),
          headers: headerRules(),
          hostRewrite: maybe(fc.domain()),
          metadataMatch: maybe(metadataStruct()),
        })
        .map((one) => (one.clusterHeader === undefined ? one : { ...one, name: '' })),
      { minLength: 1, maxLength: 4 },
    )
    .filter((clusters) => clusters.some(({ weight }) => weight > 0));

/** RouteMatch. */
export const routeMatch = (): fc.Arbitrary<RouteMatch> =>
  fc.record({
    path: pathMatcher(),
    headers: few(headerMatcher()),
    queryParameters: few(queryParameterMatcher()),
    runtimeFraction: maybe(runtimeFraction()),
    grpcOnly: fc.boolean(),
    ...contextMatchers(stringMatcher()),
  });

const forward = (): fc.Arbitrary<Route['action']> =>
  fc
    .tuple(plainForward(), streamDuration())
    .map(([action, limits]): RouteAction => ({ ...action, ...limits }))
    // Envoy: none is one of 15 s.
    .map((action) =>
      action.timeoutMs % 5 === 0 ? { ...action, timeoutMs: 15_000, timeoutIsDefault: true } : action,
    );

const plainForward = () =>
  fc.record({
    kind: fc.constant('forward' as const),
    rateLimits: someRateLimits(),
    includeVirtualHostRateLimits: maybe(fc.constant(true)),
    cluster: fc.oneof(
      fc.record({ kind: fc.constant('cluster' as const), name: name() }),
      fc.tuple(weightedClusters(), maybe(weightedChoice())).map(([clusters, choice]) => ({
        kind: 'weighted' as const,
        clusters,
        totalWeight: clusters.reduce((sum, { weight }) => sum + weight, 0),
        choice,
      })),
      fc.record({ kind: fc.constant('header' as const), name: fc.constantFrom('x-cluster', ':authority') }),
    ),
    clusterNotFoundStatus: maybe(fc.constantFrom(404 as const, 500 as const)),
    timeoutMs: milliseconds(),
    retryPolicy: maybe(retryPolicy()),
    maxGrpcTimeoutMs: maybe(milliseconds()),
    grpcTimeoutOffsetMs: maybe(milliseconds()),
    idleTimeoutMs: maybe(milliseconds()),
    hedge: maybe(hedgePolicy()),
    priority: fc.constantFrom('default' as const, 'high' as const),
    pathRewrite: pathRewrite(),
    hostRewrite: hostRewrite(),
    appendForwardedHost: maybe(fc.constant(true)),
    mirrors: mirrors(runtimeFraction()),
    internalRedirect: internalRedirect(),
    hashPolicies: hashPolicies(),
    metadataMatch: maybe(metadataStruct()),
    upgrades: routeUpgradeRules(),
  });

const routeUpgradeRules = () =>
  fc
    .tuple(upgradeRules(), fc.boolean())
    .map(([rules, terminates]) =>
      rules?.map((rule) => (terminates && rule.type === 'CONNECT' ? { ...rule, terminates } : rule)),
    );

const upgradeRules = () =>
  maybe(
    fc.uniqueArray(
      fc.record({ type: fc.constantFrom('websocket', 'WebSocket', 'CONNECT', 'x'), enabled: fc.boolean() }),
      { minLength: 1, selector: ({ type }) => type.toLowerCase() },
    ),
  );

/** Route. */
export const route = (): fc.Arbitrary<Route> => anyRoute().map(withFittingRewrite);

const anyRoute = (): fc.Arbitrary<Route> =>
  fc.record({
    name: text(),
    metadata: maybe(metadata().filter((one) => Object.keys(one).length > 0)),
    match: routeMatch(),
    action: fc.oneof(
      { weight: 3, arbitrary: forward() },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('direct-response' as const),
          status: fc.integer({ min: 200, max: 599 }),
          body: text(),
        }),
      },
      { weight: 1, arbitrary: fc.constant({ kind: 'non-forwarding' as const }) },
      { weight: 1, arbitrary: redirectAction() },
    ),
    filterOverrides: filterOverrides(),
    headers: headerRules(),
    statPrefix: maybe(name()),
    bufferLimitBytes: maybe(uint32()),
    tracing: routeTracing(),
    decorator: routeDecorator(),
  });

const domain = (): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom('', '*.', '*-'), fc.domain(), fc.constantFrom('', ':80', '.*'))
    .map(([before, host, after]) =>
      (before !== '' && after === '.*' ? host : before + host + after).toLowerCase(),
    );

/** RouteConfiguration; its domains are unique. */
export const routeConfiguration = (configName = name()): fc.Arbitrary<RouteConfiguration> =>
  fc.uniqueArray(fc.oneof(domain(), fc.constant('*')), { minLength: 1, maxLength: 5 }).chain((domains) =>
    fc.record({
      name: configName,
      virtualHosts: fc.tuple(...sliceBy(domains, 2).map((part) => virtualHost(part))),
      headers: headerRules(),
      mostSpecificHeaderMutationsWins: maybe(fc.constant(true)),
      internalOnlyHeaders: maybe(fc.constant(['x-internal'])),
      virtualHostHeader: maybe(fc.constantFrom('x-host', ':path')),
      ignorePortInHost: maybe(fc.constant(true)),
      ignorePathParameters: maybe(fc.constant(true)),
      virtualHostDiscovery: maybe(fc.constant(true as const)),
      filterOverrides: maybe(filterOverrides().filter(({ size }) => size > 0)),
      mirrors: mirrors(runtimeFraction()),
    }),
  );

/** A table that stands in a listener: no more hosts come for it. */
const inlineTable = (): fc.Arbitrary<RouteConfiguration> =>
  routeConfiguration(text()).map((table) => ({ ...table, virtualHostDiscovery: undefined }));

const sliceBy = (items: readonly string[], size: number): string[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );

const virtualHost = (domains: readonly string[]): fc.Arbitrary<VirtualHost> =>
  anyVirtualHost(domains).map((one) => (one.matcher === undefined ? one : { ...one, routes: [] }));

const anyVirtualHost = (domains: readonly string[]): fc.Arbitrary<VirtualHost> =>
  fc.record({
    name: text(),
    domains: fc.constant(domains),
    routes: few(route()),
    matcher: fc.oneof(
      { weight: 5, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: matchTree(fc.array(route(), { maxLength: 1 }), stringMatcher()) },
    ),
    rateLimits: someRateLimits(),
    retryPolicy: maybe(retryPolicy()),
    filterOverrides: filterOverrides(),
    includeRequestAttemptCount: fc.boolean(),
    includeAttemptCountInResponse: maybe(fc.constant(true)),
    headers: headerRules(),
    mirrors: mirrors(runtimeFraction()),
    requireTls: maybe(fc.constantFrom('all', 'external-only')),
    virtualClusters: maybe(
      fc.array(
        fc.record({ name: name(), headers: fc.array(headerMatcher(), { minLength: 1, maxLength: 2 }) }),
        {
          minLength: 1,
          maxLength: 2,
        },
      ),
    ),
    hedge: maybe(hedgePolicy()),
    includeIsTimeoutRetry: maybe(fc.constant(true)),
    bufferLimitBytes: maybe(uint32()),
  });

const connectionManager = (): fc.Arbitrary<HttpConnectionManager> =>
  fc.record({
    routes: fc.oneof(
      fc.record({ kind: fc.constant('rds' as const), name: name() }),
      fc.record({ kind: fc.constant('inline' as const), config: inlineTable() }),
    ),
    filters: httpFilters(),
    processing: requestProcessing(),
    accessLogs: accessLogs(headerMatcher(), stringMatcher(), fractionalPercent()),
    upgrades: upgradeRules(),
    tracing: httpTracing(),
    requestIds: requestIdRules(),
  });

/** The limits of a connection manager whose requests are this process' own. */
const streamLimits = (): fc.Arbitrary<
  Pick<HttpConnectionManager, 'streamIdleTimeoutMs' | 'maxStreamDurationMs'>
> => fc.record({ streamIdleTimeoutMs: maybe(milliseconds()), maxStreamDurationMs: maybe(milliseconds()) });

const alpn = (): fc.Arbitrary<string[]> => few(fc.constantFrom('h2', 'http/1.1', 'istio'));

/** UpstreamTls. */
export const upstreamTls = (): fc.Arbitrary<UpstreamTls> =>
  fc
    .record({
      mode: fc.constantFrom<UpstreamTls['mode'][]>('mesh', 'simple'),
      sni: maybe(fc.domain()),
      subjectAltNames: few(stringMatcher()),
      alpn: alpn(),
    })
    .chain(withTlsDetails);

/** A secret with its name. */
export const namedSecret = (): fc.Arbitrary<NamedSecretValue> =>
  fc.oneof(fc.record({ name: name(), secret: secret(few(stringMatcher())) }), trustSecret());

const downstreamTls = (): fc.Arbitrary<DownstreamTls> =>
  fc
    .record({
      requireClientCertificate: fc.boolean(),
      alpn: alpn(),
      certificateSecret: maybe(name().map((text) => `sds-${text}`)),
      certificate: maybe(clientCertificate()),
      clients: maybe(clientValidation(few(stringMatcher()))),
    })
    .filter(
      ({ certificate, certificateSecret }) => certificate === undefined || certificateSecret === undefined,
    )
    // A required certificate of the mesh, whatever its name, is what holds without a word.
    .filter(
      ({ requireClientCertificate, clients }) =>
        !(requireClientCertificate && clients?.roots === 'mesh' && clients.subjectAltNames.length === 0),
    );

const escapedSlashes = () =>
  fc.constantFrom('keep' as const, 'reject' as const, 'redirect' as const, 'forward' as const);

const pathRules = (): fc.Arbitrary<PathRules> =>
  fc.oneof(
    fc.record({
      normalizePath: fc.boolean(),
      mergeSlashes: fc.boolean(),
      escapedSlashes: escapedSlashes(),
      universalPath: fc.constant(undefined),
    }),
    fc.record({
      normalizePath: fc.constant(false),
      mergeSlashes: fc.constant(false),
      escapedSlashes: fc.constant('keep' as const),
      universalPath: fc.record({
        skipNormalization: fc.boolean(),
        mergeSlashes: fc.boolean(),
        escapedSlashes: escapedSlashes(),
        stripFragment: fc.boolean(),
      }),
    }),
  );

const clientCert = (): fc.Arbitrary<ForwardedClientCert> =>
  fc.record({
    mode: fc.constantFrom<ForwardedClientCert['mode'][]>(
      'forward-only',
      'append-forward',
      'sanitize-set',
      'always-forward-only',
    ),
    subject: fc.boolean(),
    cert: fc.boolean(),
    dns: fc.boolean(),
    uri: fc.boolean(),
  });

const filterChain = (): fc.Arbitrary<InboundChainConfig> => {
  const head = {
    name: text(),
    transportProtocol: fc.constantFrom('tls' as const, 'raw_buffer' as const, '' as const),
    tls: maybe(downstreamTls()),
  };
  const logs = accessLogs(headerMatcher(), stringMatcher(), fractionalPercent());
  const http = fc
    .tuple(connectionManager(), inboundLimits(), maybe(pathRules()), maybe(clientCert()))
    .map(([manager, limits, paths, cert]) => ({
      ...manager,
      ...limits,
      clientCert: cert,
      paths: manager.processing === undefined ? paths : undefined,
    }));
  const tcp = tcpServer(name(), logs);
  const guarded = fc.record({ ...head, tcp, guards: fc.array(networkGuard(name()), { minLength: 1 }) });
  return fc.oneof(fc.record({ ...head, http }), fc.record({ ...head, tcp }), guarded);
};

/** Listener, outbound and inbound. */
export const listener = (): fc.Arbitrary<Listener> =>
  fc.oneof(
    outboundTcp({
      name: name(),
      text: text(),
      address: ipAddress(),
      metadataMatch: metadataStruct(),
      accessLogs: accessLogs(headerMatcher(), stringMatcher(), fractionalPercent()),
    }),
    fc.record({
      kind: fc.constant('outbound' as const),
      name: name(),
      http: fc.tuple(connectionManager(), streamLimits()).map(([http, limits]) => ({
        ...http,
        ...limits,
        processing: undefined,
      })),
    }),
    fc.record({
      kind: fc.constant('inbound' as const),
      name: name(),
      address: maybe(ipAddress()),
      filterChains: fc.oneof(
        fc.uniqueArray(filterChain(), {
          selector: ({ transportProtocol }) => transportProtocol,
          minLength: 1,
          maxLength: 3,
        }),
        fc
          .array(fc.tuple(filterChain(), chainMatch(text(), fc.integer({ min: 1, max: 65_535 }))), {
            minLength: 1,
            maxLength: 3,
          })
          // No two of them may take the same connections.
          .map((chains) =>
            chains.map(([chain, { transportProtocol: _known, ...match }], index) => ({
              ...chain,
              match: { ...match, destinationPort: index + 1 },
            })),
          ),
      ),
      defaultChain: maybe(filterChain().map((chain) => ({ ...chain, transportProtocol: '' as const }))),
      inspection: maybe(inspection()),
    }),
  );

const port = (): fc.Arbitrary<number> => fc.integer({ min: 0, max: 65_535 });
const ipAddress = (): fc.Arbitrary<SocketAddress> =>
  fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6()), port: port() });
const staticAddress = (): fc.Arbitrary<SocketAddress> =>
  fc.oneof(
    { arbitrary: ipAddress(), weight: 9 },
    fc.record({ address: fc.constantFrom('/run/a.sock', '@name'), port: fc.constant(0) }),
  );
const hostAddress = (): fc.Arbitrary<SocketAddress> =>
  fc.record({ address: fc.oneof(fc.domain(), fc.ipV4()), port: port() });

/** Labels of endpoints and socket matches. */
export const labels = (): fc.Arbitrary<Readonly<Record<string, string>>> =>
  fc
    .array(fc.tuple(fc.constantFrom('tlsMode', 'version', 'constructor', '__proto__'), text()), {
      maxLength: 3,
    })
    .map((entries) => Object.fromEntries(entries));

const metadataValue = (): fc.Arbitrary<MetadataValue> =>
  fc.letrec<{ value: MetadataValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 2 },
      fc.oneof(fc.constant(null), fc.boolean(), fc.integer(), text()),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('a', 'constructor', 'b'), tie('value'), {
        maxKeys: 2,
        noNullPrototype: true,
      }),
    ),
  })).value;

/** A Struct of any values. */
export const metadataStruct = (): fc.Arbitrary<MetadataStruct> =>
  fc.dictionary(fc.constantFrom('version', 'stage', 'canary', 'constructor'), metadataValue(), {
    maxKeys: 3,
    noNullPrototype: true,
  });

/** Metadata but for the namespace that chooses the transport. */
export const metadata = (): fc.Arbitrary<Metadata> =>
  fc.dictionary(fc.constantFrom('envoy.lb', 'istio', 'constructor'), metadataStruct(), {
    maxKeys: 2,
    noNullPrototype: true,
  });

const HEALTH: readonly EndpointHealth[] = [
  'unknown',
  'healthy',
  'unhealthy',
  'draining',
  'timeout',
  'degraded',
];

const endpoint = (
  address: fc.Arbitrary<SocketAddress>,
  additionalAddresses: fc.Arbitrary<Endpoint['additionalAddresses']> = fc.constant(undefined),
): fc.Arbitrary<Endpoint> =>
  fc.record({
    address,
    additionalAddresses,
    hostname: text(),
    health: fc.constantFrom(...HEALTH),
    weight: fc.integer({ min: 1, max: 1_000_000 }),
    transportSocketMatch: labels(),
    metadata: metadata(),
    healthCheck: maybe(endpointHealthCheck()),
  });

/** Locality. */
export const locality = (): fc.Arbitrary<Locality> =>
  fc.record({ region: text(), zone: text(), subZone: text() });

const localityKey = (value: Locality): string => JSON.stringify([value.region, value.zone, value.subZone]);

/** Localities in priorities without a gap, their addresses unique. */
const localities = (): fc.Arbitrary<LocalityEndpoints[]> =>
  fc
    .tuple(
      fc.uniqueArray(locality(), { maxLength: 4, selector: localityKey }),
      fc.uniqueArray(staticAddress(), {
        minLength: 8,
        maxLength: 8,
        selector: ({ address: host, port: number }) => `${host} ${number}`,
      }),
    )
    .chain(([places, addresses]) =>
      fc.tuple(
        ...places.map((place, index) =>
          fc.record({
            locality: fc.constant(place),
            priority: fc.constant(Math.floor(index / 2)),
            weight: maybe(fc.integer({ min: 1, max: 1_000_000 })),
            metadata: metadata(),
            endpoints: fc.tuple(
              ...addresses
                .slice(index * 2, index * 2 + (index % 3))
                .map((one) => endpoint(fc.constant(one), maybe(fc.constant([{ address: '::1', port: 80 }])))),
            ),
          }),
        ),
      ),
    );

/** ClusterLoadAssignment as EDS carries it. */
export const clusterLoadAssignment = (
  staleAfterMs: fc.Arbitrary<number | undefined> = fc.constant(undefined),
): fc.Arbitrary<ClusterLoadAssignment> =>
  fc.record({
    clusterName: name(),
    localities: localities(),
    overprovisioningFactor: fc.integer({ min: 1, max: UINT32_MAX }),
    weightedPriorityHealth: fc.boolean(),
    dropOverloads: maybe(
      fc.array(fc.record({ category: someText(), percentage: fractionalPercent() }), {
        minLength: 1,
        maxLength: 3,
      }),
    ),
    staleAfterMs,
  });

const oneEndpoint = (): fc.Arbitrary<ClusterLoadAssignment> =>
  fc.record({
    clusterName: name(),
    localities: fc.tuple(
      fc.record({
        locality: locality(),
        priority: fc.constant(0),
        weight: maybe(fc.integer({ min: 1, max: UINT32_MAX })),
        metadata: metadata(),
        endpoints: fc.tuple(endpoint(hostAddress())),
      }),
    ),
    overprovisioningFactor: fc.constant(140),
    weightedPriorityHealth: fc.constant(false),
  });

const discovery = (): fc.Arbitrary<ClusterDiscovery> =>
  fc.oneof(
    fc.record({ kind: fc.constant('eds' as const), serviceName: name() }),
    fc.record({ kind: fc.constant('static' as const), assignment: clusterLoadAssignment() }),
    fc.record({
      kind: fc.constantFrom('strict-dns', 'logical-dns'),
      assignment: oneEndpoint(),
      refreshRateMs: milliseconds(1),
      failureRefresh: maybe(
        fc
          .tuple(milliseconds(1), milliseconds())
          .map(([baseMs, moreMs]) => ({ baseMs, maxMs: baseMs + moreMs })),
      ),
      respectsTtl: fc.constantFrom(true, undefined),
      jitterMs: maybe(milliseconds(1)),
      lookupFamily: fc.constantFrom('v4-only', 'v6-only', 'v4-preferred', 'all', undefined),
    }),
  );

const slowStart = () =>
  maybe(
    fc.record({
      windowMs: milliseconds(1),
      aggression: fc.double({ min: 0.01, max: 100, noNaN: true }),
      minWeightPercent: fc.double({ min: 0, max: 100, noNaN: true }),
    }),
  );
/** Clusters that provide their hosts themselves go with the policy that says so. */
const providedBy = (): fc.Arbitrary<Pick<Cluster, 'discovery' | 'lbPolicy'>> =>
  fc.record({
    lbPolicy: fc.constant({ kind: 'cluster-provided' as const }),
    discovery: fc.oneof(
      fc.record({
        kind: fc.constant('original-dst' as const),
        header: maybe(fc.constantFrom('x-envoy-original-dst-host', 'x-to')),
        metadata: maybe(fc.constant({ namespace: 'n', keys: ['a', 'b'] })),
        port: maybe(fc.nat(65_535)),
        cleanupIntervalMs: milliseconds(1),
      }),
      fc.record({
        kind: fc.constant('aggregate' as const),
        clusters: fc.array(name(), { minLength: 1, maxLength: 3 }),
      }),
      fc.record({
        kind: fc.constant('forward-proxy' as const),
        cache: dnsCache(),
        allowInsecure: fc.constant(true),
      }),
    ),
  });

const localityBalancing = () =>
  maybe(
    fc.oneof(
      fc.constant({ kind: 'weighted' as const }),
      fc.record({
        kind: fc.constant('zone-aware' as const),
        routingEnabledPercent: fc.double({ min: 0, max: 100, noNaN: true }),
        minClusterSize: uint32(),
        failTrafficOnPanic: fc.boolean(),
        forceLocalityDirect: fc.boolean(),
        forceLocalZoneMinSize: maybe(uint32()),
        basis: fc.constantFrom('number' as const, 'weight' as const),
      }),
    ),
  );

const hashBalancing = () => ({
  useHostname: fc.boolean(),
  balanceFactorPercent: fc.oneof(fc.constant(0), fc.integer({ min: 100, max: UINT32_MAX })),
  localityWeighted: fc.boolean(),
  hashPolicies: fc.oneof({ weight: 3, arbitrary: hashPolicies() }, fc.constant([])),
});

/** LbPolicy. */
export const lbPolicy = (): fc.Arbitrary<LbPolicy> =>
  fc.oneof(
    { weight: 3, arbitrary: plainPolicy() },
    subsetPolicy(fc.oneof(plainPolicy(), overrideHostPolicy(plainPolicy())), metadataStruct()),
    overrideHostPolicy(plainPolicy()),
  );

const plainPolicy = (): fc.Arbitrary<ChildPolicy> =>
  fc.oneof(
    pickFirstPolicy(),
    fc.record({ kind: fc.constant('random' as const), locality: localityBalancing() }),
    fc.record({
      kind: fc.constant('round-robin' as const),
      locality: localityBalancing(),
      slowStart: slowStart(),
    }),
    fc.record({
      fullScan: maybe(fc.constant(true as const)),
      slowStart: slowStart(),
      locality: localityBalancing(),
      kind: fc.constant('least-request' as const),
      choiceCount: fc.integer({ min: 2, max: UINT32_MAX }),
      activeRequestBias: fc.double({ min: 0, max: 100, noNaN: true }),
    }),
    fc.record({
      kind: fc.constant('client-side-wrr' as const),
      oobPeriodMs: maybe(milliseconds()),
      blackoutMs: milliseconds(),
      expirationMs: milliseconds(),
      updateMs: fc.integer({ min: 100, max: 100_000 }),
      errorPenalty: fc.float({ min: 0, max: 100, noNaN: true }),
      metricNames: fc.array(fc.string(), { maxLength: 3 }),
      slowStart: slowStart(),
      locality: maybe(fc.constant({ kind: 'weighted' as const })),
    }),
    fc.record({
      kind: fc.constant('ring-hash' as const),
      hashFunction: fc.constantFrom('xx-hash' as const, 'murmur-hash-2' as const),
      minimumRingSize: fc.integer({ min: 1, max: 4096 }),
      maximumRingSize: fc.integer({ min: 4096, max: 8_388_608 }),
      ...hashBalancing(),
    }),
    fc.record({
      kind: fc.constant('maglev' as const),
      tableSize: fc.constantFrom(2, 7, 65_537, 5_000_011),
      ...hashBalancing(),
    }),
  );

const thresholds = (): fc.Arbitrary<BreakerThresholds> =>
  fc.record({
    maxConnections: uint32(),
    maxPendingRequests: uint32(),
    maxRequests: uint32(),
    maxRetries: uint32(),
    retryBudget: maybe(
      fc.record({
        budgetPercent: fc.double({ min: 0, max: 100, noNaN: true }),
        minRetryConcurrency: uint32(),
        intervalMs: maybe(milliseconds()),
      }),
    ),
    trackRemaining: maybe(fc.constant(true)),
  });

/** CircuitBreakers. */
export const circuitBreakers = (): fc.Arbitrary<CircuitBreakers> =>
  fc.record({
    default: thresholds(),
    high: thresholds(),
    perHost: maybe(fc.record({ maxConnections: uint32() })),
  });

/** OutlierDetection. */
export const outlierDetection = (): fc.Arbitrary<OutlierDetection> => {
  const percent = fc.integer({ min: 0, max: 100 });
  const detector = fc.record({ threshold: uint32(), enforcingPercent: percent });
  const statistical = {
    minimumHosts: uint32(),
    requestVolume: uint32(),
    enforcingPercent: percent,
    enforcingLocalOriginPercent: percent,
  };
  return fc
    .record({
      intervalMs: milliseconds(1),
      baseEjectionTimeMs: milliseconds(1),
      additionalMs: milliseconds(),
      maxEjectionTimeJitterMs: milliseconds(),
      maxEjectionPercent: percent,
      alwaysEjectOneHost: fc.boolean(),
      splitExternalLocalOriginErrors: fc.boolean(),
      consecutive5xx: detector,
      consecutiveGatewayFailure: detector,
      consecutiveLocalOriginFailure: detector,
      successRate: fc.record({ ...statistical, stdevFactor: uint32() }),
      failurePercentage: fc.record({ ...statistical, threshold: percent }),
      detectDegradedHosts: fc.boolean(),
      passedCheckUnejects: fc.constantFrom(false, undefined),
    })
    .map(({ additionalMs, ...detection }) => ({
      ...detection,
      maxEjectionTimeMs: detection.baseEjectionTimeMs + additionalMs,
    }));
};

const transportSocketMatch = (): fc.Arbitrary<TransportSocketMatch> =>
  fc.record({
    name: name(),
    match: labels(),
    tls: maybe(upstreamTls()),
    proxyProtocol: proxyProtocol(),
  });

/** Cluster. */
export const cluster = (): fc.Arbitrary<Cluster> =>
  anyCluster().chain((model) =>
    fc
      .tuple(upstreamProtocol(model), autoNames(model))
      .map(([protocol, names]) => ({ ...model, ...names, protocol })),
  );

const anyCluster = (): fc.Arbitrary<Cluster> =>
  fc.oneof({ weight: 4, arbitrary: resolvedCluster() }, { weight: 1, arbitrary: providedCluster() });

const providedCluster = (): fc.Arbitrary<Cluster> =>
  fc
    .tuple(resolvedCluster(), providedBy())
    .map(([one, provided]) => ({ ...one, ...provided, healthCheck: undefined }));

const resolvedCluster = (): fc.Arbitrary<Cluster> =>
  fc.record({
    name: name(),
    discovery: discovery(),
    lbPolicy: lbPolicy(),
    overrideHostStatuses: overrideHostStatuses(),
    connectTimeoutMs: milliseconds(1),
    circuitBreakers: circuitBreakers(),
    outlierDetection: maybe(outlierDetection()),
    outlierStatuses: maybe(
      fc.uniqueArray(fc.integer({ min: 100, max: 599 }), { minLength: 1, maxLength: 4 }),
    ),
    tls: maybe(upstreamTls()),
    transportSocketMatches: few(transportSocketMatch()),
    panicThresholdPercent: fc.double({ min: 0, max: 100, noNaN: true }),
    idleTimeoutMs: milliseconds(),
    maxRequestsPerConnection: uint32(),
    maxStreamDurationMs: maybe(milliseconds()),
    maxConnectionDurationMs: maybe(milliseconds()),
    proxyProtocol: proxyProtocol(),
    sourceAddress: maybe(fc.oneof(fc.ipV4(), fc.ipV6())),
    tcpKeepaliveMs: maybe(fc.nat(4_000_000).map((seconds) => seconds * 1000)),
    healthCheck: maybe(healthCheck(stringMatcher())),
    ignoreNewHostsUntilFirstCheck: fc.constantFrom(true, undefined),
    waitsForWarmUp: fc.constantFrom(false, undefined),
    updateMergeWindowMs: maybe(milliseconds(1)),
    ignoreHealthOnHostRemoval: fc.constantFrom(true, undefined),
    loadReporting: maybe(fc.record({ metrics: fc.array(fc.string(), { maxLength: 3 }) })),
    closeConnectionsOnHostSetChange: fc.constantFrom(true, undefined),
    metadata: fc.constantFrom(
      {},
      { istio: { external: true, services: [{ host: 'a.b', name: 'a', namespace: 'b' }], weight: 1.5 } },
    ),
  });

const workload = (): fc.Arbitrary<NodeWorkload> =>
  fc.record(
    {
      service: someText(),
      address: fc.ipV4(),
      port: fc.integer({ min: 1, max: 65_535 }),
      portName: text(),
      tlsMode: fc.constantFrom('istio' as const, 'disabled' as const),
      protocol: fc.constantFrom('tcp' as const, 'grpc' as const),
    },
    { requiredKeys: ['service', 'address', 'port', 'portName', 'tlsMode'] },
  );

const nodeMetadata = (): fc.Arbitrary<NodeMetadata> =>
  fc.record(
    {
      NAMESPACE: text(),
      SERVICE_ACCOUNT: text(),
      LABELS: labels(),
      INSTANCE_IPS: text(),
      GENERATOR: text(),
      INMESH_VERSION: text(),
      AUTO_REGISTER_GROUP: someText(),
      INMESH_HEALTH: fc.constantFrom('healthy' as const, 'unhealthy' as const),
      INMESH_WORKLOADS: few(workload()),
    },
    { requiredKeys: ['NAMESPACE', 'SERVICE_ACCOUNT', 'LABELS', 'INSTANCE_IPS', 'GENERATOR'] },
  );

/** Node. */
export const node = (): fc.Arbitrary<Node> =>
  fc.record({ id: text(), cluster: text(), locality: locality(), metadata: nodeMetadata() });
