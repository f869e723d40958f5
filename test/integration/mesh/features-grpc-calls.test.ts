import * as grpc from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { meshClient } from '../../../src/bindings/grpc/mesh-client.js';
import type { EjectionEvent, Mesh } from '../../../src/index.js';
import { TestClient } from '../grpc/interop-service.js';
import { answer, answerOnly, frame, type Script, serveScripts } from '../grpc/scripted-server.js';
import { istio, World } from './features-world.js';

let world: World;
afterEach(() => world.close());

/** Servers that answer as told, of one service `shop.test:50051`; which of them a call reached is its last detail. */
async function shop(scripts: readonly Script[], more: string): Promise<readonly number[]> {
  const servers = await Promise.all(
    scripts.map((script) => serveScripts({ UnaryCall: script, EmptyCall: script })),
  );
  const ports = servers.map(({ port }) => port);
  const endpoints = ports.map(
    (port, i) => `    - { address: 127.0.0.1, labels: { version: v${i} }, ports: { grpc: ${port} } }`,
  );
  world = await World.start(
    [
      istio(
        'ServiceEntry',
        'shop',
        `hosts: [shop.test]
ports: [{ number: 50051, name: grpc, protocol: GRPC }]
resolution: STATIC
location: MESH_INTERNAL
endpoints:
${endpoints.join('\n')}`,
      ),
      more,
    ].join('\n---\n'),
  );
  world.onClose(async () => {
    for (const server of servers) await server.close();
  });
  return ports;
}

function clientOf(mesh: Mesh): TestClient {
  const client = meshClient(mesh, TestClient, 'shop.test:50051');
  world.onClose(async () => client.close());
  return client;
}

type Method = 'unaryCall' | 'emptyCall';

/** What a call ended with. */
function call(client: TestClient, method: Method, metadata: Record<string, string> = {}): Promise<string> {
  const headers = new grpc.Metadata();
  for (const [name, value] of Object.entries(metadata)) headers.set(name, value);
  return new Promise((resolve) => {
    client[method]({}, headers, {}, (error) => resolve(error === null ? 'OK' : error.details));
  });
}

/** Answers with an error that says who it is. */
const named = (name: string): Script =>
  answerOnly({ ':status': 200, 'grpc-status': '5', 'grpc-message': name });

const PLAIN = 'tls: { mode: DISABLE }';
const SUBSETS = `host: shop.test
trafficPolicy: { ${PLAIN} }
subsets:
  - { name: v0, labels: { version: v0 } }
  - { name: v1, labels: { version: v1 } }`;

test('calls are routed by method and metadata, and aborted with statuses of gRPC', async () => {
  const rules = `hosts: [shop.test]
http:
  - match: [{ uri: { exact: /grpc.testing.TestService/EmptyCall } }]
    fault: { abort: { grpcStatus: RESOURCE_EXHAUSTED, percentage: { value: 100 } } }
    route: [{ destination: { host: shop.test, subset: v0 } }]
  - match: [{ headers: { x-user: { exact: ada } } }]
    route: [{ destination: { host: shop.test, subset: v1 } }]
  - route: [{ destination: { host: shop.test, subset: v0 } }]`;
  await shop(
    [named('v0'), named('v1')],
    [istio('DestinationRule', 'shop', SUBSETS), istio('VirtualService', 'shop', rules)].join('\n---\n'),
  );
  const client = clientOf(await world.join());
  expect(await call(client, 'unaryCall')).toBe('v0');
  expect(await call(client, 'unaryCall', { 'x-user': 'ada' })).toBe('v1');
  expect(await call(client, 'emptyCall')).toBe('fault filter abort (INMESH_FAULT_INJECTED)');
});

test('a host whose calls end badly is ejected, though its status comes with the trailers', async () => {
  const failing = answer({ pieces: [frame('')], trailers: { 'grpc-status': '14', 'grpc-message': 'bad' } });
  const policy = `host: shop.test
trafficPolicy:
  ${PLAIN}
  loadBalancer: { simple: ROUND_ROBIN }
  outlierDetection: { consecutive5xxErrors: 2, interval: 10s, baseEjectionTime: 60s, maxEjectionPercent: 50 }`;
  const [bad] = await shop([failing, named('good')], istio('DestinationRule', 'shop', policy));
  const events: EjectionEvent[] = [];
  const mesh = await world.join({ observers: [{ ejected: (event) => events.push(event) }] });
  const client = clientOf(mesh);
  for (let i = 0; i < 8; i++) await call(client, 'unaryCall');
  expect(events.map(({ host, type }) => [host, type])).toEqual([[`127.0.0.1:${bad}`, 'Consecutive5xx']]);
  for (let i = 0; i < 4; i++) expect(await call(client, 'unaryCall')).toBe('good');
  expect(mesh.metrics()).toMatch(
    /istio_requests_total\{[^}]*request_protocol="grpc"[^}]*grpc_response_status="14"/,
  );
});
