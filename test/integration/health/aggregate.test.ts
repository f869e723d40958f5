import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { afterEach, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import type { Endpoint } from '../../../src/model/endpoint.js';
import type { ResolvedCluster } from '../../../src/model/snapshot.js';
import type { HealthEvent } from '../../../src/service/observer.js';
import { healthCheck } from '../../unit/cluster/health/fixtures.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(name: string) {
  const state = { healthy: true };
  const server = createServer(({ url }, response) => {
    response.writeHead(url === '/healthz' && !state.healthy ? 503 : 200).end(name);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(
    () => server.close(),
    () => server.closeAllConnections(),
  );
  return { state, port: (server.address() as AddressInfo).port };
}

/** A cluster whose one endpoint is a name. */
function byName(name: string, one: Endpoint): ResolvedCluster {
  const { assignment, cluster: config } = cluster(name, [
    { ...one, address: { ...one.address, address: 'localhost' } },
  ]);
  if (assignment === undefined) throw new Error('no endpoints');
  const discovery = {
    kind: 'strict-dns',
    assignment,
    refreshRateMs: 60_000,
    lookupFamily: 'v4-only',
  } as const;
  return { cluster: { ...config, discovery }, assignment: undefined };
}

test('an aggregate fails over from a checked cluster to one found by DNS, and back', async () => {
  const [first, second] = [await start('first'), await start('second')];
  const told = new EventEmitter();
  const health = ({ event }: HealthEvent) => void told.emit(event);
  const attempts: (readonly [string, string])[] = [];
  const mesh = createStaticMesh(
    snapshotOf(
      [host('reviews:80', [forward('all')])],
      [
        cluster('all', [], {
          discovery: { kind: 'aggregate', clusters: ['checked', 'named'] },
          lbPolicy: { kind: 'cluster-provided' },
        }),
        cluster('checked', [endpoint(first.port)], {
          healthCheck: healthCheck({ intervalMs: 20, healthyThreshold: 1 }),
        }),
        byName('named', endpoint(second.port)),
      ],
    ),
    { health, attempt: ({ context }, _one, name) => void attempts.push([context.clusterName ?? '', name]) },
  );
  const dispatcher = new MeshDispatcher(mesh);
  closers.push(
    () => mesh.close(),
    () => dispatcher.close(),
  );
  const ask = async () => (await request('http://reviews/', { dispatcher })).body.text();
  expect(await ask()).toBe('first');
  const out = once(told, 'ejected');
  first.state.healthy = false;
  await out;
  expect(await ask()).toBe('second');
  const back = once(told, 'added');
  first.state.healthy = true;
  await back;
  expect(await ask()).toBe('first');
  // The route names the aggregate; its member sent and counted.
  expect(attempts).toEqual([
    ['all', 'checked'],
    ['all', 'named'],
    ['all', 'checked'],
  ]);
  const active = (name: string) => mesh.clusters.get(name)?.stats().breakers.default.activeRequests;
  expect([active('all'), active('checked'), active('named')]).toEqual([0, 0, 0]);
  expect(mesh.clusters.get('checked')?.stats().hosts[0]).toMatchObject({ requests: 2, successes: 2 });
});
