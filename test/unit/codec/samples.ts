import type { Cluster } from '../../../src/model/cluster.js';
import { DEFAULT_THRESHOLDS } from '../../../src/model/cluster.js';
import type { ClusterLoadAssignment } from '../../../src/model/endpoint.js';
import { NO_LOCALITY } from '../../../src/model/endpoint.js';
import { MATCH_EVERYTHING } from '../../../src/model/filter-chain-match.js';
import {
  type FaultConfig,
  type FilterConfig,
  type FilterOverrides,
  NO_OVERRIDES,
} from '../../../src/model/filter-config.js';
import type { JwtAuthnConfig, JwtProvider } from '../../../src/model/jwt-authn.js';
import type { InboundListener, OutboundListener, OutboundTcpListener } from '../../../src/model/listener.js';
import { ALWAYS } from '../../../src/model/percent.js';
import type { RateLimit } from '../../../src/model/rate-limit.js';
import type { Route, RouteConfiguration } from '../../../src/model/route.js';
import type { StatefulSession } from '../../../src/model/stateful-session.js';
import type { HttpTracing, SpanExporter, TracingProvider } from '../../../src/model/tracing.js';
import {
  AUTHZ_ROUTE,
  FORWARD_PROXY,
  GLOBAL_RATE_LIMIT,
  GLOBAL_RATE_LIMIT_ROUTE,
  GRPC_AUTHZ,
  HTTP_AUTHZ,
  LOCAL_FILTERS,
} from './filter-samples.js';

/** One full value of every type: each optional part is there, so that a test can take any of it apart. */

export const FAULT: FaultConfig = {
  kind: 'fault',
  delay: { fixedMs: 100, percentage: ALWAYS },
  abort: { status: { kind: 'http', code: 503 }, percentage: ALWAYS },
  responseRate: { limitKbps: 3, percentage: ALWAYS },
  upstreamCluster: 'reviews',
  headers: [
    {
      name: 'end-user',
      match: { kind: 'string', matcher: { kind: 'exact', value: 'jason', ignoreCase: false } },
      invert: false,
      treatMissingAsEmpty: false,
    },
  ],
  maxActiveFaults: 7,
};

const COOKIE_SESSION: StatefulSession = {
  state: {
    kind: 'cookie',
    name: 'session',
    ttlSeconds: 60,
    path: '/a',
    attributes: [{ name: 'SameSite', value: 'Strict' }],
  },
  strict: true,
};

const HEADER_SESSION: StatefulSession = { state: { kind: 'header', name: 'x-session' }, strict: true };

const JWT_PROVIDER: JwtProvider = {
  issuer: 'https://issuer.example',
  audiences: ['shop'],
  subjects: { kind: 'prefix', value: 'spiffe://', ignoreCase: false },
  requireExpiration: true,
  clearRouteCache: true,
  maxLifetimeMs: 3_600_000,
  jwks: {
    kind: 'remote',
    uri: { uri: 'https://issuer.example/jwks', cluster: 'keys', timeoutMs: 1000 },
    cacheDurationMs: 60_000,
    asyncFetch: { fastListener: true, failedRefetchMs: 2000 },
    retry: { numRetries: 2, baseIntervalMs: 100, maxIntervalMs: 1000 },
  },
  forward: true,
  fromHeaders: [{ name: 'authorization', valuePrefix: 'Bearer ' }],
  fromParams: ['token'],
  fromCookies: ['token'],
  forwardPayloadHeader: 'x-payload',
  padForwardPayloadHeader: true,
  payloadInMetadata: 'payload',
  headerInMetadata: 'header',
  failedStatusInMetadata: 'failure',
  spaceDelimitedClaims: ['scope'],
  clockSkewSeconds: 10,
  cacheSize: 10,
  claimToHeaders: [{ header: 'x-sub', claim: 'sub' }],
};

const JWT_AUTHN: JwtAuthnConfig = {
  kind: 'jwt-authn',
  providers: new Map([
    ['remote', JWT_PROVIDER],
    ['local', { ...JWT_PROVIDER, jwks: { kind: 'local', text: '{"keys":[]}' } }],
  ]),
  rules: [
    {
      match: {
        path: { kind: 'prefix', value: '/', caseSensitive: true },
        headers: [],
        queryParameters: [],
        runtimeFraction: undefined,
        grpcOnly: false,
      },
      requires: {
        kind: 'any',
        requirements: [
          { kind: 'provider', name: 'remote', audiences: ['a'] },
          { kind: 'all', requirements: [{ kind: 'allow-missing' }, { kind: 'allow-missing-or-failed' }] },
        ],
      },
    },
  ],
  filterStateRules: { name: 'key', requires: new Map([['a', { kind: 'allow-missing' }]]) },
  bypassCorsPreflight: true,
  requirementMap: new Map([['named', { kind: 'provider', name: 'local', audiences: [] }]]),
  stripFailureResponse: true,
};

const OVERRIDES: FilterOverrides = new Map<string, FilterConfig>([
  ['envoy.filters.http.fault', FAULT],
  ['session', { kind: 'stateful-session-route', session: HEADER_SESSION }],
  ['jwt', { kind: 'jwt-authn-route', requirementName: 'named' }],
  ['limits', GLOBAL_RATE_LIMIT_ROUTE],
  ['buffer', { kind: 'buffer-route', maxRequestBytes: 5 }],
  ['no-buffer', { kind: 'buffer-route', maxRequestBytes: undefined }],
  ['compressor', { kind: 'compressor-route', disabled: false, removeAcceptEncoding: false }],
  ['no-compressor', { kind: 'compressor-route', disabled: true, removeAcceptEncoding: undefined }],
  ['proxy', { kind: 'forward-proxy-route', hostRewrite: { kind: 'header', value: 'x-to' } }],
  ['authz', AUTHZ_ROUTE],
]);
const MATCHERS = FAULT.headers;

export const RATE_LIMITS: readonly RateLimit[] = [
  {
    stage: 2,
    disableKey: 'off',
    actions: [
      { kind: 'source-cluster' },
      { kind: 'destination-cluster' },
      { kind: 'remote-address' },
      { kind: 'masked-remote-address', v4PrefixLength: 24, v6PrefixLength: 64 },
      { kind: 'request-header', name: 'x-user', key: 'user', skipIfAbsent: true },
      { kind: 'query-parameter', name: 'v', key: 'version', skipIfAbsent: true },
      { kind: 'generic-key', key: 'generic_key', value: 'a', defaultValue: 'd' },
      {
        kind: 'header-value-match',
        key: 'header_match',
        value: 'a',
        defaultValue: 'd',
        expectMatch: false,
        headers: MATCHERS,
      },
      {
        kind: 'query-parameter-value-match',
        key: 'query_match',
        value: 'a',
        defaultValue: 'd',
        expectMatch: false,
        queryParameters: [{ name: 'v', match: { kind: 'present', present: true } }],
      },
      {
        kind: 'metadata',
        key: 'k',
        source: 'route',
        path: { namespace: 'n', keys: ['a', 'b'] },
        defaultValue: 'd',
        skipIfAbsent: true,
      },
      { kind: 'header-input', key: 'k', name: 'x-user' },
      { kind: 'query-parameter-input', key: 'k', name: 'v' },
    ],
    limit: { namespace: 'n', keys: ['limit'] },
    hits: { count: '%BYTES_RECEIVED%', isRefund: true },
    onStreamDone: true,
    rateLimitHeaders: true,
  },
];

export const FORWARD: Route = {
  name: 'forward',
  match: {
    path: { kind: 'prefix', value: '/reviews', caseSensitive: false },
    headers: [
      {
        name: 'x-count',
        match: { kind: 'range', start: 1, end: 9 },
        invert: true,
        treatMissingAsEmpty: true,
      },
    ],
    queryParameters: [
      { name: 'v', match: { kind: 'string', matcher: { kind: 'prefix', value: 'a', ignoreCase: true } } },
    ],
    runtimeFraction: { numerator: 50, denominator: 100 },
    grpcOnly: true,
  },
  action: {
    kind: 'forward',
    cluster: {
      kind: 'weighted',
      clusters: [
        { name: 'v1', weight: 90, filterOverrides: OVERRIDES, metadataMatch: { version: 1 } },
        { name: 'v2', weight: 10, filterOverrides: NO_OVERRIDES },
      ],
      totalWeight: 100,
    },
    timeoutMs: 3000,
    retryPolicy: {
      retryOn: ['5xx', 'connect-failure'],
      numRetries: 2,
      perTryTimeoutMs: 500,
      retriableStatusCodes: [503],
      baseIntervalMs: 25,
      maxIntervalMs: 250,
      avoidPreviousHosts: true,
      hostSelectionAttempts: 5,
      perTryIdleTimeoutMs: 400,
      retriableHeaders: [
        {
          name: 'x-again',
          match: { kind: 'present', present: true },
          invert: false,
          treatMissingAsEmpty: false,
        },
      ],
      rateLimitedBackOff: {
        resetHeaders: [{ name: 'retry-after', format: 'seconds' }],
        maxIntervalMs: 60_000,
      },
      omitHostMetadata: [{ stage: 'beta' }],
      previousPriorities: { updateFrequency: 2 },
    },
    hedge: {
      initialRequests: 2,
      additionalRequestChance: { numerator: 5, denominator: 100 },
      onPerTryTimeout: true,
    },
    maxStreamDurationMs: 4000,
    grpcTimeoutHeader: { maxMs: 3000, offsetMs: undefined },
    priority: 'high',
    hashPolicies: [
      {
        source: {
          kind: 'header',
          name: 'x-user',
          rewrite: { pattern: '^(a)', substitution: '\\1' },
        },
        terminal: true,
      },
      {
        source: {
          kind: 'cookie',
          name: 'session',
          ttlSeconds: 30,
          path: '/',
          attributes: [{ name: 'SameSite', value: 'Lax' }],
        },
        terminal: false,
      },
      { source: { kind: 'source-ip' }, terminal: false },
      { source: { kind: 'query-parameter', name: 'key' }, terminal: false },
      { source: { kind: 'filter-state', key: 'who' }, terminal: false },
    ],
    metadataMatch: { stage: 'prod' },
    rateLimits: RATE_LIMITS,
  },
  filterOverrides: OVERRIDES,
  metadata: { istio: { config: 'reviews' } },
};

export const DIRECT: Route = {
  name: 'direct',
  match: {
    path: { kind: 'regex', pattern: '/maintenance.*' },
    headers: [],
    queryParameters: [],
    runtimeFraction: undefined,
    grpcOnly: false,
  },
  action: { kind: 'direct-response', status: 503, body: 'down' },
  filterOverrides: NO_OVERRIDES,
};

export const ROUTES: RouteConfiguration = {
  name: 'reviews',
  virtualHosts: [
    {
      name: 'reviews',
      domains: ['reviews', 'reviews.default.svc.cluster.local'],
      routes: [FORWARD, DIRECT],
      retryPolicy: undefined,
      filterOverrides: OVERRIDES,
      includeRequestAttemptCount: true,
    },
  ],
};

const EXPORTER: Extract<SpanExporter, { kind: 'http' }> = {
  kind: 'http',
  uri: { uri: 'http://zipkin/api/v2/spans', cluster: 'zipkin', timeoutMs: 5000 },
  headers: [
    { name: 'authorization', value: 'secret', action: 'overwrite-if-exists-or-add', keepEmpty: false },
  ],
};

export const ZIPKIN: Extract<TracingProvider, { kind: 'zipkin' }> = {
  kind: 'zipkin',
  exporter: EXPORTER,
  has128BitIds: true,
  sharesSpans: false,
  withW3c: true,
};

export const TRACING: HttpTracing = {
  sampling: {
    client: { numerator: 50, denominator: 100 },
    random: { numerator: 100, denominator: 10_000 },
    overall: { numerator: 9_900, denominator: 10_000 },
  },
  maxPathTagLength: 64,
  customTags: [
    { tag: 'zone', source: { kind: 'literal', value: 'a' } },
    { tag: 'pod', source: { kind: 'environment', name: 'POD', defaultValue: 'none' } },
    { tag: 'user', source: { kind: 'header', name: 'x-user', defaultValue: '' } },
    { tag: 'host', source: { kind: 'format', format: '%REQ(:authority)%' } },
    {
      tag: 'policy',
      source: {
        kind: 'metadata',
        of: 'request',
        path: { namespace: 'envoy.filters.http.rbac', keys: ['policy'] },
        defaultValue: '',
      },
    },
  ],
  operation: '%REQ(:path)%',
  upstreamOperation: 'try',
  spawnUpstreamSpan: true,
  noContextPropagation: true,
  provider: {
    kind: 'opentelemetry',
    exporter: {
      kind: 'grpc',
      service: {
        cluster: 'otel',
        authority: 'otel.observability',
        timeoutMs: 1000,
        initialMetadata: [{ name: 'x-key', value: 'secret' }],
        maxReceiveBytes: undefined,
      },
    },
    serviceName: 'reviews.default',
    resourceDetectors: ['environment', 'dynatrace'],
  },
};

export const OUTBOUND: OutboundListener = {
  kind: 'outbound',
  name: 'reviews:9080',
  http: {
    routes: { kind: 'rds', name: 'reviews' },
    filters: [
      { name: 'envoy.filters.http.fault', config: FAULT },
      ...LOCAL_FILTERS.map((config, index) => ({ name: `${config.kind}-${index}`, config })),
      { name: 'session', config: { kind: 'stateful-session', ...COOKIE_SESSION } },
      { name: 'limits', config: GLOBAL_RATE_LIMIT },
      { name: 'proxy', config: FORWARD_PROXY },
      { name: 'authz', config: HTTP_AUTHZ },
      { name: 'grpc-authz', config: GRPC_AUTHZ },
      { name: 'jwt', config: JWT_AUTHN },
      { name: 'envoy.filters.http.router', config: { kind: 'router' } },
    ],
  },
};

/** A table whose only route says how it is traced. */
export const TRACED_ROUTES: RouteConfiguration = {
  name: 'traced',
  virtualHosts: [
    {
      name: 'traced',
      domains: ['*'],
      routes: [
        {
          name: '',
          match: {
            path: { kind: 'prefix', value: '/', caseSensitive: true },
            headers: [],
            queryParameters: [],
            runtimeFraction: undefined,
            grpcOnly: false,
          },
          action: { kind: 'non-forwarding' },
          filterOverrides: NO_OVERRIDES,
          decorator: { operation: 'reviews:9080/*', propagate: false },
          tracing: {
            sampling: { client: ALWAYS, random: { numerator: 1, denominator: 1_000_000 }, overall: ALWAYS },
            customTags: [{ tag: 'route', source: { kind: 'literal', value: 'reviews' } }],
            operation: 'reviews',
            upstreamOperation: 'try',
          },
        },
      ],
      retryPolicy: undefined,
      filterOverrides: NO_OVERRIDES,
      includeRequestAttemptCount: false,
    },
  ],
};

/** Listeners that trace, and nothing else. */
export const TRACED: readonly OutboundListener[] = [TRACING, { ...TRACING, provider: ZIPKIN }].map(
  (tracing) => ({
    kind: 'outbound',
    name: 'traced:80',
    http: {
      routes: { kind: 'rds', name: 'traced' },
      filters: [{ name: 'router', config: { kind: 'router' } }],
      tracing,
      requestIds: { packsTraceReason: false, decidesTracing: false },
    },
  }),
);

/** Everything that a listener for TCP can have. */
export const OUTBOUND_TCP: OutboundTcpListener = {
  kind: 'outbound-tcp',
  name: 'cache:6379',
  address: { address: '10.0.0.9', port: 6379 },
  filterChains: [
    {
      name: 'sni',
      match: {
        destinationPort: 6379,
        destinationRanges: [{ address: '10.0.0.0', bits: 8 }],
        serverNames: ['*.example.com', 'example.com'],
        transportProtocol: 'tls',
        applicationProtocols: ['h2'],
        directSourceRanges: [{ address: '10.0.0.0', bits: 8 }],
        sourceType: 'external',
        sourceRanges: [{ address: '10.0.0.0', bits: 8 }],
        sourcePorts: [],
      },
      tcp: {
        cluster: {
          kind: 'weighted',
          clusters: [
            { name: 'a', weight: 80, metadataMatch: { version: 'v1' } },
            { name: 'b', weight: 20, metadataMatch: undefined },
          ],
          totalWeight: 100,
        },
        metadataMatch: { stage: 'prod' },
        idleTimeoutMs: 1000,
        maxConnectAttempts: 3,
        connectBackoff: { baseMs: 10, maxMs: 50 },
        hash: { kind: 'filter-state', key: 'who' },
        maxDurationMs: 60_000,
        maxDurationJitterPercent: 10,
      },
    },
  ],
  defaultChain: {
    name: 'rest',
    match: MATCH_EVERYTHING,
    tcp: {
      cluster: { kind: 'cluster', name: 'a' },
      idleTimeoutMs: 0,
      maxConnectAttempts: 1,
      hash: { kind: 'source-ip' },
    },
  },
  inspection: { timeoutMs: 5000, continuesOnTimeout: true },
};

export const INBOUND: InboundListener = {
  kind: 'inbound',
  name: 'inbound:9080',
  address: { address: '10.0.0.1', port: 9080 },
  filterChains: [
    {
      name: 'mtls',
      transportProtocol: 'tls',
      match: {
        destinationPort: 9080,
        destinationRanges: [{ address: '10.0.0.0', bits: 8 }],
        serverNames: ['*.example.com', 'example.com'],
        applicationProtocols: ['h2'],
        directSourceRanges: [{ address: '10.0.0.0', bits: 8 }],
        sourceType: 'external',
        sourceRanges: [{ address: '10.0.0.0', bits: 8 }],
        sourcePorts: [4000],
      },
      tls: {
        requireClientCertificate: true,
        alpn: ['h2', 'http/1.1'],
        certificateSecret: 'own',
        minVersion: 'TLSv1.2',
        maxVersion: 'TLSv1.3',
        ciphers: ['ECDHE-RSA-AES256-GCM-SHA384'],
      },
      http: {
        routes: { kind: 'inline', config: { name: 'inbound', virtualHosts: [] } },
        filters: [{ name: 'router', config: { kind: 'router' } }],
      },
    },
    {
      name: 'plaintext',
      transportProtocol: 'raw_buffer',
      tls: undefined,
      tcp: { cluster: 'inbound', idleTimeoutMs: 1000, maxDurationMs: 1000, maxDurationJitterPercent: 1 },
    },
  ],
  defaultChain: {
    name: 'others',
    transportProtocol: '',
    tls: undefined,
    tcp: { cluster: 'inbound', idleTimeoutMs: 1000 },
  },
  inspection: { timeoutMs: 5000, continuesOnTimeout: true },
};

export const CLUSTER_MODEL: Cluster = {
  name: 'outbound|9080||reviews',
  discovery: { kind: 'eds', serviceName: 'reviews' },
  lbPolicy: { kind: 'least-request', choiceCount: 3, activeRequestBias: 0.5 },
  connectTimeoutMs: 10_000,
  tcpKeepaliveMs: 60_000,
  circuitBreakers: {
    default: { ...DEFAULT_THRESHOLDS, maxRequests: 10 },
    high: { ...DEFAULT_THRESHOLDS, retryBudget: { budgetPercent: 25, minRetryConcurrency: 4 } },
    perHost: { maxConnections: 12 },
  },
  outlierDetection: {
    intervalMs: 1000,
    baseEjectionTimeMs: 2000,
    maxEjectionTimeMs: 3000,
    maxEjectionTimeJitterMs: 0,
    maxEjectionPercent: 100,
    alwaysEjectOneHost: false,
    splitExternalLocalOriginErrors: false,
    consecutive5xx: { threshold: 3, enforcingPercent: 90 },
    consecutiveGatewayFailure: { threshold: 4, enforcingPercent: 80 },
    consecutiveLocalOriginFailure: { threshold: 6, enforcingPercent: 60 },
    successRate: {
      minimumHosts: 7,
      requestVolume: 90,
      stdevFactor: 1800,
      enforcingPercent: 50,
      enforcingLocalOriginPercent: 40,
    },
    failurePercentage: {
      threshold: 80,
      minimumHosts: 6,
      requestVolume: 40,
      enforcingPercent: 30,
      enforcingLocalOriginPercent: 20,
    },
    detectDegradedHosts: true,
    passedCheckUnejects: false,
  },
  healthCheck: {
    timeoutMs: 1000,
    intervalMs: 2000,
    initialJitterMs: 10,
    intervalJitterMs: 20,
    intervalJitterPercent: 30,
    unhealthyThreshold: 3,
    healthyThreshold: 2,
    noTrafficIntervalMs: 30_000,
    noTrafficHealthyIntervalMs: 40_000,
    unhealthyIntervalMs: 5000,
    unhealthyEdgeIntervalMs: 6000,
    healthyEdgeIntervalMs: 7000,
    reuseConnection: false,
    alwaysLogFailures: true,
    alwaysLogSuccess: true,
    alpn: ['http/1.1'],
    transportSocketMatch: { tlsMode: 'istio' },
    checker: {
      kind: 'http',
      host: 'reviews.example.com',
      path: '/healthz',
      method: 'POST',
      send: 'cafe',
      receive: ['01', '0203'],
      responseBufferBytes: 2048,
      headers: {
        add: [{ name: 'x-check', value: 'yes', action: 'add-if-absent', keepEmpty: false }],
        remove: ['user-agent'],
      },
      expectedStatuses: [{ start: 200, end: 300 }],
      retriableStatuses: [{ start: 503, end: 504 }],
      serviceName: { kind: 'prefix', value: 'reviews', ignoreCase: false },
    },
  },
  ignoreNewHostsUntilFirstCheck: true,
  ignoreHealthOnHostRemoval: true,
  loadReporting: { metrics: ['named_metrics.*', 'cpu_utilization'] },
  tls: {
    mode: 'simple',
    sni: 'reviews.example.com',
    subjectAltNames: [{ kind: 'exact', value: 'reviews.example.com', ignoreCase: false }],
    alpn: ['http/1.1'],
  },
  transportSocketMatches: [
    {
      name: 'tlsMode-istio',
      match: { tlsMode: 'istio' },
      tls: {
        mode: 'mesh',
        sni: 'outbound_.9080_._.reviews',
        subjectAltNames: [
          { kind: 'exact', value: 'spiffe://cluster.local/ns/default/sa/reviews', ignoreCase: false },
        ],
        alpn: ['istio'],
      },
    },
    { name: 'tlsMode-disabled', match: {}, tls: undefined },
  ],
  panicThresholdPercent: 30,
  idleTimeoutMs: 60_000,
  maxRequestsPerConnection: 100,
  protocol: {
    kind: 'http2',
    http2: {
      maxConcurrentStreams: 100,
      initialStreamWindow: 1_000_000,
      initialConnectionWindow: 2_000_000,
      hpackTableSize: 1024,
      keepalive: { intervalMs: 30_000, timeoutMs: 5000, jitterPercent: 10, idleIntervalMs: 60_000 },
    },
  },
  metadata: {},
};

export const ASSIGNMENT: ClusterLoadAssignment = {
  clusterName: 'reviews',
  overprovisioningFactor: 150,
  weightedPriorityHealth: true,
  localities: [
    {
      locality: { region: 'eu', zone: 'eu-1', subZone: 'a' },
      priority: 0,
      weight: 3,
      metadata: { 'envoy.lb': { rack: 'r1' } },
      endpoints: [
        {
          address: { address: '10.0.0.1', port: 9080 },
          hostname: 'reviews-1',
          health: 'healthy',
          weight: 2,
          transportSocketMatch: { tlsMode: 'istio' },
          metadata: {
            'envoy.lb': { version: 'v1', stage: 2, tags: ['a', true, null] },
            istio: { workload: 'reviews' },
          },
        },
      ],
    },
    { locality: NO_LOCALITY, priority: 1, weight: undefined, metadata: {}, endpoints: [] },
  ],
};

/** A cluster whose endpoints are resolved by DNS and whose policy stands in the older fields. */
export const DNS_CLUSTER: Cluster = {
  ...CLUSTER_MODEL,
  name: 'example.com',
  discovery: {
    kind: 'strict-dns',
    refreshRateMs: 60_000,
    failureRefresh: { baseMs: 100, maxMs: 300 },
    respectsTtl: true,
    lookupFamily: 'v6-only',
    assignment: {
      clusterName: 'example.com',
      overprovisioningFactor: 140,
      weightedPriorityHealth: false,
      localities: [
        {
          locality: NO_LOCALITY,
          priority: 0,
          weight: undefined,
          metadata: {},
          endpoints: [
            {
              address: { address: 'example.com', port: 443 },
              hostname: '',
              health: 'unknown',
              weight: 1,
              transportSocketMatch: {},
              metadata: {},
            },
          ],
        },
      ],
    },
  },
  lbPolicy: { kind: 'round-robin' },
};
