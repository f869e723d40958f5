import { EventEmitter, once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { afterEach, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { createMeshTls } from '../../../src/identity/tls-options.js';
import { systemClock } from '../../../src/runtime/clock.js';
import type { HealthEvent } from '../../../src/service/observer.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { healthCheck } from '../../unit/cluster/health/fixtures.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server that counts its checks and whose health the test decides. */
async function start(name: string) {
  const state = { healthy: true, checks: 0, connections: 0 };
  const listener: RequestListener = ({ url }, response) => {
    if (url !== '/healthz') {
      response.end(name);
      return;
    }
    state.checks++;
    response.writeHead(state.healthy ? 200 : 503).end();
  };
  const server = createServer(listener);
  server.on('connection', () => state.connections++);
  closers.push(
    () => server.close(),
    () => server.closeAllConnections(),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { state, server, listener, port: (server.address() as AddressInfo).port };
}

function listen() {
  const told = new EventEmitter();
  const health = (event: HealthEvent) => void told.emit(`${event.event} ${event.host}`, event);
  return { told, observer: { health } };
}

const CHECK = healthCheck({ intervalMs: 20, unhealthyThreshold: 2, healthyThreshold: 2 });

test('traffic goes around a host whose checks fail, and back when they pass', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const { told, observer } = listen();
  const mesh = createStaticMesh(
    snapshotOf(
      [host('reviews:80', [forward('reviews')])],
      [cluster('reviews', [endpoint(a.port), endpoint(b.port)], { healthCheck: CHECK })],
    ),
    observer,
  );
  const dispatcher = new MeshDispatcher(mesh);
  closers.push(
    () => mesh.close(),
    () => dispatcher.close(),
  );
  const ask = async () => (await request('http://reviews/', { dispatcher })).body.text();
  const answers = async () => new Set(await Promise.all([ask(), ask(), ask(), ask()]));
  expect(await answers()).toEqual(new Set(['a', 'b']));
  const out = once(told, `ejected 127.0.0.1:${a.port}`);
  a.state.healthy = false;
  await out;
  expect(await answers()).toEqual(new Set(['b']));
  const back = once(told, `added 127.0.0.1:${a.port}`);
  a.state.healthy = true;
  await back;
  expect(await answers()).toEqual(new Set(['a', 'b']));
  const gone = once(told, `ejected 127.0.0.1:${b.port}`);
  b.server.close();
  b.server.closeAllConnections();
  const [event] = await gone;
  expect(event).toMatchObject({ failure: 'NETWORK', message: expect.stringContaining('ECONNREFUSED') });
  expect(await answers()).toEqual(new Set(['a']));
  expect(a.state.checks).toBeGreaterThan(3);
});

test('checks go over the mTLS of the mesh, on one connection, and stop with the mesh', async () => {
  const ca = await createTestCa();
  const tls = createMeshTls(ca.source('reviews'), { clock: systemClock });
  let connections = 0;
  let checks = 0;
  const checked = new EventEmitter();
  const server = createTlsServer(tls.serverOptions(), (_request, response) => {
    checks++;
    response.end(() => checked.emit('check', checks));
  });
  server.on('secureConnection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { told, observer } = listen();
  const added = once(told, `added 127.0.0.1:${port}`);
  const mesh = createStaticMesh(
    snapshotOf(
      [host('reviews:80', [forward('reviews')])],
      [
        cluster('reviews', [endpoint(port)], {
          healthCheck: { ...CHECK, noTrafficIntervalMs: 20, noTrafficHealthyIntervalMs: 20 },
          tls: { mode: 'mesh', sni: undefined, subjectAltNames: [], alpn: [] },
        }),
      ],
    ),
    observer,
    ca.source('client'),
  );
  closers.push(
    () => tls.close(),
    () => server.close(),
    () => server.closeAllConnections(),
  );
  await added;
  while (checks < 4) await once(checked, 'check');
  expect(connections).toBe(1);
  await mesh.close();
  const closed = checks;
  await new Promise<void>((resolve) => {
    systemClock.schedule(100, resolve, true);
  });
  expect(checks).toBe(closed);
});
