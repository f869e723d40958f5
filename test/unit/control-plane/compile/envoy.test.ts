import { readFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  ROUTE_CONFIGURATION,
} from '../../../../src/codec/resource-types.js';
import { createCompiler } from '../../../../src/control-plane/compile/compile.js';
import { createMeshConfig, DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import type { ResourceSet } from '../../../../src/control-plane/resources/resource-set.js';
import type { Node, NodeMetadata } from '../../../../src/model/node.js';
import type { RouteConfiguration } from '../../../../src/model/route.js';
import { httpConnectionManager as hcm, listener, tcpProxy, tls } from '../../../../src/proto/xds.js';
import { compile, networking, nodeOf, registryOf, service, viewOf } from './mesh.js';

const everything = readFileSync(new URL('validate/everything.yaml', import.meta.url), 'utf8');
const GATEWAY = { LABELS: { istio: 'ingressgateway' } };
const envoy = (text: string, metadata: Partial<NodeMetadata> = {}): ResourceSet =>
  compile(text, [], nodeOf({ GENERATOR: 'envoy', ...metadata }));
const listenersOf = ({ wireListeners }: ResourceSet) =>
  new Map([...wireListeners].map(([name, { bytes }]) => [name, fromBinary(listener.ListenerSchema, bytes)]));
const managerOf = (chain: listener.FilterChain | undefined) => {
  const config = chain?.filters.at(-1)?.configType;
  if (config?.case !== 'typedConfig') throw new Error('no filter');
  return config.value.typeUrl.endsWith('HttpConnectionManager')
    ? fromBinary(hcm.HttpConnectionManagerSchema, config.value.value)
    : undefined;
};
const proxyOf = (chain: listener.FilterChain | undefined) => {
  const config = chain?.filters.at(-1)?.configType;
  if (config?.case !== 'typedConfig' || !config.value.typeUrl.endsWith('TcpProxy')) return undefined;
  return fromBinary(tcpProxy.TcpProxySchema, config.value.value).clusterSpecifier.value;
};
const tlsOf = (chain: listener.FilterChain | undefined) => {
  const config = chain?.transportSocket?.configType;
  return config?.case === 'typedConfig'
    ? fromBinary(tls.DownstreamTlsContextSchema, config.value.value)
    : undefined;
};
const hostsOf = (table: RouteConfiguration | undefined) =>
  Object.fromEntries((table?.virtualHosts ?? []).map(({ name, domains }) => [name, domains]));

describe('who is an Envoy', () => {
  const isEnvoy = (node: Node) => compile(service('reviews'), [], node).wireListeners.size > 0;
  const plain = nodeOf({ GENERATOR: '' });
  test.each<[string, Node, boolean]>([
    ['one that says so', nodeOf({ GENERATOR: 'envoy' }), true],
    ['a program of that name', { ...plain, userAgent: 'envoy' }, true],
    ['not gRPC', { ...plain, userAgent: 'gRPC Go' }, false],
    [
      'not one that says it is something else',
      { ...nodeOf({ GENERATOR: 'grpc' }), userAgent: 'envoy' },
      false,
    ],
    ['nobody else', plain, false],
  ])('%s', (_, node, expected) => {
    expect(isEnvoy(node)).toBe(expected);
  });

  test('equal ones share what is compiled, others do not', () => {
    const compiler = createCompiler(DEFAULT_MESH_CONFIG);
    const view = viewOf(everything);
    const of = (metadata: Partial<NodeMetadata>, id = 'sidecar~1~a.default~default.svc.cluster.local') =>
      compiler.compile(view, registryOf([]), { ...nodeOf({ GENERATOR: 'envoy', ...metadata }), id })
        .wireListeners;
    expect(of({}, 'a')).toBe(of({ LABELS: { other: 'label' } }, 'b'));
    expect(of({})).not.toBe(of(GATEWAY));
    expect(of({})).not.toBe(of({ INMESH_PROXY_PORT: 1 }));
  });
});

describe('the HTTP proxy', () => {
  test('takes the calls to all services on one port of its machine', () => {
    const set = envoy(service('reviews', 80) + service('stock', 8000, 'backend'));
    const message = listenersOf(set).get('127.0.0.1_15001');
    expect([...set.wireListeners.keys()].sort()).toEqual(['127.0.0.1_15001', 'virtualInbound']);
    expect(message?.name).toBe('127.0.0.1_15001');
    expect(message?.address?.address).toMatchObject({
      value: { address: '127.0.0.1', portSpecifier: { value: 15_001 } },
    });
    const manager = managerOf(message?.filterChains[0]);
    expect(manager?.routeSpecifier).toMatchObject({ case: 'rds', value: { routeConfigName: 'http_proxy' } });
    expect(manager?.httpFilters.map((one) => one.name)).toEqual([
      'envoy.filters.http.fault',
      'envoy.filters.http.dynamic_forward_proxy',
      'envoy.filters.http.router',
    ]);
    expect([manager?.statPrefix, manager?.accessLog.length, manager?.tracing]).toEqual([
      'outbound_127.0.0.1_15001',
      1,
      undefined,
    ]);
    expect(hostsOf(set.routes.get('http_proxy'))).toEqual({
      'reviews.default.svc.cluster.local:80': [
        'reviews.default.svc.cluster.local',
        'reviews.default.svc.cluster.local:80',
        'reviews.default.svc',
        'reviews.default.svc:80',
        'reviews.default',
        'reviews.default:80',
        'reviews',
        'reviews:80',
      ],
      'stock.backend.svc.cluster.local:8000': [
        'stock.backend.svc.cluster.local',
        'stock.backend.svc.cluster.local:8000',
        'stock.backend.svc',
        'stock.backend.svc:8000',
        'stock.backend',
        'stock.backend:8000',
      ],
      allow_any: ['*'],
    });
  });

  test('takes a name without a port for port 80', () => {
    const set = envoy(
      `---\napiVersion: v1\nkind: Service\nmetadata: { name: a, namespace: default }\nspec: { ports: [{ name: http-x, port: 70 }, { name: http, port: 80 }] }\n`,
    );
    const hosts = hostsOf(set.routes.get('http_proxy'));
    expect(hosts['a.default.svc.cluster.local:80']).toContain('a');
    expect(hosts['a.default.svc.cluster.local:70']).not.toContain('a');
    expect(hosts['a.default.svc.cluster.local:70']).toContain('a:70');
  });

  test.each([
    [{ INMESH_PROXY_PORT: 3128 }, ['127.0.0.1_3128']],
    [{ INMESH_PROXY_PORT: 0 }, []],
  ])('is where %j says', (metadata, names) => {
    expect([...envoy(service('reviews'), metadata).wireListeners.keys()].sort()).toEqual([
      ...names,
      'virtualInbound',
    ]);
  });

  test('answers for hosts that nobody knows as the mesh says', () => {
    const config = createMeshConfig({ outboundTrafficPolicy: 'REGISTRY_ONLY' });
    const set = createCompiler(config).compile(viewOf(''), registryOf([]), nodeOf({ GENERATOR: 'envoy' }));
    expect(hostsOf(set.routes.get('http_proxy'))).toEqual({ block_all: ['*'] });
  });
});

test('with INTERCEPTION_MODE NONE each port has a listener; one of TCP is its first service', () => {
  const text =
    service('reviews') +
    service('ratings') +
    service('db', 5432, 'default', 'tcp') +
    service('pg', 5432, 'default', 'tcp');
  const set = envoy(text, { INTERCEPTION_MODE: 'NONE', INMESH_PROXY_PORT: 0 });
  const listeners = listenersOf(set);
  expect([...listeners.keys()]).toEqual(['127.0.0.1_9080', '127.0.0.1_5432']);
  expect(proxyOf(listeners.get('127.0.0.1_5432')?.filterChains[0])).toBe(
    'outbound|5432||db.default.svc.cluster.local',
  );
  expect(Object.keys(hostsOf(set.routes.get('9080')))).toEqual([
    'ratings.default.svc.cluster.local:9080',
    'reviews.default.svc.cluster.local:9080',
    'allow_any',
  ]);
});

test('connections through a proxy are tunneled', () => {
  const text =
    service('db', 5432, 'default', 'tcp') +
    networking(
      'DestinationRule',
      'db',
      'host: db\ntrafficPolicy: { tunnel: { protocol: POST, targetHost: db.internal, targetPort: 5432 } }',
    );
  const listeners = listenersOf(envoy(text, { INTERCEPTION_MODE: 'NONE', INMESH_PROXY_PORT: 0 }));
  const config = listeners.get('127.0.0.1_5432')?.filterChains[0]?.filters.at(-1)?.configType;
  if (config?.case !== 'typedConfig') throw new Error('no filter');
  expect(fromBinary(tcpProxy.TcpProxySchema, config.value.value).tunnelingConfig).toMatchObject({
    hostname: 'db.internal:5432',
    usePost: true,
    postPath: '',
  });
});

describe('a gateway', () => {
  const set = envoy(everything, { ...GATEWAY, INMESH_PROXY_PORT: 0 });
  const listeners = listenersOf(set);

  test('is for those only whom its selector means', () => {
    expect([...envoy(everything, { INMESH_PROXY_PORT: 0 }).wireListeners.keys()]).toEqual(['virtualInbound']);
    expect([...listeners.keys()].sort()).toEqual([
      '0.0.0.0_5432',
      '0.0.0.0_8080',
      '0.0.0.0_8081',
      '0.0.0.0_8443',
    ]);
  });

  test('routes plain HTTP by the VirtualServices that name it', () => {
    const [chain, ...more] = listeners.get('0.0.0.0_8080')?.filterChains ?? [];
    expect([more, managerOf(chain)?.routeSpecifier]).toMatchObject([
      [],
      { value: { routeConfigName: 'http.8080' } },
    ]);
    const table = set.routes.get('http.8080');
    // `reviews.default.svc…` is not among the server's hosts.
    expect([hostsOf(table), table?.ignorePortInHost]).toEqual([
      { 'reviews.example.com:8080': ['reviews.example.com'] },
      true,
    ]);
    expect(table?.virtualHosts[0]?.routes.map(({ name }) => name)).toEqual([
      'old',
      'old',
      'moved',
      'gone',
      'all',
      'regex-rewrite',
      '',
    ]);
  });

  test('believes strangers nothing', () => {
    const manager = managerOf(listeners.get('0.0.0.0_8080')?.filterChains[0]);
    expect(manager).toMatchObject({
      useRemoteAddress: true,
      forwardClientCertDetails: hcm.HttpConnectionManager_ForwardClientCertDetails.SANITIZE_SET,
      normalizePath: true,
    });
  });

  test('sends plain requests to https where it says so', () => {
    expect(set.routes.get('http.8081')?.virtualHosts).toMatchObject([
      { domains: ['shop.example.com'], requireTls: 'all' },
    ]);
  });

  test('tells servers with TLS apart by their names', () => {
    const message = listeners.get('0.0.0.0_8443');
    expect(message?.listenerFilters.map(({ name }) => name)).toEqual([
      'envoy.filters.listener.tls_inspector',
    ]);
    expect(
      message?.filterChains.map((chain) => [
        chain.filterChainMatch?.serverNames ?? [],
        managerOf(chain)?.routeSpecifier.value ?? proxyOf(chain),
        tlsOf(chain)?.requireClientCertificate,
      ]),
    ).toMatchObject([
      [['reviews.example.com'], { routeConfigName: 'https.8443.https.shop.default' }, false],
      [['*.mutual.example.com'], { routeConfigName: 'https.8443.https-mutual.shop.default' }, true],
      [['pass.example.com'], 'outbound|443||static.example.com', undefined],
      [[], { routeConfigName: 'https.8443.mesh.shop.default' }, true],
    ]);
  });

  test('has certificates from files, and those of the mesh by SDS', () => {
    const [simple, mutual, , mesh] = listeners.get('0.0.0.0_8443')?.filterChains ?? [];
    expect(tlsOf(simple)?.commonTlsContext).toMatchObject({
      alpnProtocols: ['h2', 'http/1.1'],
      tlsParams: { tlsMinimumProtocolVersion: tls.TlsParameters_TlsProtocol.TLSv1_3 },
      tlsCertificates: [{ certificateChain: { specifier: { value: '/etc/certs/cert.pem' } } }],
      validationContextType: { case: undefined },
    });
    expect(tlsOf(mutual)?.commonTlsContext?.validationContextType).toMatchObject({
      case: 'validationContext',
      value: { trustedCa: { specifier: { value: '/etc/certs/root.pem' } } },
    });
    expect(tlsOf(mesh)?.commonTlsContext?.tlsCertificateSdsSecretConfigs).toMatchObject([
      { name: 'default' },
    ]);
  });

  test('passes TCP on', () => {
    expect(listeners.get('0.0.0.0_5432')?.filterChains.map(proxyOf)).toEqual([
      'outbound|5432||db.backend.svc.cluster.local',
    ]);
  });
});

test('a gateway listens where the service in front of it sends connections', () => {
  const edge = networking(
    'Gateway',
    'edge',
    'selector: { app: edge }\nservers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"] }, { port: { number: 81, name: other, protocol: HTTP }, hosts: ["*"] }]',
  );
  const front = `---
apiVersion: v1
kind: Service
metadata: { name: edge, namespace: default }
spec: { selector: { app: edge }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
`;
  const set = envoy(edge + front, { LABELS: { app: 'edge' }, INMESH_PROXY_PORT: 0 });
  expect([...set.wireListeners.keys()]).toEqual(['0.0.0.0_8080', '0.0.0.0_81']);
  expect(hostsOf(set.routes.get('http.8080'))).toEqual({ 'blackhole:80': ['*'] });
});

test('a neighbour on the machine is not in front of a gateway', () => {
  const edge = networking(
    'Gateway',
    'edge',
    'selector: { app: edge }\nservers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"] }]',
  );
  const text = `${service('reviews', 80)}${edge}`;
  const neighbour = [{ service: 'reviews', address: '127.0.0.1', port: 41_000 }];
  const node = nodeOf({ GENERATOR: 'envoy', LABELS: { app: 'edge' }, INMESH_PROXY_PORT: 0 });
  expect([...compile(text, neighbour, node).wireListeners.keys()]).toEqual(['0.0.0.0_80']);
});

describe('everything that an Envoy is sent', () => {
  const set = envoy(everything, { ...GATEWAY, INTERCEPTION_MODE: 'NONE' });

  test('reads back as it was', () => {
    const { routes, clusters, endpoints, encoders } = set;
    for (const one of routes.values())
      expect(ROUTE_CONFIGURATION.decode(encoders.route(one)).resource).toEqual(one);
    for (const one of clusters.values()) expect(CLUSTER.decode(encoders.cluster(one)).resource).toEqual(one);
    for (const one of endpoints.values()) {
      expect(CLUSTER_LOAD_ASSIGNMENT.decode(encoders.endpoints(one)).resource).toEqual(one);
    }
  });

  test('names only tables that are there, once each domain, and no socket twice', () => {
    const tables = [...listenersOf(set).values()].flatMap(({ filterChains }) =>
      filterChains.flatMap((chain) => {
        const specifier = managerOf(chain)?.routeSpecifier;
        return specifier?.case === 'rds' ? [specifier.value.routeConfigName] : [];
      }),
    );
    expect(tables.filter((name) => !set.routes.has(name))).toEqual([]);
    expect([...set.routes.keys()].sort()).toEqual([...tables].sort());
    for (const { virtualHosts } of set.routes.values()) {
      const domains = virtualHosts.flatMap((one) => one.domains);
      expect(new Set(domains).size).toBe(domains.length);
    }
    const places = [...listenersOf(set).values()].map(({ address }) =>
      JSON.stringify(address, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
    );
    expect(new Set(places).size).toBe(places.length);
  });

  test('has endpoints for each cluster of EDS, and no destination that only a capture would know', () => {
    for (const { discovery } of set.clusters.values()) {
      if (discovery.kind === 'eds') expect(set.endpoints.has(discovery.serviceName)).toBe(true);
      expect(discovery.kind).not.toBe('original-dst');
    }
  });

  test('dials the named host where there is no address, and its endpoints where there are', () => {
    const kindOf = (name: string) => set.clusters.get(name)?.discovery.kind;
    expect(kindOf('outbound|80||*.open.example.com')).toBe('forward-proxy');
    // A policy of PASSTHROUGH: no connection tells where it wanted to go.
    expect(kindOf('outbound|80|v4|reviews.default.svc.cluster.local')).toBe('eds');
  });

  test('is the same however often it is compiled', () => {
    const again = envoy(everything, { ...GATEWAY, INTERCEPTION_MODE: 'NONE' });
    const names = ({ routes, clusters, endpoints, wireListeners }: ResourceSet) => [
      ...routes.keys(),
      ...clusters.keys(),
      ...endpoints.keys(),
      ...wireListeners.keys(),
    ];
    expect(names(again)).toEqual(names(set));
    expect([...again.wireListeners.values()]).toEqual([...set.wireListeners.values()]);
  });
});

test.each(['inmesh', 'grpc', 'envoy'])(
  'for %s a change of endpoints leaves all else as it was',
  (GENERATOR) => {
    const compiler = createCompiler(DEFAULT_MESH_CONFIG);
    const view = viewOf(service('reviews') + service('ratings'));
    const node = nodeOf({ GENERATOR });
    const at = (port: number, revision: number) =>
      registryOf(
        [
          { service: 'reviews', address: '127.0.0.1', port },
          { service: 'ratings', address: '127.0.0.1', port: 1 },
        ],
        revision,
      );
    const [before, after] = [
      compiler.compile(view, at(41_000, 1), node),
      compiler.compile(view, at(41_001, 2), node),
    ];
    for (const part of ['listeners', 'routes', 'clusters', 'wireListeners'] as const) {
      expect(after[part], part).toBe(before[part]);
    }
    const changed = [...after.endpoints]
      .filter(([name, one]) => before.endpoints.get(name) !== one)
      .map(([name]) => name);
    expect(changed).toEqual(['outbound|9080||reviews.default.svc.cluster.local']);
  },
);
