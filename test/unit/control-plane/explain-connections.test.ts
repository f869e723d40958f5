import { expect, test } from 'vitest';
import { explainIn } from '../../../src/control-plane/explain/explain-in.js';
import { DEFAULT_MESH_CONFIG } from '../../../src/control-plane/mesh/mesh-config.js';
import { networking, registryOf, service, viewOf } from './compile/mesh.js';

const TEXT = [
  service('db', 5432, 'default', 'tcp'),
  service('replica', 5432, 'default', 'tcp'),
  service('web', 443, 'default', 'tls'),
  service('cart', 9000, 'default', 'grpc'),
  networking(
    'VirtualService',
    'db',
    `hosts: [db]
tcp:
- match: [{ port: 5432 }]
  route:
  - { destination: { host: db }, weight: 90 }
  - { destination: { host: replica }, weight: 10 }`,
  ),
  networking(
    'VirtualService',
    'web',
    `hosts: [web.default.svc.cluster.local]
tls:
- match: [{ port: 443, sniHosts: [web.default.svc.cluster.local] }]
  route: [{ destination: { host: replica, port: { number: 5432 } } }]`,
  ),
  networking(
    'VirtualService',
    'cart',
    `hosts: [cart]
http:
- match: [{ uri: { exact: /shop.Cart/Add } }]
  timeout: 4s
  retries: { attempts: 3, retryOn: 'unavailable,cancelled' }
  route: [{ destination: { host: cart } }]
- route: [{ destination: { host: cart } }]`,
  ),
].join('');

const WORKLOADS = [
  { service: 'db', address: '10.0.0.1', port: 5432, portName: 'tcp', labels: { app: 'db' } },
  { service: 'replica', address: '10.0.0.2', port: 5432, portName: 'tcp', labels: { app: 'replica' } },
];

function explain(url: string, more: { readonly draw?: number; readonly headers?: [string, string][] } = {}) {
  const state = { view: viewOf(TEXT), registry: registryOf(WORKLOADS), config: DEFAULT_MESH_CONFIG };
  return explainIn(state, { method: 'GET', url, ...more });
}

const clusterOf = (host: string, port = 5432) => `outbound|${port}||${host}.default.svc.cluster.local`;

test('a connection goes by the tcp routes of its host and port, with every share', async () => {
  const told = await explain('tcp://db:5432');
  expect(told).toMatchObject({
    outcome: 'forwarded',
    request: { method: '', scheme: 'tcp', authority: 'db:5432', path: '' },
    listener: 'db.default.svc.cluster.local:5432',
    cluster: clusterOf('db'),
    clusters: [{ share: 90 }, { share: 10 }],
    retries: null,
    rewritten: null,
    documents: [{ kind: 'VirtualService', name: 'db' }],
  });
  expect(told.endpoints.map(({ address }) => address)).toEqual(['10.0.0.1']);
  const draws = Array.from({ length: 40 }, (_, index) => index / 40);
  const drawn = await Promise.all(
    draws.map(async (draw) => (await explain('tcp://db:5432', { draw })).cluster),
  );
  expect(new Set(drawn)).toEqual(new Set([clusterOf('db'), clusterOf('replica')]));
});

test('of TLS the name that is asked for decides, and one that no route names is not let through', async () => {
  expect(await explain('tls://web.default.svc.cluster.local')).toMatchObject({
    outcome: 'forwarded',
    cluster: clusterOf('replica'),
    route: { match: { server_names: ['web.default.svc.cluster.local'] } },
  });
  expect(await explain('tls://web:443')).toMatchObject({ outcome: 'refused', cluster: null });
});

test('a call of gRPC is a POST for its method, with the limits and retries of its route and of its caller', async () => {
  expect(await explain('grpc://cart:9000/shop.Cart/Add')).toMatchObject({
    outcome: 'forwarded',
    request: { method: 'POST', scheme: 'http', path: '/shop.Cart/Add' },
    route: { index: 0 },
    timeouts: { requestMs: 4000 },
    retries: { retryOn: ['unavailable', 'cancelled'], numRetries: 3 },
  });
  const asked = await explain('grpc://cart:9000/shop.Cart/Add', { headers: [['grpc-timeout', '1500m']] });
  expect(asked.timeouts?.requestMs).toBe(1500);
  expect((await explain('grpc://cart:9000/shop.Cart/Get')).timeouts?.requestMs).toBe(0);
});

test('a port of HTTP takes connections by its route for every path, and strangers go their usual way', async () => {
  expect(await explain('tcp://cart:9000')).toMatchObject({
    outcome: 'forwarded',
    request: { scheme: 'tcp' },
    cluster: clusterOf('cart', 9000),
    timeouts: null,
  });
  expect(await explain('tcp://elsewhere.test:22')).toMatchObject({
    outcome: 'passed-through',
    listener: null,
  });
});

test.each(['tcp://db', 'tls://', 'grpc://cart:9000/', 'grpc://cart:9000/shop.Cart', 'udp://db:53'])(
  '%s is refused',
  async (url) => {
    await expect(explain(url)).rejects.toMatchObject({ code: 'INMESH_OPTION_INVALID' });
  },
);
