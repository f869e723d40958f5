import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import type { ClientSideWrrPolicy } from '../../../src/model/lb-policy.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../../src/model/upstream-protocol.js';
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

/** How often each of the servers answered. */
async function sharesOf(dispatcher: MeshDispatcher): Promise<Record<string, number>> {
  const counts = new Map<string, number>();
  for (let i = 0; i < 40; i++) {
    const { body } = await dispatcher.request({ origin: 'http://echo', path: '/', method: 'GET' });
    const text = await body.text();
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return Object.fromEntries(counts);
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
  await eventually('weights count', async () => (await sharesOf(dispatcher))['300'] === 30);
});

const BY_STREAMS: ClientSideWrrPolicy = {
  kind: 'client-side-wrr',
  oobPeriodMs: 1000,
  blackoutMs: 0,
  expirationMs: 60_000,
  updateMs: 100,
  errorPenalty: 1,
  metricNames: [],
};

test('servers of the mesh report their load over streams, with mutual TLS', async () => {
  const world = await World.start('');
  closers.push(() => world.close());
  const members = [];
  for (const rps of [300, 100]) {
    const member = await world.serve({ service: `echo-${rps}` }, (request, response) => {
      response.end(request.url?.includes('OpenRca') === true ? 'reached the application' : String(rps));
    });
    member.mesh.reportLoad({ rps, applicationUtilization: 1, namedMetrics: { queue: 7 } });
    members.push(member);
  }
  const { identity } = await world.join();
  const lbPolicy = BY_STREAMS;
  const tls = { mode: 'mesh', sni: undefined, subjectAltNames: [], alpn: [] } as const;
  const mesh = createStaticMesh(
    snapshotOf(
      [host('echo:80', [forward('echo')])],
      [
        cluster(
          'echo',
          members.map(({ port }) => endpoint(port)),
          { lbPolicy, tls },
        ),
      ],
    ),
    {},
    identity,
  );
  const dispatcher = new MeshDispatcher(mesh);
  closers.push(
    () => mesh.close(),
    () => dispatcher.close(),
  );
  await eventually('weights count', async () => (await sharesOf(dispatcher))['300'] === 30);
  expect(mesh.clusters.get('echo')?.stats().loadStreams).toMatchObject({
    active: 2,
    failures: 0,
    terminated: 0,
  });
  // Whoever serves streams can still leave in an orderly way.
  const before = Date.now();
  await members[0]?.mesh.close();
  expect(Date.now() - before).toBeLessThan(20_000);
});

test('a server without such a service is not asked again', async () => {
  const asked: string[] = [];
  const server = createHttp2Server((request, response) => {
    asked.push(request.url);
    request.resume();
    if (!request.url.includes('OpenRca')) {
      response.end('ok');
      return;
    }
    response.writeHead(200, { 'content-type': 'application/grpc' });
    response.addTrailers({ 'grpc-status': '12' });
    response.end();
  }).listen(0, '127.0.0.1');
  closers.push(() => server.close());
  await once(server, 'listening');
  // As above.
  const { port } = server.address() as AddressInfo;
  const protocol = { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS } as const;
  const mesh = createStaticMesh(
    snapshotOf(
      [host('echo:80', [forward('echo')])],
      [cluster('echo', [endpoint(port)], { lbPolicy: { ...BY_STREAMS, oobPeriodMs: 50 }, protocol })],
    ),
  );
  const dispatcher = new MeshDispatcher(mesh);
  closers.push(
    () => mesh.close(),
    () => dispatcher.close(),
  );
  const stats = () => mesh.clusters.get('echo')?.stats().loadStreams;
  const get = () => dispatcher.request({ origin: 'http://echo', path: '/', method: 'GET' });
  await (await get()).body.dump();
  await eventually('the service is missing', async () => stats()?.terminated === 1);
  await (await get()).body.dump();
  expect(asked.filter((url) => url.includes('OpenRca'))).toHaveLength(1);
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

test('members of a mesh report to their control plane what they sent, when it wants to know', async () => {
  const world = await World.start('', { loadReportIntervalMs: 100 });
  closers.push(() => world.close());
  await world.serve({ service: 'echo' }, (request, response) => {
    response.writeHead(request.url === '/bad' ? 503 : 200).end();
  });
  const client = await world.join();
  for (const path of ['/', '/', '/bad']) await (await client.fetch(`http://echo${path}`)).text();
  const { http } = world.plane.addresses;
  await eventually('the report', async () => {
    const text = await (await fetch(`http://${http}/api/load`)).text();
    return /echo/.test(text) && /"issued":\s*3/.test(text);
  });
});
