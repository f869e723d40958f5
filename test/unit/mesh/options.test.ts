import { describe, expect, test } from 'vitest';
import { describeNode } from '../../../src/mesh/node.js';
import { resolveOptions } from '../../../src/mesh/options.js';
import type { Surroundings } from '../../../src/mesh/surroundings.js';

function around(change: Partial<Surroundings> = {}): Surroundings {
  return {
    env: {},
    packageInfo: {},
    userCacheDir: '/home/me/.cache/inmesh',
    instance: '42-abc',
    readFile: () => {
      throw new Error('no such file');
    },
    ...change,
  };
}

const BOOTSTRAP = JSON.stringify({
  xds_servers: [{ server_uri: 'dns:///istiod:15010', channel_creds: [{ type: 'insecure' }] }],
  node: { id: 'sidecar~1.2.3.4~a.b~b.svc.cluster.local', locality: { region: 'r', zone: 'z' } },
  server_listener_resource_name_template: 'inbound/%s',
});

describe('resolveOptions', () => {
  test('nothing is required', () => {
    expect(resolveOptions({}, around())).toMatchObject({
      service: 'unknown',
      namespace: 'default',
      serviceAccount: 'default',
      address: '127.0.0.1',
      controlPlane: '127.0.0.1:15010',
      certificateAuthority: '127.0.0.1:15010',
      cacheDir: '/home/me/.cache/inmesh',
      nodeId: 'sidecar~127.0.0.1~unknown-42-abc.default~default.svc.cluster.local',
    });
  });

  test('the service’s name comes from code, then INMESH_SERVICE, then OTEL_SERVICE_NAME, then package.json', () => {
    const packageInfo = { name: '@shop/Order_Service', version: '1.2.0' };
    const env = { INMESH_SERVICE: 'b', OTEL_SERVICE_NAME: 'c' };
    const names = [
      resolveOptions({ service: 'a' }, around({ env, packageInfo })).service,
      resolveOptions({}, around({ env, packageInfo })).service,
      resolveOptions({}, around({ env: { OTEL_SERVICE_NAME: 'c' }, packageInfo })).service,
      resolveOptions({}, around({ packageInfo })).service,
    ];
    expect(names).toEqual(['a', 'b', 'c', 'order-service']);
  });

  test('a gRPC bootstrap gives server, node and locality; INMESH_CONTROL_PLANE wins over it', () => {
    const env = { GRPC_XDS_BOOTSTRAP_CONFIG: BOOTSTRAP };
    expect(resolveOptions({}, around({ env }))).toMatchObject({
      controlPlane: 'istiod:15010',
      nodeId: 'sidecar~1.2.3.4~a.b~b.svc.cluster.local',
      locality: { region: 'r', zone: 'z', subZone: '' },
      inboundTemplate: 'inbound/%s',
    });
    const both = { ...env, INMESH_CONTROL_PLANE: 'here:1' };
    expect(resolveOptions({}, around({ env: both })).controlPlane).toBe('here:1');
  });

  test('who this process is comes from the bootstrap’s node, after code and environment', () => {
    const metadata = {
      GENERATOR: 'grpc',
      NAMESPACE: 'prod',
      SERVICE_ACCOUNT: 'shopper',
      CLUSTER_ID: 'c1',
      INSTANCE_IPS: '10.0.0.5,fd00::5',
      LABELS: { app: 'shop', 'service.istio.io/canonical-revision': 'v2' },
      PROXY_CONFIG: { deep: [1] },
    };
    const text = JSON.stringify({ ...JSON.parse(BOOTSTRAP), node: { id: 'me', cluster: 'mine', metadata } });
    const env = { GRPC_XDS_BOOTSTRAP_CONFIG: text };
    const resolved = resolveOptions({ labels: { tier: 'api' } }, around({ env }));
    expect(resolved).toMatchObject({
      service: 'shop',
      version: 'v2',
      namespace: 'prod',
      serviceAccount: 'shopper',
      clusterId: 'c1',
      address: '10.0.0.5',
      nodeId: 'me',
      nodeCluster: 'mine',
      labels: { app: 'shop', tier: 'api' },
    });
    expect(describeNode(resolved, [])).toMatchObject({
      metadata: { GENERATOR: 'grpc', NAMESPACE: 'prod' },
      extra: { PROXY_CONFIG: { deep: [1] } },
    });
    expect(resolveOptions({ namespace: 'other' }, around({ env })).namespace).toBe('other');
    expect(resolveOptions({}, around({ env: { ...env, INMESH_SERVICE: 'x' } })).service).toBe('x');
  });

  test('the identity comes from the files of the bootstrap’s certificate provider, unless an authority is named', () => {
    const config = { certificate_file: 'c', private_key_file: 'k', ca_certificate_file: 'r' };
    const certificate_providers = { default: { plugin_name: 'file_watcher', config } };
    const text = JSON.stringify({ ...JSON.parse(BOOTSTRAP), certificate_providers });
    const env = { GRPC_XDS_BOOTSTRAP_CONFIG: text };
    const files = { certificateFile: 'c', keyFile: 'k', bundleFile: 'r', refreshMs: 600_000 };
    expect(resolveOptions({}, around({ env })).identityFiles).toEqual(files);
    expect(resolveOptions({ certificateAuthority: 'ca:1' }, around({ env })).identityFiles).toBeUndefined();
    expect(resolveOptions({}, around()).identityFiles).toBeUndefined();
  });

  test('certificate providers are known by their names; the only one, or `default`, is the identity', () => {
    const provider = (name: string, more: object = {}) => ({
      plugin_name: 'file_watcher',
      config: {
        certificate_file: `${name}.crt`,
        private_key_file: `${name}.key`,
        ca_certificate_file: `${name}.ca`,
        ...more,
      },
    });
    const resolved = (certificate_providers: object) => {
      const text = JSON.stringify({ ...JSON.parse(BOOTSTRAP), certificate_providers });
      return resolveOptions({}, around({ env: { GRPC_XDS_BOOTSTRAP_CONFIG: text } }));
    };
    const one = resolved({ spiffe: provider('a', { spiffe_trust_bundle_map_file: 'map.json' }) });
    expect(one.providers).toEqual(new Map([['spiffe', 'mesh']]));
    expect(one.identityFiles).toMatchObject({ bundleFile: 'map.json', isBundleMap: true });
    const two = resolved({ default: provider('a'), web: provider('b') });
    expect(two.identityFiles).toMatchObject({ certificateFile: 'a.crt', bundleFile: 'a.ca' });
    const file = (path: string) => ({ kind: 'file', path });
    expect(two.providers?.get('web')).toEqual({
      certificate: { chain: file('b.crt'), key: file('b.key') },
      roots: file('b.ca'),
    });
    expect(resolved({}).providers).toBeUndefined();
  });

  test('the identity comes from the Workload API that the environment names, unless an authority is named', () => {
    const env = { SPIFFE_ENDPOINT_SOCKET: 'unix:///run/agent.sock' };
    const identity = { kind: 'workloadApi', endpoint: 'unix:///run/agent.sock' };
    expect(resolveOptions({}, around({ env })).identity).toEqual(identity);
    expect(
      resolveOptions({ identity: { kind: 'workloadApi', hint: 'x' } }, around({ env })).identity,
    ).toEqual({
      ...identity,
      hint: 'x',
    });
    expect(resolveOptions({ certificateAuthority: 'ca:1' }, around({ env })).identity).toBeUndefined();
    expect(resolveOptions({}, around({ env: { SPIFFE_ENDPOINT_SOCKET: '' } })).identity).toBeUndefined();
    expect(() => resolveOptions({ identity: { kind: 'workloadApi' } }, around())).toThrow(
      'INMESH_OPTION_INVALID',
    );
  });

  test('labels, locality and the cache come from the environment', () => {
    const env = { INMESH_LABELS: 'team=a, tier=web', INMESH_LOCALITY: 'eu/1/a', INMESH_CACHE_DIR: 'off' };
    expect(resolveOptions({ labels: { tier: 'api' } }, around({ env }))).toMatchObject({
      labels: { team: 'a', tier: 'api' },
      locality: { region: 'eu', zone: '1', subZone: 'a' },
      cacheDir: undefined,
    });
  });

  test('the variant of xDS comes from code, then INMESH_XDS_PROTOCOL', () => {
    const env = { INMESH_XDS_PROTOCOL: 'delta' };
    expect(resolveOptions({}, around()).control.servers[0]?.protocol).toBe('sotw');
    expect(resolveOptions({}, around({ env })).control.servers[0]?.protocol).toBe('delta');
    expect(resolveOptions({ xdsProtocol: 'sotw' }, around({ env })).control.servers[0]?.protocol).toBe(
      'sotw',
    );
    const wrong = { INMESH_XDS_PROTOCOL: 'rest' };
    expect(() => resolveOptions({}, around({ env: wrong }))).toThrow(/INMESH_OPTION_INVALID.*rest/);
  });

  test.each([
    [{ service: 'Not A Name' }, /INMESH_OPTION_INVALID.*service/],
    [{ namespace: 'a/../b' }, /INMESH_OPTION_INVALID.*namespace/],
    [{ controlPlane: 'nowhere' }, /INMESH_OPTION_INVALID.*host:port/],
    [{ startupTimeoutMs: Number.NaN }, /INMESH_OPTION_INVALID.*startupTimeoutMs/],
  ])('%o is refused', (options, message) => {
    expect(() => resolveOptions(options, around())).toThrow(message);
  });

  test.each([
    ['{', /INMESH_BOOTSTRAP_INVALID.*JSON/],
    ['{}', /INMESH_BOOTSTRAP_INVALID.*server_uri/],
    ['{"xds_servers":[{"server_uri":"a:1","channel_creds":[{"type":"alts"}]}]}', /alts/],
  ])('the bootstrap %s is refused', (text, message) => {
    const env = { GRPC_XDS_BOOTSTRAP_CONFIG: text };
    expect(() => resolveOptions({}, around({ env }))).toThrow(message);
  });

  test('a bootstrap file that is not there is named', () => {
    const env = { GRPC_XDS_BOOTSTRAP: '/etc/none.json' };
    expect(() => resolveOptions({}, around({ env }))).toThrow(/INMESH_BOOTSTRAP_INVALID.*\/etc\/none\.json/);
  });
});
