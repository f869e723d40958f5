import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { afterEach, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { createMeshTls } from '../../../src/identity/tls-options.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

test('hosts that share an endpoint share its mTLS connections, and each is asked for by its own name', async () => {
  const ca = await createTestCa();
  const identity = ca.source('reviews');
  const tls = createMeshTls(identity, { clock: systemClock });
  let connections = 0;
  const server = createServer(tls.serverOptions(), (incoming, response) =>
    response.end(incoming.headers.host),
  );
  server.on('secureConnection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const names = [
    'reviews:9080',
    'reviews.default.svc:9080',
    'reviews.example:80',
    '10.0.0.1:80',
    '[::1]:9080',
  ];
  const mesh = createStaticMesh(
    snapshotOf(
      names.map((name) => host(name, [forward('reviews')])),
      [
        cluster('reviews', [endpoint(port)], {
          tls: { mode: 'mesh', sni: undefined, subjectAltNames: [], alpn: [] },
        }),
      ],
    ),
    {},
    identity,
  );
  const dispatcher = new MeshDispatcher(mesh);
  closers.push(
    () => tls.close(),
    () => server.close(),
    () => server.closeAllConnections(),
    () => mesh.close(),
    () => dispatcher.close(),
  );
  const ask = async (url: string, headers: Record<string, string> = {}) => {
    const { body } = await request(url, { dispatcher, headers });
    return body.text();
  };
  for (let round = 0; round < 2; round++) {
    expect(await ask('http://reviews:9080/')).toBe('reviews:9080');
    expect(await ask('http://reviews.default.svc:9080/')).toBe('reviews.default.svc:9080');
    expect(await ask('http://reviews.example/')).toBe('reviews.example');
    expect(await ask('http://10.0.0.1/')).toBe('10.0.0.1');
    expect(await ask('http://[::1]:9080/')).toBe('[::1]:9080');
    expect(await ask('http://reviews:9080/', { Host: 'Other' })).toBe('Other');
  }
  expect(connections).toBe(1);
});
