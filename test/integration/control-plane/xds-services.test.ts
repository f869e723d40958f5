import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encodeNode } from '../../../src/codec/node.js';
import { CLUSTER, ROUTE_CONFIGURATION } from '../../../src/codec/resource-types.js';
import { RUNTIME } from '../../../src/codec/runtime.js';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  createControlPlane,
  createMemorySource,
  type MemorySource,
} from '../../../src/control-plane.js';
import { admin, discovery, endpoint, loadStats, matcher, status } from '../../../src/proto/xds.js';
import { nodeOf, service } from '../../unit/control-plane/compile/mesh.js';
import { AdsClient } from './ads-client.js';

const REVIEWS = 'outbound|9080||reviews.default.svc.cluster.local';
const RATINGS = 'outbound|9080||ratings.default.svc.cluster.local';
const closing: (() => unknown)[] = [];
const same = (bytes: Buffer) => bytes;
let plane: ControlPlane;
let source: MemorySource;

async function start(options: ControlPlaneOptions = {}) {
  const own = createMemorySource(service('reviews'));
  const started = await createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0 },
    sources: [own],
    debounceMs: { quietMs: 10, maxMs: 100 },
    settleMs: { quietMs: 10, maxMs: 10 },
    ...options,
  });
  return { source: own, plane: started };
}

beforeAll(async () => {
  ({ plane, source } = await start());
});

afterAll(() => plane.close());

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  // The next test starts with what is there at the start, and nobody connected.
  source.set(service('reviews'));
  while (plane.status().clients.length > 0) await new Promise((resolve) => setImmediate(resolve));
  await plane.waitApplied();
});

function connect(path?: string, target = plane.addresses.xds): AdsClient {
  const client = new AdsClient(target, credentials.createInsecure(), path);
  closing.push(() => client.close());
  return client;
}

function unary(path: string, request: Uint8Array): Promise<Buffer> {
  const client = new Client(plane.addresses.xds, credentials.createInsecure());
  closing.push(() => client.close());
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, same, same, Buffer.from(request), (error, value) => {
      if (error !== null || value === undefined) reject(error ?? new Error('nothing came'));
      else resolve(value);
    });
  });
}

const named = (id: string) => ({
  ...nodeOf(),
  id: `sidecar~127.0.0.1~${id}.default~default.svc.cluster.local`,
});

/** A client that has accepted the clusters. */
async function synced(id = 'a'): Promise<AdsClient> {
  const client = connect();
  client.send({ type: 'CDS', node: named(id) });
  client.ack(await client.next());
  return client;
}

describe('a service for one type', () => {
  const PATH = '/envoy.service.cluster.v3.ClusterDiscoveryService';

  test('streams that type, named or not, and no other', async () => {
    const client = connect(`${PATH}/StreamClusters`);
    client.send({ type: 'CDS', node: nodeOf() });
    expect([...(await client.next()).resources.keys()]).toEqual([REVIEWS]);
    client.send({ type: 'LDS' });
    expect(await client.ended()).toBe(3);
  });

  test('answers a single question', async () => {
    const request = create(discovery.DiscoveryRequestSchema, { node: encodeNode(nodeOf()) });
    const bytes = await unary(`${PATH}/FetchClusters`, toBinary(discovery.DiscoveryRequestSchema, request));
    const { resources, typeUrl } = fromBinary(discovery.DiscoveryResponseSchema, bytes);
    expect([typeUrl, resources.length]).toEqual([CLUSTER.typeUrl, 1]);
    await expect(unary(`${PATH}/FetchClusters`, new Uint8Array())).rejects.toMatchObject({ code: 3 });
  });

  test('speaks delta', async () => {
    const client = new Client(plane.addresses.xds, credentials.createInsecure());
    closing.push(() => client.close());
    const path = '/envoy.service.route.v3.RouteDiscoveryService/DeltaRoutes';
    const stream = client.makeBidiStreamRequest(path, same, same);
    stream.on('error', () => {});
    closing.push(() => stream.cancel());
    const came = new Promise<Buffer>((resolve) => stream.once('data', resolve));
    const request = create(discovery.DeltaDiscoveryRequestSchema, {
      node: encodeNode(nodeOf()),
      resourceNamesSubscribe: [REVIEWS, RATINGS],
    });
    stream.write(Buffer.from(toBinary(discovery.DeltaDiscoveryRequestSchema, request)));
    expect(fromBinary(discovery.DeltaDiscoveryResponseSchema, await came)).toMatchObject({
      typeUrl: ROUTE_CONFIGURATION.typeUrl,
      resources: [{ name: REVIEWS }],
      removedResources: [RATINGS],
    });
  });
});

test('layers of the runtime are there for those who ask for them, and change at once', async () => {
  const service = '/envoy.service.runtime.v3.RuntimeDiscoveryService';
  expect(() => plane.setRuntime({ shop: { a: [1] } })).toThrow('INMESH_OPTION_INVALID');
  plane.setRuntime({ shop: { routing: { canary: 5 }, on: true }, other: {} });
  const client = new Client(plane.addresses.xds, credentials.createInsecure());
  closing.push(
    () => client.close(),
    () => plane.setRuntime({}),
  );
  const stream = client.makeBidiStreamRequest(`${service}/DeltaRuntime`, same, same);
  stream.on('error', () => {});
  closing.push(() => stream.cancel());
  const came: Buffer[] = [];
  let wake = () => {};
  stream.on('data', (bytes: Buffer) => {
    came.push(bytes);
    wake();
  });
  const next = async () => {
    while (came.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    const { resources, nonce, removedResources } = fromBinary(
      discovery.DeltaDiscoveryResponseSchema,
      came.shift() ?? Buffer.alloc(0),
    );
    say({ responseNonce: nonce });
    const layers = resources.map(({ resource }) => RUNTIME.decode(resource?.value ?? new Uint8Array()));
    return { layers: layers.map(({ name, resource }) => [name, ...resource.values]), removedResources };
  };
  const say = (fields: { responseNonce?: string; resourceNamesSubscribe?: string[] }) => {
    const request = create(discovery.DeltaDiscoveryRequestSchema, { node: encodeNode(nodeOf()), ...fields });
    stream.write(Buffer.from(toBinary(discovery.DeltaDiscoveryRequestSchema, request)));
  };
  say({ resourceNamesSubscribe: ['shop', 'none'] });
  expect(await next()).toEqual({
    layers: [['shop', ['routing.canary', 5], ['on', true]]],
    removedResources: ['none'],
  });
  plane.setRuntime({ shop: { routing: { canary: 50 } } });
  expect((await next()).layers).toEqual([['shop', ['routing.canary', 50]]]);
});

describe('a client with a stream for each type', () => {
  const paths = {
    CDS: 'cluster.v3.ClusterDiscoveryService/StreamClusters',
    LDS: 'listener.v3.ListenerDiscoveryService/StreamListeners',
    RDS: 'route.v3.RouteDiscoveryService/StreamRoutes',
  } as const;

  test('has listeners and routes after the clusters that they name, and loses clusters after them', async () => {
    const open = (type: keyof typeof paths) => {
      const client = connect(`/envoy.service.${paths[type]}`);
      client.send({ type, node: nodeOf(), names: type === 'RDS' ? names : [] });
      return client;
    };
    const names = [REVIEWS, RATINGS];
    const [clusters, listeners, routes] = [open('CDS'), open('LDS'), open('RDS')];
    // Whether the referrers come at once or after the clusters depends on which stream the server saw first.
    clusters.ack(await clusters.next());
    listeners.ack(await listeners.next());
    routes.ack(await routes.next(), names);
    await plane.waitApplied();

    source.set(service('reviews') + service('ratings'));
    const more = await clusters.next();
    expect([...more.resources.keys()].toSorted()).toEqual([RATINGS, REVIEWS]);
    await roundTrip();
    expect([listeners.seen.length, routes.seen.length]).toEqual([1, 1]);
    clusters.ack(more);
    listeners.ack(await listeners.next());
    routes.ack(await routes.next(), names);
    await plane.waitApplied();

    source.set(service('reviews'));
    const fewer = await listeners.next();
    expect(fewer.resources.size).toBe(1);
    await roundTrip();
    expect(clusters.seen.length).toBe(2);
    listeners.ack(fewer);
    expect([...(await clusters.next()).resources.keys()]).toEqual([REVIEWS]);
  });

  test('goes on when the stream that it waits for ends', async () => {
    const clusters = connect(`/envoy.service.${paths.CDS}`);
    clusters.send({ type: 'CDS', node: nodeOf() });
    await clusters.next();
    const listeners = connect(`/envoy.service.${paths.LDS}`);
    listeners.send({ type: 'LDS', node: nodeOf() });
    listeners.ack(await listeners.next());
    source.set(service('reviews') + service('ratings'));
    await clusters.next();
    clusters.close();
    expect((await listeners.next()).resources.size).toBe(2);
  });

  /** Whatever the server had to send before is here. */
  async function roundTrip(): Promise<void> {
    const request = create(discovery.DiscoveryRequestSchema, { node: encodeNode(nodeOf()) });
    await unary(
      '/envoy.service.cluster.v3.ClusterDiscoveryService/FetchClusters',
      toBinary(discovery.DiscoveryRequestSchema, request),
    );
  }
});

describe('waiting until a revision is applied', () => {
  test('ends when the last client accepted, and tells who refused', async () => {
    const good = await synced('good');
    const bad = await synced('bad');
    expect(await plane.waitApplied()).toMatchObject({ isApplied: true, missing: [] });
    source.set(service('reviews') + service('ratings'));
    const waiting = plane.waitApplied();
    good.ack(await good.next());
    const { nonce } = await bad.next();
    bad.send({ type: 'CDS', nonce, error: `${RATINGS}: no` });
    const report = await waiting;
    expect(report).toMatchObject({ isApplied: false, revision: plane.status().revision });
    expect(report.missing.map(({ id }) => id)).toEqual([named('bad').id]);
    expect(report.missing[0]?.types[0]?.refused).toMatchObject([{ name: RATINGS, error: `${RATINGS}: no` }]);
  });

  test('gives up in time, by HTTP as well', async () => {
    const silent = await synced('silent');
    source.set(service('reviews') + service('ratings'));
    await silent.next();
    const answer = await fetch(`http://${plane.addresses.http}/api/applied?timeoutMs=20`);
    expect([answer.status, await answer.json()]).toMatchObject([
      409,
      { isApplied: false, missing: [{ id: named('silent').id, state: 'STALE' }] },
    ]);
    expect((await fetch(`http://${plane.addresses.http}/api/applied?revision=x`)).status).toBe(400);
    expect((await fetch(`http://${plane.addresses.http}/api/applied?revision=0`)).status).toBe(200);
  });
});

describe('client status (CSDS)', () => {
  const PATH = '/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus';
  const ask = async (request: Parameters<typeof create<typeof status.ClientStatusRequestSchema>>[1]) => {
    const message = create(status.ClientStatusRequestSchema, request);
    const bytes = await unary(PATH, toBinary(status.ClientStatusRequestSchema, message));
    return fromBinary(status.ClientStatusResponseSchema, bytes).config;
  };

  test('tells what each client has, refuses, and asks for in vain', async () => {
    const client = await synced();
    client.send({ type: 'EDS', names: [REVIEWS, 'nothing'] });
    const { nonce } = await client.next();
    client.send({ type: 'EDS', names: [REVIEWS, 'nothing'], nonce, error: 'bad endpoints' });
    while (plane.status().clients[0]?.state !== 'NACKED')
      await new Promise((resolve) => setImmediate(resolve));
    const [config] = await ask({});
    expect(config?.node?.id).toBe(named('a').id);
    const { ACKED, NACKED, DOES_NOT_EXIST } = admin.ClientResourceStatus;
    expect(
      config?.genericXdsConfigs.map((one) => [one.name, one.clientStatus, one.errorState?.details]),
    ).toEqual([
      [REVIEWS, ACKED, undefined],
      [REVIEWS, NACKED, 'bad endpoints'],
      ['nothing', DOES_NOT_EXIST, undefined],
    ]);
    expect(CLUSTER.decode(config?.genericXdsConfigs[0]?.xdsConfig?.value ?? new Uint8Array()).name).toBe(
      REVIEWS,
    );
  });

  test('is about the nodes that are chosen, without contents if they are not wanted', async () => {
    await synced('a');
    await synced('b');
    const nodeId = create(matcher.StringMatcherSchema, {
      matchPattern: { case: 'exact', value: named('b').id },
    });
    const configs = await ask({
      nodeMatchers: [create(matcher.NodeMatcherSchema, { nodeId })],
      excludeResourceContents: true,
    });
    expect(configs.map(({ node }) => node?.id)).toEqual([named('b').id]);
    expect(configs[0]?.genericXdsConfigs[0]?.xdsConfig).toBeUndefined();
  });
});

test('load reports (LRS) are asked for and summed up', async () => {
  const client = new Client(plane.addresses.xds, credentials.createInsecure());
  const stream = client.makeBidiStreamRequest(
    '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats',
    same,
    same,
  );
  closing.push(() => client.close());
  stream.on('error', () => {});
  const send = (request: Parameters<typeof create<typeof loadStats.LoadStatsRequestSchema>>[1]) =>
    stream.write(
      Buffer.from(
        toBinary(loadStats.LoadStatsRequestSchema, create(loadStats.LoadStatsRequestSchema, request)),
      ),
    );
  const came = new Promise<Buffer>((resolve) => stream.once('data', resolve));
  const node = encodeNode(nodeOf());
  node.clientFeatures = [];
  send({ node });
  expect(fromBinary(loadStats.LoadStatsResponseSchema, await came)).toMatchObject({
    sendAllClusters: false,
    clusters: [REVIEWS],
    loadReportingInterval: { seconds: 10n },
  });
  const stats = create(endpoint.ClusterStatsSchema, {
    clusterName: REVIEWS,
    totalDroppedRequests: 3n,
    droppedRequests: [{ category: 'lb', droppedCount: 2n }],
    upstreamLocalityStats: [
      {
        locality: { region: 'r', zone: 'z' },
        totalSuccessfulRequests: 5n,
        totalErrorRequests: 1n,
        totalIssuedRequests: 8n,
        totalRequestsInProgress: 2n,
      },
    ],
  });
  send({ clusterStats: [stats] });
  send({ clusterStats: [stats] });
  while ((plane.load().load[0]?.issued ?? 0) < 16) await new Promise((resolve) => setImmediate(resolve));
  expect(plane.load()).toMatchObject({
    clients: 1,
    load: [{ cluster: REVIEWS, locality: 'r/z/', succeeded: 10, failed: 2, issued: 16, inProgress: 2 }],
    drops: [
      { category: 'lb', dropped: 4 },
      { category: '', dropped: 2 },
    ],
  });
  const metrics = await (await fetch(`http://${plane.addresses.http}/metrics`)).text();
  expect(metrics).toContain(
    `inmesh_load_requests_total{cluster="${REVIEWS}",locality="r/z/",priority="0",result="success"} 10`,
  );
  stream.cancel();
  while (plane.load().clients > 0) await new Promise((resolve) => setImmediate(resolve));
  // Sums stay; nothing is in progress any more.
  expect(plane.load().load).toMatchObject([{ issued: 16, inProgress: 0 }]);
});

describe('limits', () => {
  test('a client that reads nothing is cut off, and holds nobody else up', async () => {
    const many = Array.from({ length: 400 }, (_, at) => service(`s${at}`)).join('');
    const own = await start({ limits: { sendTimeoutMs: 1_500, transfers: 1 } });
    closing.push(() => own.plane.close());
    own.source.set(many);
    await own.plane.waitApplied();
    const slow = connect(undefined, own.plane.addresses.xds);
    slow.stopReading();
    slow.send({ type: 'CDS', node: named('slow') });
    const quick = connect(undefined, own.plane.addresses.xds);
    quick.send({ type: 'CDS', node: named('quick') });
    expect((await quick.next()).resources.size).toBe(400);
    // It asks for everything again and again, until its window and the buffers of the system are full.
    while (own.plane.status().clients.length > 1) {
      slow.send({ type: 'CDS' });
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(own.plane.status().clients.map(({ id }) => id)).toEqual([named('quick').id]);
  });

  test('streams beyond the limit are refused with the reason', async () => {
    const own = await start({ limits: { streams: 1 } });
    closing.push(() => own.plane.close());
    const first = connect(undefined, own.plane.addresses.xds);
    first.send({ type: 'CDS', node: nodeOf() });
    await first.next();
    const second = connect(undefined, own.plane.addresses.xds);
    expect([await second.ended(), second.status?.details]).toEqual([8, '1 streams are open']);
  });

  test('streams end one after the other when it stops with time', async () => {
    const own = await start();
    const clients = [0, 1, 2].map(() => connect(undefined, own.plane.addresses.xds));
    for (const client of clients) {
      client.send({ type: 'CDS', node: nodeOf() });
      await client.next();
    }
    const stopped = own.plane.close({ drainMs: 60 });
    const ends = await Promise.all(
      clients.map(async (client) => {
        await client.ended();
        return performance.now();
      }),
    );
    await stopped;
    expect((ends[2] ?? 0) - (ends[0] ?? 0)).toBeGreaterThan(20);
  });
});
