import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { reportLoad } from '../../../src/server.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';
import { World } from './features-world.js';
import { eventually } from './support.js';

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server outside of the mesh that says how loaded it is, in headers or in trailers. */
async function serveSaying(rps: number, where: 'headers' | 'trailers'): Promise<number> {
  const load = `TEXT rps_fractional=${rps},cpu_utilization=1`;
  const server = createServer((_request, response) => {
    if (where === 'headers') response.setHeader('endpoint-load-metrics', load);
    else {
      response.setHeader('trailer', 'endpoint-load-metrics');
      response.addTrailers({ 'endpoint-load-metrics': load });
    }
    response.write(String(rps));
    response.end();
  }).listen(0, '127.0.0.1');
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  await once(server, 'listening');
  // A listening TCP server has an address of this form.
  return (server.address() as AddressInfo).port;
}

test('hosts get requests by the load that they report, in headers or trailers', async () => {
  const ports = [await serveSaying(300, 'headers'), await serveSaying(100, 'trailers')];
  const mesh = createStaticMesh(
    snapshotOf(
      [host('echo:80', [forward('echo')])],
      [
        cluster(
          'echo',
          ports.map((port) => endpoint(port)),
          {
            lbPolicy: {
              kind: 'client-side-wrr',
              oobPeriodMs: undefined,
              blackoutMs: 0,
              expirationMs: 60_000,
              updateMs: 100,
              errorPenalty: 1,
              metricNames: [],
            },
          },
        ),
      ],
    ),
  );
  const dispatcher = new MeshDispatcher(mesh);
  closers.push(
    () => mesh.close(),
    () => dispatcher.close(),
  );
  const shares = async () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 40; i++) {
      const { body } = await dispatcher.request({ origin: 'http://echo', path: '/', method: 'GET' });
      const text = await body.text();
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    return Object.fromEntries(counts);
  };
  await eventually('weights count', async () => (await shares())['300'] === 30);
});

test('a server of the mesh reports its load to members who ask, and what its application says to all', async () => {
  const world = await World.start('');
  closers.push(() => world.close());
  await world.serve({ service: 'echo' }, (request, response) => {
    if (request.url === '/queue') reportLoad(request, { namedMetrics: { queue: 7 } });
    response.end();
  });
  const client = await world.join();
  const ask = { headers: { 'endpoint-load-metrics-format': 'TEXT' } };
  const reported = async (path: string, init = {}) => {
    const response = await client.fetch(`http://echo${path}`, init);
    await response.text();
    return response.headers.get('endpoint-load-metrics');
  };
  expect(await reported('/')).toBeNull();
  expect(await reported('/queue')).toBe('TEXT named_metrics.queue=7');
  await eventually('a second was measured', async () => (await reported('/', ask)) !== null);
  expect(await reported('/', ask)).toMatch(
    /^TEXT application_utilization=[\d.e-]+,cpu_utilization=[\d.e-]+,rps_fractional=[\d.]+,eps=0$/,
  );
});
