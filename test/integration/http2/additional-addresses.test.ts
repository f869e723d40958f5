import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { afterEach, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import type { IdentitySource } from '../../../src/identity/source.js';
import { createMeshTls } from '../../../src/identity/tls-options.js';
import type { Cluster } from '../../../src/model/cluster.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../../src/model/upstream-protocol.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Nobody listens there. */
const CLOSED = 1;

async function get(port: number, change: Partial<Cluster>, identity?: IdentitySource): Promise<string> {
  const both = { ...endpoint(CLOSED), additionalAddresses: [{ address: '127.0.0.1', port }] };
  const mesh = createStaticMesh(
    snapshotOf([host('shop:80', [forward('shop')])], [cluster('shop', [both], change)]),
    {},
    identity,
  );
  const dispatcher = new MeshDispatcher(mesh);
  closers.push(
    () => mesh.close(),
    () => dispatcher.close(),
  );
  const { body } = await request('http://shop/', { dispatcher });
  return body.text();
}

test('an endpoint is reached at another of its addresses, over HTTP/1.1', async () => {
  const server = createServer((_incoming, response) => response.end('one')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  expect(await get((server.address() as AddressInfo).port, {})).toBe('one');
});

test('and over HTTP/2', async () => {
  const server = createHttp2Server((_incoming, response) => response.end('two')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  const protocol = { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS } as const;
  expect(await get((server.address() as AddressInfo).port, { protocol })).toBe('two');
});

test('and over the mTLS of the mesh', async () => {
  const ca = await createTestCa();
  const tls = createMeshTls(ca.source('shop'), { clock: systemClock });
  const server = createHttpsServer(tls.serverOptions(), (_incoming, response) => response.end('three'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(
    () => tls.close(),
    () => server.close(),
  );
  const mtls = { mode: 'mesh', sni: undefined, subjectAltNames: [], alpn: [] } as const;
  const { port } = server.address() as AddressInfo;
  expect(await get(port, { tls: mtls }, ca.source('client'))).toBe('three');
});
