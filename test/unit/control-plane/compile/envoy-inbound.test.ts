import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { decodeFilterChainMatch, overlappingChain } from '../../../../src/codec/filter-chain-match.js';
import { rootPath } from '../../../../src/codec/path.js';
import { CLUSTER } from '../../../../src/codec/resource-types.js';
import { createCompiler } from '../../../../src/control-plane/compile/compile.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import type { ResourceSet } from '../../../../src/control-plane/resources/resource-set.js';
import { createConfigStore } from '../../../../src/control-plane/store/config-store.js';
import type { Cluster } from '../../../../src/model/cluster.js';
import type { NodeMetadata } from '../../../../src/model/node.js';
import { httpConnectionManager as hcm, listener, tls } from '../../../../src/proto/xds.js';
import { systemClock } from '../../../../src/runtime/clock.js';
import { silentLogger } from '../../../../src/runtime/log.js';
import { compile, networking, nodeOf, registryOf, service } from './mesh.js';

const NODE: Partial<NodeMetadata> = {
  GENERATOR: 'envoy',
  LABELS: { app: 'cart' },
  INSTANCE_IPS: '192.0.2.7,2001:db8::7',
};
const beside = (text: string, metadata: Partial<NodeMetadata> = {}) =>
  compile(text, [], nodeOf({ ...NODE, ...metadata }));
const CART = service('cart', 8080);

const listenerOf = ({ wireListeners }: ResourceSet, name = 'virtualInbound') => {
  const bytes = wireListeners.get(name)?.bytes;
  if (bytes === undefined) throw new Error(`no ${name} among ${[...wireListeners.keys()].join()}`);
  return fromBinary(listener.ListenerSchema, bytes);
};
const chainsOf = (message: listener.Listener, port: number) =>
  message.filterChains.filter((one) => one.filterChainMatch?.destinationPort === port);
const managerOf = (chain: listener.FilterChain | undefined) => {
  const config = chain?.filters.at(-1)?.configType;
  if (config?.case !== 'typedConfig') throw new Error('no manager');
  return fromBinary(hcm.HttpConnectionManagerSchema, config.value.value);
};
const tlsOf = (chain: listener.FilterChain | undefined) => {
  const config = chain?.transportSocket?.configType;
  if (config?.case !== 'typedConfig') throw new Error('no TLS');
  return fromBinary(tls.DownstreamTlsContextSchema, config.value.value);
};
const namesOf = (message: listener.Listener) =>
  message.listenerFilters.map(({ name }) => name.split('.').at(-1));

const peers = (spec: string) => networking('PeerAuthentication', 'own', spec);
const sidecar = (spec: string) =>
  networking('Sidecar', 'own', `workloadSelector: {labels: {app: cart}}\n${spec}`);

describe('who has an inbound side', () => {
  test.each<[string, Partial<NodeMetadata>, string | undefined, boolean]>([
    ['an Envoy beside an application', {}, undefined, true],
    ['one that says how it is captured', { INTERCEPTION_MODE: 'REDIRECT' }, undefined, true],
    ['not one without capture', { INTERCEPTION_MODE: 'NONE' }, undefined, false],
    ['not a gateway', {}, 'router~192.0.2.7~edge.default~default.svc.cluster.local', false],
    ['not a member', { GENERATOR: 'inmesh' }, undefined, false],
  ])('%s', (_, metadata, id, expected) => {
    const node = nodeOf({ ...NODE, ...metadata });
    const set = compile(CART, [], id === undefined ? node : { ...node, id });
    expect(set.wireListeners.has('virtualInbound')).toBe(expected);
    expect(set.clusters.has('inbound|8080||')).toBe(expected);
  });

  test('its port is the one of the mesh, and so is the time for first bytes', () => {
    const mesh = networking(
      'MeshConfig',
      'mesh',
      'proxyInboundListenPort: 16006\nprotocolDetectionTimeout: 3s',
    ).replace('networking.istio.io/v1', 'inmesh.dev/v1');
    const message = listenerOf(beside(mesh + CART));
    expect(message.address?.address).toMatchObject({ value: { portSpecifier: { value: 16_006 } } });
    expect(message.listenerFiltersTimeout?.seconds).toBe(3n);
    expect(chainsOf(message, 16_006).map(({ name }) => name)).toEqual(['virtualInbound-blackhole']);
  });

  test('one that knows addresses of IPv6 alone listens on those', () => {
    const set = beside(CART, { INSTANCE_IPS: '2001:db8::7' });
    expect(listenerOf(set).address?.address).toMatchObject({ value: { address: '::' } });
    expect(set.clusters.get('inbound|8080||')?.sourceAddress).toBe('::6');
  });
});

describe('which ports it has', () => {
  const portsOf = (text: string, metadata?: Partial<NodeMetadata>) =>
    [...beside(text, metadata).clusters.keys()].filter((name) => name.startsWith('inbound|')).sort();

  test('where services of its namespace lead by their selector', () => {
    const away = service('cart', 9999, 'away');
    expect(portsOf(CART + service('other', 7777) + away)).toEqual(['inbound|8080||']);
    expect(portsOf(CART.replace('port: 8080', 'port: 80, targetPort: 8080'))).toEqual(['inbound|8080||']);
  });

  test('where one of its addresses is an endpoint, also of another namespace', () => {
    const entry = (address: string) =>
      networking(
        'ServiceEntry',
        'shared',
        `hosts: [shared.test]\nresolution: STATIC\nlocation: MESH_INTERNAL\nports: [{number: 80, name: http, protocol: HTTP}]\nendpoints: [{address: ${address}, ports: {http: 8181}}]`,
        'away',
      );
    expect(portsOf(entry('192.0.2.7'))).toEqual(['inbound|8181||']);
    expect(portsOf(entry('192.0.2.8'))).toEqual([]);
  });

  test('of two services with one port the older one decides', () => {
    const second = service('cart2', 8080, 'default', 'tcp').replace('app: cart2', 'app: cart');
    const message = listenerOf(beside(CART + second));
    expect(chainsOf(message, 8080).map((one) => one.filters[0]?.name)).toEqual([
      'envoy.filters.network.http_connection_manager',
      'envoy.filters.network.http_connection_manager',
    ]);
    expect(beside(CART + second).clusters.get('inbound|8080||')?.metadata).toEqual({
      istio: {
        services: [
          { host: 'cart.default.svc.cluster.local', name: 'cart', namespace: 'default' },
          { host: 'cart2.default.svc.cluster.local', name: 'cart2', namespace: 'default' },
        ],
      },
    });
  });
});

describe('the listener', () => {
  test.each<[string, string, (string | undefined)[]]>([
    ['PERMISSIVE', '', ['original_dst', 'tls_inspector', 'http_inspector']],
    ['STRICT', peers('mtls: {mode: STRICT}'), ['original_dst', 'tls_inspector']],
    ['DISABLE', peers('mtls: {mode: DISABLE}'), ['original_dst', 'http_inspector']],
  ])('looks at what its chains ask for: %s', (_, text, names) => {
    expect(namesOf(listenerOf(beside(CART + text)))).toEqual(names);
  });

  test('does not look for HTTP where it is declared, nor for TLS where none is ended', () => {
    const only = listenerOf(
      beside(CART + peers('selector: {matchLabels: {app: cart}}\nportLevelMtls: {8080: {mode: DISABLE}}')),
    );
    const range = (start: number) => ({ case: 'destinationPortRange', value: { start, end: start + 1 } });
    const disabledOf = (message: listener.Listener, name: string) =>
      message.listenerFilters.find((one) => one.name.endsWith(name))?.filterDisabled?.rule;
    // Nor for anything on connections to the listener itself.
    const both = { case: 'orMatch', value: { rules: [{ rule: range(8080) }, { rule: range(15_006) }] } };
    expect(disabledOf(only, 'tls_inspector')).toMatchObject(both);
    expect(disabledOf(only, 'http_inspector')).toMatchObject(both);
    const rest = listenerOf(
      beside(
        CART +
          peers(
            'selector: {matchLabels: {app: cart}}\nmtls: {mode: DISABLE}\nportLevelMtls: {8080: {mode: STRICT}}',
          ),
      ),
    );
    expect(disabledOf(rest, 'tls_inspector')).toMatchObject({
      case: 'notMatch',
      value: { rule: range(8080) },
    });
  });

  test('keeps the addresses of clients where the machine hands them over', () => {
    const message = listenerOf(beside(CART, { INTERCEPTION_MODE: 'TPROXY' }));
    expect(message.transparent).toBe(true);
    expect(namesOf(message)).toEqual(['original_dst', 'original_src', 'tls_inspector', 'http_inspector']);
    expect(message.continueOnListenerFiltersTimeout).toBe(true);
  });

  test('has no two chains that a connection could not tell apart', () => {
    const text =
      CART +
      service('cart2', 9000, 'default', 'tcp').replace('app: cart2', 'app: cart') +
      peers(
        'selector: {matchLabels: {app: cart}}\nportLevelMtls: {7000: {mode: STRICT}, 9000: {mode: DISABLE}}',
      );
    const matches = listenerOf(beside(text)).filterChains.map(({ filterChainMatch }) => ({
      match: decodeFilterChainMatch(filterChainMatch, rootPath('LDS')),
    }));
    expect(overlappingChain(matches)).toBeUndefined();
    expect(matches.length).toBe(1 + 5 + 2 + 2 + 1);
  });

  test('ends the TLS of the mesh with its identity, for members alone', () => {
    const [chain] = chainsOf(listenerOf(beside(CART)), 8080);
    const { commonTlsContext: common, requireClientCertificate } = tlsOf(chain);
    expect(requireClientCertificate).toBe(true);
    expect(common?.tlsCertificateSdsSecretConfigs.map(({ name }) => name)).toEqual(['default']);
    expect(common?.alpnProtocols).toEqual(['h2', 'http/1.1']);
    expect(common?.validationContextType).toMatchObject({
      case: 'combinedValidationContext',
      value: {
        defaultValidationContext: {
          matchTypedSubjectAltNames: [
            { matcher: { matchPattern: { case: 'prefix', value: 'spiffe://cluster.local/' } } },
          ],
        },
        validationContextSdsSecretConfig: { name: 'ROOTCA' },
      },
    });
    expect(common?.tlsParams).toMatchObject({ tlsMinimumProtocolVersion: 3, tlsMaximumProtocolVersion: 4 });
  });

  test('does what policies of the workload say', () => {
    const policies = [
      `---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: default}\nspec: {selector: {matchLabels: {app: cart}}, rules: [{from: [{source: {principals: ["*"]}}]}]}\n`,
      `---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: r, namespace: default}\nspec: {selector: {matchLabels: {app: cart}}, jwtRules: [{issuer: i, jwks: '{"keys":[]}'}]}\n`,
    ].join('');
    const message = listenerOf(beside(CART + policies));
    const [http] = chainsOf(message, 8080);
    const manager = managerOf(http);
    expect(manager.httpFilters.map(({ name }) => name)).toEqual([
      'envoy.filters.http.jwt_authn',
      'envoy.filters.http.rbac',
      'envoy.filters.http.router',
    ]);
    const bytes = message.filterChains.find((one) => one.name === 'virtualInbound');
    expect(bytes?.filters.map(({ name }) => name)).toEqual([
      'envoy.filters.network.rbac',
      'envoy.filters.network.tcp_proxy',
    ]);
  });

  test('tells the application who calls, and its callers that a proxy answers', () => {
    const manager = managerOf(chainsOf(listenerOf(beside(CART)), 8080)[0]);
    const { APPEND_FORWARD } = hcm.HttpConnectionManager_ForwardClientCertDetails;
    expect(manager).toMatchObject({
      forwardClientCertDetails: APPEND_FORWARD,
      setCurrentClientCertDetails: { subject: true, dns: true, uri: true, cert: false },
      serverName: 'istio-envoy',
      useRemoteAddress: false,
      statPrefix: 'inbound_0.0.0.0_8080',
    });
    expect(manager.routeSpecifier).toMatchObject({
      case: 'routeConfig',
      value: {
        name: 'inbound|8080||',
        virtualHosts: [{ routes: [{ decorator: { operation: 'cart.default.svc.cluster.local:8080/*' } }] }],
      },
    });
    expect(manager.http2ProtocolOptions).toBeUndefined();
    const grpc = managerOf(chainsOf(listenerOf(beside(service('cart', 8080, 'default', 'grpc'))), 8080)[0]);
    expect(grpc.http2ProtocolOptions).toBeDefined();
  });

  test('is changed by EnvoyFilters for inbound, a port being that of a chain', () => {
    const filters = networking(
      'EnvoyFilter',
      'own',
      `configPatches:
- {applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND, listener: {portNumber: 8080, filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}, patch: {operation: INSERT_FIRST, value: {name: mine}}}
- {applyTo: VIRTUAL_HOST, match: {context: SIDECAR_INBOUND, routeConfiguration: {vhost: {name: "inbound|http|8080"}}}, patch: {operation: MERGE, value: {include_request_attempt_count: true}}}
- {applyTo: CLUSTER, match: {context: SIDECAR_INBOUND, cluster: {portNumber: 8080}}, patch: {operation: MERGE, value: {connect_timeout: 3s}}}`,
    ).replace('networking.istio.io/v1', 'networking.istio.io/v1alpha3');
    const set = beside(CART + filters);
    const message = listenerOf(set);
    const manager = managerOf(chainsOf(message, 8080)[0]);
    expect(manager.httpFilters[0]?.name).toBe('mine');
    expect(manager.routeSpecifier.value).toMatchObject({
      virtualHosts: [{ includeRequestAttemptCount: true }],
    });
    const open = message.filterChains.find(({ name }) => name === 'virtualInbound-catchall-http');
    expect(managerOf(open).httpFilters.map(({ name }) => name)).toEqual(['envoy.filters.http.router']);
    const cluster = set.clusters.get('inbound|8080||');
    expect(cluster && CLUSTER.decode(set.encoders.cluster(cluster)).resource.connectTimeoutMs).toBe(3000);
  });
});

describe('clusters', () => {
  const clusterOf = (text: string, port = 8080, metadata: Partial<NodeMetadata> = {}): Cluster => {
    const found = beside(text, metadata).clusters.get(`inbound|${port}||`);
    if (found === undefined) throw new Error('no cluster');
    // What Envoy would take, our decoder does, too.
    return CLUSTER.decode(CLUSTER.encode(found)).resource;
  };

  test('go where a connection wanted to go, by an address that is not captured again', () => {
    expect(clusterOf(CART)).toMatchObject({
      discovery: { kind: 'original-dst' },
      lbPolicy: { kind: 'cluster-provided' },
      sourceAddress: '127.0.0.6',
      tls: undefined,
    });
    const { clusters } = beside(CART);
    expect(clusters.get('InboundPassthroughCluster')).toMatchObject({
      discovery: { kind: 'original-dst' },
      sourceAddress: '127.0.0.6',
      idleTimeoutMs: 300_000,
      protocol: { kind: 'downstream' },
    });
    expect(clusters.get('BlackHoleCluster')).toMatchObject({
      discovery: { kind: 'static', assignment: { localities: [] } },
    });
  });

  test('go to loopback where the mesh says so', () => {
    const mesh = networking('MeshConfig', 'mesh', 'inboundTrafficPolicy: {mode: LOCALHOST}').replace(
      'networking.istio.io/v1',
      'inmesh.dev/v1',
    );
    const cluster = clusterOf(mesh + CART);
    expect(cluster.discovery).toMatchObject({
      assignment: { localities: [{ endpoints: [{ address: { address: '127.0.0.1', port: 8080 } }] }] },
    });
    expect(cluster.sourceAddress).toBeUndefined();
  });

  test.each<[string, string, object, string | undefined]>([
    ['127.0.0.1:9000', 'HTTP', { address: '127.0.0.1', port: 9000 }, undefined],
    ['0.0.0.0:9000', 'HTTP', { address: '192.0.2.7', port: 9000 }, '127.0.0.6'],
    ['"[::]:9000"', 'HTTP', { address: '2001:db8::7', port: 9000 }, '127.0.0.6'],
    ['unix:///run/app.sock', 'HTTP', { address: '/run/app.sock', port: 0 }, undefined],
  ])('of a Sidecar go to its defaultEndpoint: %s', (endpoint, protocol, address, source) => {
    const text = sidecar(
      `ingress: [{port: {number: 6000, protocol: ${protocol}, name: p}, defaultEndpoint: ${endpoint}}]`,
    );
    const cluster = clusterOf(text, 6000);
    expect(cluster.discovery).toMatchObject({ assignment: { localities: [{ endpoints: [{ address }] }] } });
    expect(cluster.sourceAddress).toBe(source);
  });

  test('of a Sidecar without a defaultEndpoint go where a connection wanted to go', () => {
    const text = sidecar('ingress: [{port: {number: 6000, protocol: HTTP, name: p}}]');
    expect(clusterOf(text, 6000).discovery.kind).toBe('original-dst');
  });

  test.each([
    ['http', undefined],
    ['grpc', 'http2'],
    ['tcp', undefined],
    ['any', 'downstream'],
  ])('speak what their port says: %s', (name, kind) => {
    expect(clusterOf(service('cart', 8080, 'default', name)).protocol?.kind).toBe(kind);
  });

  const rule = (pool: string, more = '') =>
    networking('DestinationRule', 'cart', `host: cart\n${more}trafficPolicy: ${pool}`);
  const max = (count: number) => `{connectionPool: {tcp: {maxConnections: ${count}}}}`;

  test.each<[string, string, number]>([
    ['nothing says: no limit', '', 4_294_967_295],
    ['the DestinationRule', rule(max(1)), 1],
    [
      'its settings for the port',
      rule(
        `{connectionPool: {tcp: {maxConnections: 1}}, portLevelSettings: [{port: {number: 8080}, connectionPool: {tcp: {maxConnections: 2}}}]}`,
      ),
      2,
    ],
    [
      'not one for some clients alone',
      rule(max(1), 'workloadSelector: {matchLabels: {app: cart}}\n'),
      4_294_967_295,
    ],
    ['the Sidecar before it', rule(max(1)) + sidecar('inboundConnectionPool: {tcp: {maxConnections: 3}}'), 3],
    [
      'as a whole',
      rule(max(1)) + sidecar('inboundConnectionPool: {http: {http2MaxRequests: 3}}'),
      4_294_967_295,
    ],
    [
      'the port of the Sidecar before all',
      rule(max(1)) +
        sidecar(
          'inboundConnectionPool: {tcp: {maxConnections: 3}}\ningress: [{port: {number: 8080, protocol: HTTP, name: p}, connectionPool: {tcp: {maxConnections: 4}}}]',
        ),
      4,
    ],
    [
      'the Sidecar for a port that says nothing',
      sidecar(
        'inboundConnectionPool: {tcp: {maxConnections: 3}}\ningress: [{port: {number: 8080, protocol: HTTP, name: p}}]',
      ),
      3,
    ],
  ])('have the pool that is nearest: %s', (_, text, expected) => {
    expect(clusterOf(CART + text).circuitBreakers.default.maxConnections).toBe(expected);
  });

  test('eject nobody, as there is but one', () => {
    expect(
      clusterOf(CART + rule('{outlierDetection: {consecutive5xxErrors: 1}}')).outlierDetection,
    ).toBeUndefined();
  });
});

describe('in the course of time', () => {
  const store = createConfigStore({ clock: systemClock, logger: silentLogger });
  const view = (content: string) => {
    const result = store.propose('test', { files: [{ file: 'mesh.yaml', content }] });
    if (!result.accepted) throw new Error('refused');
    return store.current.value;
  };
  const registry = registryOf([]);
  const node = nodeOf(NODE);

  test('replicas share what they are sent, and nothing is made anew by what is not about it', () => {
    const compiler = createCompiler(DEFAULT_MESH_CONFIG);
    const first = compiler.compile(view(CART), registry, node);
    const replica = nodeOf({
      ...NODE,
      LABELS: { app: 'cart', 'pod-template-hash': 'x' },
      INSTANCE_IPS: '192.0.2.8',
    });
    const other = compiler.compile(view(CART), registry, replica);
    expect(other.wireListeners).toBe(first.wireListeners);
    expect(other.clusters).toBe(first.clusters);
    const later = compiler.compile(view(CART + service('other', 1)), registry, node);
    expect(later.wireListeners.get('virtualInbound')).toBe(first.wireListeners.get('virtualInbound'));
    expect(later.clusters.get('inbound|8080||')).toBe(first.clusters.get('inbound|8080||'));
    const strict = compiler.compile(view(CART + peers('mtls: {mode: STRICT}')), registry, node);
    expect(strict.wireListeners.get('virtualInbound')).not.toBe(first.wireListeners.get('virtualInbound'));
    const back = compiler.compile(view(CART), registry, node);
    expect(back.wireListeners.get('virtualInbound')).toEqual(first.wireListeners.get('virtualInbound'));
  });

  test('a new port of a service is a new chain and cluster', () => {
    const compiler = createCompiler(DEFAULT_MESH_CONFIG);
    compiler.compile(view(CART), registry, node);
    const set = compiler.compile(view(service('cart', 8081)), registry, node);
    expect([...set.clusters.keys()].filter((name) => name.startsWith('inbound|'))).toEqual([
      'inbound|8081||',
    ]);
    expect(chainsOf(listenerOf(set), 8081)).toHaveLength(2);
  });
});
