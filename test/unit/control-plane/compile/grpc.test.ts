import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { createCompiler } from '../../../../src/control-plane/compile/compile.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import type { ResourceSet } from '../../../../src/control-plane/resources/resource-set.js';
import type { NodeMetadata } from '../../../../src/model/node.js';
import { cluster, listener, tls } from '../../../../src/proto/xds.js';
import { compile, forwarding, networking, nodeOf, registryOf, routesOf, service, viewOf } from './mesh.js';

const HOST = 'reviews.default.svc.cluster.local';
const WHOLE = `outbound|9080||${HOST}`;
const grpc = (text: string, metadata: Partial<NodeMetadata> = {}): ResourceSet =>
  compile(text, [], nodeOf({ GENERATOR: 'grpc', ...metadata }));
const rule = (http: string) =>
  grpc(service('reviews') + networking('VirtualService', 'reviews', `hosts: [reviews]\nhttp:\n${http}`));
const routes = (http: string) => routesOf(rule(http), HOST, 9080);
const policy = (text: string) =>
  grpc(
    service('reviews') + networking('DestinationRule', 'reviews', `host: reviews\ntrafficPolicy:\n${text}`),
  );
const clusterOf = (set: ResourceSet, name = WHOLE) => {
  const model = set.clusters.get(name);
  if (model === undefined) throw new Error(`no cluster ${name} in ${[...set.clusters.keys()]}`);
  return fromBinary(cluster.ClusterSchema, set.encoders.cluster(model));
};
const lbNames = (message: cluster.Cluster) =>
  message.loadBalancingPolicy?.policies.map(({ typedExtensionConfig }) => typedExtensionConfig?.name);

describe('answers that gRPC clients have no action for', () => {
  test.each([
    ['- redirect: { uri: /new, redirectCode: 302 }', 302],
    ['- directResponse: { status: 503, body: { string: gone } }', 503],
  ])('%s becomes a fault with its status', (http, code) => {
    const [route] = routes(http);
    expect(forwarding(route).cluster).toEqual({ kind: 'cluster', name: 'BlackHoleCluster' });
    expect(route?.filterOverrides.get('envoy.filters.http.fault')).toMatchObject({
      abort: { status: { kind: 'http', code }, percentage: { numerator: 100, denominator: 100 } },
    });
  });

  test('lead to a cluster that is there and empty', () => {
    const set = rule('- redirect: { uri: /new }');
    expect(set.clusters.has('BlackHoleCluster')).toBe(true);
    expect(set.endpoints.get('BlackHoleCluster')?.localities).toEqual([]);
  });
});

describe('conditions', () => {
  const TO = 'route: [{ destination: { host: reviews } }]';

  test('on the method hold when calls are meant, which are all POST', () => {
    const found = routes(
      `- name: post\n  match: [{ method: { exact: POST } }]\n  ${TO}\n- name: get\n  match: [{ method: { exact: GET } }]\n  ${TO}`,
    );
    expect(found.map(({ name, match }) => [name, match.headers])).toEqual([['post', []]]);
  });

  test('on the authority hold for the names of the host', () => {
    const found = routes(
      `- name: own\n  match: [{ authority: { prefix: reviews.default } }]\n  ${TO}\n- name: other\n  match: [{ authority: { regex: "rate.*" } }]\n  ${TO}`,
    );
    expect(found.map(({ name }) => name)).toEqual(['own']);
  });

  test('on the query hold for no call', () => {
    expect(routes(`- match: [{ queryParams: { user: { exact: me } } }]\n  ${TO}`)).toEqual([]);
  });

  test('that a header is not something are split: it may be missing, or something else', () => {
    const found = routes(`- match: [{ withoutHeaders: { user: { exact: me } } }]\n  ${TO}`);
    expect(found.map(({ match }) => match.headers)).toEqual([
      [
        {
          name: 'user',
          match: { kind: 'string', matcher: { kind: 'exact', value: 'me', ignoreCase: false } },
          invert: true,
          treatMissingAsEmpty: false,
        },
      ],
      [{ name: 'user', match: { kind: 'present', present: true }, invert: true, treatMissingAsEmpty: false }],
    ]);
  });

  test('by patterns with alternatives stand in a group', () => {
    const [route] = routes(`- match: [{ uri: { regex: "/a|/b" } }]\n  ${TO}`);
    expect(route?.match.path).toEqual({ kind: 'regex', pattern: '(?:/a|/b)' });
  });
});

describe('of a forwarding route', () => {
  const full = `- match: [{ uri: { prefix: /x } }]
  timeout: 3s
  retries: { attempts: 4, perTryTimeout: 1s, retryOn: "5xx,unavailable,connect-failure,503,cancelled", backoff: 50ms }
  rewrite: { uri: /y, authority: other }
  mirror: { host: reviews }
  headers: { request: { set: { a: b } } }
  corsPolicy: { allowOrigins: [{ exact: "*" }] }
  fault: { abort: { grpcStatus: UNAVAILABLE, percentage: { value: 10 } } }
  route: [{ destination: { host: reviews } }]`;

  test('the timeout, the conditions of retries and the fault are left', () => {
    const [route] = routes(full);
    expect(forwarding(route)).toEqual({
      kind: 'forward',
      cluster: { kind: 'cluster', name: WHOLE },
      timeoutMs: 0,
      maxStreamDurationMs: 3000,
      priority: 'default',
      retryPolicy: {
        retryOn: ['unavailable', 'cancelled'],
        numRetries: 4,
        baseIntervalMs: 50,
        maxIntervalMs: 500,
        perTryTimeoutMs: undefined,
        retriableStatusCodes: [],
        avoidPreviousHosts: false,
        hostSelectionAttempts: 1,
      },
      hashPolicies: undefined,
    });
    expect([...(route?.filterOverrides.keys() ?? [])]).toEqual(['envoy.filters.http.fault']);
    expect(route?.headers).toBeUndefined();
  });

  test('retries on what gRPC does not know are none', () => {
    const found = routes(
      '- retries: { attempts: 2, retryOn: 5xx }\n  route: [{ destination: { host: reviews } }]',
    );
    expect(forwarding(found[0]).retryPolicy).toBeUndefined();
  });

  test('the filters of its listener are the fault and the router', () => {
    const listenerOfHost = rule(full).listeners.get(`${HOST}:9080`);
    expect(
      listenerOfHost?.kind === 'outbound' && listenerOfHost.http.filters.map(({ name }) => name),
    ).toEqual(['envoy.filters.http.fault', 'envoy.filters.http.router']);
  });

  test('a hash of the caller is one of its channel; cookies do not count', () => {
    const byAddress = policy('  loadBalancer: { consistentHash: { useSourceIp: true } }');
    expect(forwarding(routesOf(byAddress, HOST, 9080)[0]).hashPolicies).toEqual([
      { source: { kind: 'filter-state', key: 'io.grpc.channel_id' }, terminal: false },
    ]);
    const byCookie = policy('  loadBalancer: { consistentHash: { httpCookie: { name: c, ttl: 1s } } }');
    expect(forwarding(routesOf(byCookie, HOST, 9080)[0]).hashPolicies).toBeUndefined();
  });
});

describe('clusters', () => {
  const { ROUND_ROBIN, RING_HASH } = cluster.Cluster_LbPolicy;

  test('have round robin in the older field', () => {
    const message = clusterOf(policy('  loadBalancer: { simple: ROUND_ROBIN }'));
    expect([message.lbPolicy, message.loadBalancingPolicy]).toEqual([ROUND_ROBIN, undefined]);
  });

  test('have least request in a list that ends in what everybody knows', () => {
    const message = clusterOf(grpc(service('reviews')));
    expect(message.lbPolicy).toBe(ROUND_ROBIN);
    expect(lbNames(message)).toEqual([
      'envoy.load_balancing_policies.wrr_locality',
      'envoy.load_balancing_policies.xds_wrr_locality',
      'envoy.load_balancing_policies.round_robin',
    ]);
  });

  test.each(['ringHash: { minimumRingSize: 64 }', 'maglev: { tableSize: 7 }'])(
    'have a ring for %s',
    (size) => {
      const message = clusterOf(
        policy(`  loadBalancer: { consistentHash: { httpHeaderName: user, ${size} } }`),
      );
      expect([message.lbPolicy, message.lbConfig.case, message.loadBalancingPolicy]).toEqual([
        RING_HASH,
        'ringHashLbConfig',
        undefined,
      ]);
    },
  );

  test('say how many calls there may be at once, and nothing else of connections', () => {
    const message = clusterOf(
      policy(
        '  connectionPool: { tcp: { maxConnections: 3 }, http: { http2MaxRequests: 7, idleTimeout: 1s } }',
      ),
    );
    expect(message.circuitBreakers?.thresholds.map((one) => [one.maxRequests, one.maxConnections])).toEqual([
      [7, undefined],
    ]);
    expect(message.typedExtensionProtocolOptions).toEqual({});
  });

  test('do not say what ejects, as gRPC counts no consecutive errors', () => {
    expect(
      clusterOf(policy('  outlierDetection: { consecutive5xxErrors: 3 }')).outlierDetection,
    ).toBeUndefined();
  });

  test('never have TLS that is chosen by endpoint', () => {
    const message = clusterOf(grpc(service('reviews')));
    expect([message.transportSocket, message.transportSocketMatches]).toEqual([undefined, []]);
  });

  test('have mTLS by the certificate provider where a rule asks for it', () => {
    const message = clusterOf(policy('  tls: { mode: ISTIO_MUTUAL }'));
    const config = message.transportSocket?.configType;
    if (config?.case !== 'typedConfig') throw new Error('no TLS');
    const { commonTlsContext: common } = fromBinary(tls.UpstreamTlsContextSchema, config.value.value);
    expect(common?.tlsCertificateProviderInstance).toMatchObject({
      instanceName: 'default',
      certificateName: 'default',
    });
    expect(common?.validationContextType.case).toBe('combinedValidationContext');
    const combined = common?.validationContextType
      .value as tls.CommonTlsContext_CombinedCertificateValidationContext;
    expect(combined.defaultValidationContext?.caCertificateProviderInstance).toMatchObject({
      certificateName: 'ROOTCA',
    });
    expect(
      combined.defaultValidationContext?.matchSubjectAltNames.map(({ matchPattern }) => matchPattern.value),
    ).toEqual(['spiffe://cluster.local/ns/default/sa/default']);
  });

  test('leave TLS of other kinds to the channel', () => {
    expect(clusterOf(policy('  tls: { mode: SIMPLE }')).transportSocket).toBeUndefined();
  });

  const entry = (endpoints: string) =>
    grpc(
      networking(
        'ServiceEntry',
        'e',
        `hosts: [api.example.com]\nlocation: MESH_EXTERNAL\nresolution: DNS\nports: [{ number: 80, name: http, protocol: HTTP }]\n${endpoints}`,
      ),
    );
  const NAME = 'outbound|80||api.example.com';

  test('of one name are LOGICAL_DNS', () => {
    expect(clusterOf(entry(''), NAME).clusterDiscoveryType.value).toBe(
      cluster.Cluster_DiscoveryType.LOGICAL_DNS,
    );
  });

  test('of addresses are EDS', () => {
    const set = entry('endpoints: [{ address: 10.0.0.1 }, { address: 10.0.0.2 }]');
    expect(clusterOf(set, NAME).clusterDiscoveryType.value).toBe(cluster.Cluster_DiscoveryType.EDS);
    expect(set.endpoints.get(NAME)?.localities.flatMap(({ endpoints }) => endpoints)).toHaveLength(2);
  });

  test('of several names are one after the other', () => {
    const set = entry('endpoints: [{ address: a.example.com }, { address: b.example.com }]');
    expect(clusterOf(set, NAME).clusterDiscoveryType.case).toBe('clusterType');
    expect([...set.clusters.keys()].toSorted()).toEqual([NAME, `${NAME}~0`, `${NAME}~1`]);
  });

  test('have no endpoints but those of IP', () => {
    const set = grpc(
      networking(
        'ServiceEntry',
        'e',
        'hosts: [api.example.com]\nlocation: MESH_INTERNAL\nresolution: STATIC\nports: [{ number: 80, name: http, protocol: HTTP }]\nendpoints: [{ address: "unix:///run/a.sock" }, { address: 10.0.0.1 }]',
      ),
    );
    expect(
      set.endpoints
        .get(NAME)
        ?.localities.flatMap(({ endpoints }) => endpoints.map(({ address }) => address.address)),
    ).toEqual(['10.0.0.1']);
  });
});

describe('a listener is found', () => {
  const text =
    service('reviews') +
    service('stock', 80, 'backend') +
    networking(
      'ServiceEntry',
      'e',
      'hosts: ["*.example.com"]\nlocation: MESH_EXTERNAL\nresolution: STATIC\nports: [{ number: 80, name: http, protocol: HTTP }]\nendpoints: [{ address: 10.0.0.1 }]',
    );
  test.each([
    ['reviews:9080', WHOLE],
    ['reviews.default:9080', WHOLE],
    ['reviews.default.svc:9080', WHOLE],
    ['reviews', WHOLE],
    ['stock.backend', 'outbound|80||stock.backend.svc.cluster.local'],
    ['a.b.example.com:80', 'outbound|80||*.example.com'],
  ])('by the name %s', (name, table) => {
    const found = grpc(text).listenerOf(name);
    expect(found).toMatchObject({ kind: 'outbound', name, http: { routes: { kind: 'rds', name: table } } });
  });

  test.each(['stock', 'reviews:80', 'nobody:9080', '', ':'])('by no such name as %j', (name) => {
    expect(grpc(text).listenerOf(name)).toBeUndefined();
  });

  test('as the same object again, so that it is encoded once', () => {
    const compiler = createCompiler(DEFAULT_MESH_CONFIG);
    const view = viewOf(text);
    const node = nodeOf({ GENERATOR: 'grpc' });
    const find = () => compiler.compile(view, registryOf([]), node).listenerOf('reviews:9080');
    expect(find()).toBe(find());
  });
});

describe('the listener of a server', () => {
  const NAME = 'xds.istio.io/grpc/lds/inbound/[::]:50051';
  const chainOf = (mode: string | undefined, metadata: Partial<NodeMetadata> = {}) => {
    const text =
      mode === undefined ? '' : networking('PeerAuthentication', 'default', `mtls: { mode: ${mode} }`);
    const set = grpc(text, metadata);
    const model = set.listenerOf(NAME);
    if (model === undefined) throw new Error('no listener');
    return fromBinary(listener.ListenerSchema, set.encoders.listener(model));
  };

  test('has its address and one chain without conditions', () => {
    const message = chainOf(undefined);
    expect(message.name).toBe(NAME);
    expect(message.address?.address).toMatchObject({
      value: { address: '::', portSpecifier: { value: 50_051 } },
    });
    expect(message.filterChains.map((chain) => [chain.name, chain.filterChainMatch])).toEqual([
      ['inbound-plaintext', undefined],
    ]);
  });

  test.each([
    ['STRICT', {}, 'inbound-mtls'],
    ['PERMISSIVE', {}, 'inbound-plaintext'],
    ['PERMISSIVE', { LABELS: { 'security.istio.io/tlsMode': 'istio' } }, 'inbound-mtls'],
    ['DISABLE', { LABELS: { 'security.istio.io/tlsMode': 'istio' } }, 'inbound-plaintext'],
  ])('is for mTLS %s with %j: %s', (mode, metadata, chain) => {
    const [found] = chainOf(mode, metadata).filterChains;
    expect([found?.name, found?.transportSocket !== undefined]).toEqual([chain, chain === 'inbound-mtls']);
  });

  test('is not made for names that have no address', () => {
    expect(grpc('').listenerOf('xds.istio.io/grpc/lds/inbound/50051')).toBeUndefined();
  });
});
