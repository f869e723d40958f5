import type { ForwardProxyConfig } from '../../../src/model/dns-cache.js';
import type { ExtAuthzConfig, ExtAuthzRouteConfig } from '../../../src/model/ext-authz.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import type {
  GlobalRateLimitConfig,
  GlobalRateLimitRouteConfig,
} from '../../../src/model/global-rate-limit.js';
import { ALWAYS } from '../../../src/model/percent.js';

/** One full value of each filter that decides by itself, as the list of filters has it. */
export const LOCAL_FILTERS: readonly FilterConfig[] = [
  {
    kind: 'local-rate-limit',
    statPrefix: 'limit',
    status: 503,
    bucket: { maxTokens: 10, tokensPerFill: 2, fillIntervalMs: 1000 },
    enabled: ALWAYS,
    enforced: ALWAYS,
    requestHeadersWhenNotEnforced: [{ name: 'x-over', value: 'a', action: 'add-if-absent', keepEmpty: true }],
    responseHeaders: [{ name: 'x-why', value: 'a', action: 'add-if-absent', keepEmpty: true }],
    descriptors: [
      {
        entries: [{ key: 'k', value: 'v' }],
        bucket: { maxTokens: 10, tokensPerFill: 2, fillIntervalMs: 1000 },
        shadow: true,
      },
    ],
    maxDynamicDescriptors: 3,
    stage: 4,
    rateLimits: [
      {
        stage: 0,
        disableKey: '',
        actions: [{ kind: 'source-cluster' }],
        limit: undefined,
        hits: { count: 3, isRefund: true },
        onStreamDone: true,
        rateLimitHeaders: false,
      },
    ],
    virtualHostRateLimits: 'ignore',
    perConnection: true,
    rateLimitHeaders: true,
    alwaysConsumeDefault: false,
    resourceExhausted: true,
  },
  {
    kind: 'rbac',
    rules: {
      action: 'deny',
      policies: [
        {
          name: 'a',
          permissions: [
            { kind: 'and', of: [{ kind: 'destination-port', start: 80, end: 81 }] },
            { kind: 'not', of: { kind: 'destination-port', start: 80, end: 90 } },
            { kind: 'destination-ip', range: { address: '10.0.0.0', bits: 8 } },
            { kind: 'server-name', matcher: { kind: 'exact', value: 'a', ignoreCase: true } },
            { kind: 'template', template: '/a/*' },
          ],
          principals: [
            { kind: 'or', of: [{ kind: 'any' }] },
            { kind: 'authenticated', name: { kind: 'exact', value: 'a', ignoreCase: true } },
            { kind: 'ip', of: 'source', range: { address: '10.0.0.0', bits: 8 } },
            { kind: 'ip', of: 'direct', range: { address: '10.0.0.0', bits: 8 } },
            { kind: 'ip', of: 'remote', range: { address: '10.0.0.0', bits: 8 } },
            { kind: 'path', matcher: { kind: 'exact', value: '/a', ignoreCase: true } },
          ],
        },
      ],
    },
    shadowRules: { action: 'log', policies: [] },
    matcher: {
      node: {
        kind: 'list',
        entries: [
          {
            predicate: {
              kind: 'or',
              predicates: (
                [
                  'destination-ip',
                  'destination-port',
                  'source-ip',
                  'source-port',
                  'direct-source-ip',
                  'server-name',
                ] as const
              ).map((of) => ({
                kind: 'value',
                input: { kind: 'connection', of },
                matcher: { kind: 'exact', value: '1', ignoreCase: false },
              })),
            },
            onMatch: { kind: 'action', action: { name: 'yes', action: 'allow' }, keepMatching: false },
          },
        ],
      },
      otherwise: { kind: 'action', action: { name: 'no', action: 'deny' }, keepMatching: false },
    },
    shadowMatcher: {
      node: {
        kind: 'exact-map',
        input: { kind: 'request-header', name: 'x-user' },
        entries: new Map([
          ['a', { kind: 'action', action: { name: 'seen', action: 'log' }, keepMatching: false }],
        ]),
      },
      otherwise: undefined,
    },
    rulesStatPrefix: 'a',
    shadowRulesStatPrefix: 'b',
    trackPerRuleStats: true,
  },
  { kind: 'buffer', maxRequestBytes: 10 },
  {
    kind: 'compressor',
    name: 'text',
    library: { kind: 'gzip', level: 9, memoryLevel: 3, strategy: 2, windowBits: 10, chunkBytes: 8192 },
    request: { enabled: false, minLength: 3, contentTypes: ['a/b'] },
    response: {
      enabled: false,
      minLength: 3,
      contentTypes: ['a/b'],
      disableOnEtag: true,
      removeAcceptEncoding: true,
    },
    chooseFirst: true,
  },
  {
    kind: 'compressor',
    name: 'br',
    library: {
      kind: 'brotli',
      quality: 0,
      mode: 'font',
      windowBits: 20,
      inputBlockBits: 16,
      chunkBytes: 8192,
      disableLiteralContext: true,
    },
    request: undefined,
    response: {
      enabled: true,
      minLength: 0,
      contentTypes: [],
      disableOnEtag: false,
      removeAcceptEncoding: false,
    },
    chooseFirst: false,
  },
  {
    kind: 'decompressor',
    name: 'basic',
    library: { kind: 'gzip', windowBits: 9, chunkBytes: 8192, maxRatio: 7 },
    request: { enabled: false, ignoreNoTransform: true, advertise: false },
    response: { enabled: false, ignoreNoTransform: true },
  },
  {
    kind: 'decompressor',
    name: 'br',
    library: { kind: 'brotli', chunkBytes: 8192, disableRingBufferGrowth: true },
    request: { enabled: true, ignoreNoTransform: false, advertise: true },
    response: { enabled: true, ignoreNoTransform: false },
  },
];

/** One full value of the global rate limit filter. */
export const GLOBAL_RATE_LIMIT: GlobalRateLimitConfig = {
  kind: 'global-rate-limit',
  domain: 'shop',
  stage: 3,
  requests: 'internal',
  timeoutMs: 50,
  failureModeDeny: true,
  failureModeDenyPercent: { numerator: 50, denominator: 100 },
  resourceExhausted: true,
  service: {
    cluster: 'limits',
    authority: 'limits.example',
    timeoutMs: 10,
    initialMetadata: [{ name: 'x-token', value: '%REQ(x-user)%' }],
    maxReceiveBytes: 1000,
  },
  rateLimitHeaders: true,
  rateLimitedHeader: false,
  status: 503,
  responseHeaders: [{ name: 'x-why', value: 'a', action: 'add-if-absent', keepEmpty: true }],
  statusOnError: 503,
  statPrefix: 'a',
  enabled: { numerator: 50, denominator: 100 },
  enforced: { numerator: 50, denominator: 100 },
  rateLimits: [
    {
      stage: 0,
      disableKey: '',
      actions: [{ kind: 'source-cluster' }],
      limit: { namespace: 'a', keys: ['b'] },
      hits: { count: 3, isRefund: true },
      onStreamDone: true,
      rateLimitHeaders: false,
    },
  ],
};

/** The same of a route. */
export const GLOBAL_RATE_LIMIT_ROUTE: GlobalRateLimitRouteConfig = {
  kind: 'global-rate-limit-route',
  virtualHostRateLimits: 'ignore',
  rateLimits: GLOBAL_RATE_LIMIT.rateLimits,
  domain: 'shop',
};

/** One full value of the filter of dynamic forward proxies. */
export const FORWARD_PROXY: ForwardProxyConfig = {
  kind: 'forward-proxy',
  cache: {
    name: 'names',
    lookupFamily: 'v4-only',
    refreshRateMs: 1000,
    minRefreshRateMs: 2000,
    failureRefresh: { baseMs: 10, maxMs: 20 },
    hostTtlMs: 3000,
    maxHosts: 3,
    maxPendingRequests: 4,
    preresolve: [{ address: 'a.example', port: 443 }],
    queryTimeoutMs: 1000,
  },
  saveUpstreamAddress: true,
};

const NAME_MATCHER = { kind: 'exact', value: 'x-user', ignoreCase: false } as const;

/** One full value of the external authorization filter that asks over HTTP. */
export const HTTP_AUTHZ: ExtAuthzConfig = {
  kind: 'ext-authz',
  service: {
    kind: 'http',
    uri: { uri: 'http://authz.example', cluster: 'authz', timeoutMs: 250 },
    pathPrefix: '/check',
    headersToAdd: [{ name: 'x-token', value: '%REQ(x-user)%' }],
    upstreamHeaders: [NAME_MATCHER],
    upstreamHeadersToAppend: [NAME_MATCHER],
    clientHeaders: [NAME_MATCHER],
    clientHeadersOnSuccess: [NAME_MATCHER],
    dynamicMetadataFromHeaders: [NAME_MATCHER],
  },
  failureModeAllow: true,
  failureModeAllowHeaderAdd: true,
  clearRouteCache: true,
  body: { maxBytes: 100, allowPartial: true, packAsBytes: true },
  statusOnError: 503,
  validateMutations: true,
  metadataNamespaces: ['envoy.filters.http.jwt_authn'],
  routeMetadataNamespaces: ['route'],
  enabled: { numerator: 50, denominator: 100 },
  enabledMetadata: {
    namespace: 'a',
    path: ['b'],
    value: { kind: 'bool', value: true },
    invert: true,
  },
  denyAtDisable: true,
  includePeerCertificate: true,
  includeTlsSession: true,
  allowedHeaders: [NAME_MATCHER],
  disallowedHeaders: [NAME_MATCHER],
  encodeRawHeaders: true,
  mutationRules: {
    allowAllRouting: true,
    allowEnvoy: true,
    disallowSystem: true,
    disallowAll: true,
    allowExpression: 'x-.*',
    disallowExpression: 'y-.*',
    disallowIsError: true,
  },
  ingestMetadata: false,
  statPrefix: 'a',
  chargeCluster: false,
};

/** The same that asks over gRPC. */
export const GRPC_AUTHZ: ExtAuthzConfig = {
  ...HTTP_AUTHZ,
  service: { kind: 'grpc', service: { ...GLOBAL_RATE_LIMIT.service, cluster: 'authz' } },
};

/** The same of a route. */
export const AUTHZ_ROUTE: ExtAuthzRouteConfig = {
  kind: 'ext-authz-route',
  settings: {
    contextExtensions: new Map([['tenant', 'a']]),
    disableBody: false,
    body: { maxBytes: 10, allowPartial: true, packAsBytes: true },
  },
};
