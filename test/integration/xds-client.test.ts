import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../src/codec/resource-types.js';
import { NO_LOCALITY } from '../../src/model/endpoint.js';
import type { Node } from '../../src/model/node.js';
import { systemClock } from '../../src/runtime/clock.js';
import { silentLogger } from '../../src/runtime/log.js';
import { seededRandom } from '../../src/runtime/random.js';
import { until } from '../../src/runtime/signal.js';
import { createSnapshotCache } from '../../src/xds/cache.js';
import { createXdsClient } from '../../src/xds/client.js';
import type { XdsClient, XdsClientOptions } from '../../src/xds/client-api.js';
import { xdsServer } from '../../src/xds/server.js';
import type { PublishedSnapshot } from '../../src/xds/synchronizer.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from '../unit/xds/fixtures.js';
import { AdsState, readRequest, writeResponse } from './support/ads-state.js';
import { behaved, type EvilAds, type StreamHandler, startEvilAds } from './support/evil-ads.js';

const NODE: Node = {
  id: 'sidecar~127.0.0.1~a.default~default.svc.cluster.local',
  cluster: 'a.default',
  locality: NO_LOCALITY,
  metadata: {
    NAMESPACE: 'default',
    SERVICE_ACCOUNT: 'a',
    LABELS: {},
    INSTANCE_IPS: '127.0.0.1',
    GENERATOR: 'inmesh',
  },
};

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(handler: StreamHandler, port?: number): Promise<EvilAds> {
  const server = await startEvilAds(handler, port);
  closers.push(() => server.kill());
  return server;
}

function connect(
  port: number,
  extra: Partial<XdsClientOptions> = {},
): XdsClient & { readonly rejected: string[] } {
  const rejected: string[] = [];
  const client = createXdsClient({
    node: NODE,
    servers: [xdsServer({ target: `127.0.0.1:${port}` })],
    clock: systemClock,
    random: seededRandom(3),
    logger: silentLogger,
    observer: { rejected: ({ message }) => void rejected.push(message) },
    ...extra,
  });
  closers.push(() => client.close());
  return Object.assign(client, { rejected });
}

function bookshop(port = 8080): AdsState {
  const state = new AdsState()
    .put(LISTENER, 'shop:80', listenerOf('shop:80', 'shop'))
    .put(ROUTE_CONFIGURATION, 'shop', routesTo('shop', 'v1'))
    .put(CLUSTER, 'v1', clusterOf('v1'))
    .put(CLUSTER_LOAD_ASSIGNMENT, 'v1', assignmentOf('v1', port));
  state.publish();
  return state;
}

const portOf = ({ snapshot }: PublishedSnapshot) =>
  snapshot.clusters.get('v1')?.assignment?.localities[0]?.endpoints[0]?.address.port;
const isLive = ({ source }: PublishedSnapshot) => source === 'control-plane';

/** Answers rightly, but sends every encoded response through `twist`, which returns what is sent instead. */
function twisted(
  state: AdsState,
  twist: (bytes: Uint8Array, count: number) => readonly Uint8Array[],
): StreamHandler {
  return (stream) => {
    let count = 0;
    const session = state.session((bytes) => {
      for (const one of twist(bytes, count++)) stream.send(one);
    });
    return { onRequest: (bytes) => session.take(bytes), onEnd: () => session.end() };
  };
}

describe('the ADS client against a real server', () => {
  test('brings the configuration and its changes', async () => {
    const state = bookshop();
    const { port } = await serve(behaved(state));
    const client = connect(port);
    expect(portOf(await until(client.published, isLive))).toBe(8080);
    state.put(CLUSTER_LOAD_ASSIGNMENT, 'v1', assignmentOf('v1', 9090)).publish();
    await until(client.published, (one) => portOf(one) === 9090);
    expect(client.connected.value.state).toBe('connected');
  });

  test('keeps its data while the server is dead and catches up with the next one', async () => {
    const state = bookshop();
    const first = await serve(behaved(state));
    const client = connect(first.port);
    await until(client.published, isLive);
    await first.kill();
    await until(client.connected, (one) => one.state === 'disconnected');
    expect(portOf(client.published.value)).toBe(8080);

    await serve(behaved(bookshop(7070)), first.port);
    await until(client.published, (one) => portOf(one) === 7070);
    expect(client.connected.value.state).toBe('connected');
  });

  test('a flapping server is not hammered', async () => {
    const server = await serve((stream) => ({ onRequest: () => stream.fail(status.UNAVAILABLE, 'flap') }));
    const client = connect(server.port);
    await until(client.connected, (one) => one.state === 'disconnected');
    await until(client.connected, (one) => one.state === 'connecting');
    await until(client.connected, (one) => one.state === 'disconnected');
    const [first, second] = server.openedAtMs;
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThan(750);
    expect(server.openedAtMs).toHaveLength(2);
  });

  test('garbage in place of a response ends the stream, and the next one is tried', async () => {
    const state = bookshop();
    let streams = 0;
    const good = behaved(state);
    const { port } = await serve((stream) => {
      if (streams++ > 0) return good(stream);
      return { onRequest: () => stream.send(new Uint8Array([0xff, 0xff, 0xff])) };
    });
    const client = connect(port);
    const lost = await until(client.connected, (one) => one.state === 'disconnected');
    expect(lost).toMatchObject({ lastError: { code: 'INMESH_XDS_DECODE' } });
    expect(portOf(await until(client.published, isLive))).toBe(8080);
  });

  test('garbage in place of a resource is refused beside the good ones', async () => {
    const state = bookshop();
    state.put(LISTENER, 'other:80', listenerOf('other:80', 'shop'));
    state.putBytes(LISTENER.typeUrl, 'broken:80', new Uint8Array([0x0a, 0x03, 0x62, 0x61, 0x64, 0x12, 0xff]));
    state.publish();
    const { port } = await serve(behaved(state));
    const client = connect(port);
    const { snapshot } = await until(client.published, isLive);
    expect([...snapshot.outbound.keys()].sort()).toEqual(['other:80', 'shop:80']);
    expect(client.rejected).toHaveLength(1);
    expect(state.seen.filter(({ error }) => error !== undefined)).toMatchObject([
      { version: '', typeUrl: LISTENER.typeUrl },
    ]);
  });

  test('responses of wrong types and for nobody are passed over', async () => {
    const state = bookshop();
    const strange = writeResponse({
      typeUrl: 'type.googleapis.com/no.Such',
      version: '1',
      nonce: 'x',
      resources: [],
    });
    const { port } = await serve(twisted(state, (bytes) => [strange, bytes, strange]));
    const client = connect(port);
    expect(portOf(await until(client.published, isLive))).toBe(8080);
    expect(state.seen.every(({ typeUrl }) => !typeUrl.includes('Such'))).toBe(true);
  });

  test('every response twice with the same nonce changes nothing', async () => {
    const state = bookshop();
    const { port } = await serve(twisted(state, (bytes) => [bytes, bytes]));
    const client = connect(port);
    expect(portOf(await until(client.published, isLive))).toBe(8080);
    expect(client.rejected).toEqual([]);
  });

  test('a slow and piecemeal server is waited for', async () => {
    const state = bookshop();
    const { port } = await serve((stream) => {
      const session = state.session(
        (bytes) => void systemClock.schedule(120, () => stream.send(bytes), true),
      );
      return { onRequest: (bytes) => session.take(bytes), onEnd: () => session.end() };
    });
    const client = connect(port);
    const history: PublishedSnapshot[] = [];
    client.published.subscribe((one) => history.push(one));
    expect(portOf(await until(client.published, isLive))).toBe(8080);
    expect(history).toHaveLength(1);
  });

  test('a server that answers every refusal at once is not answered in a loop', async () => {
    let requests = 0;
    const { port } = await serve((stream) => ({
      onRequest(bytes) {
        if (readRequest(bytes).typeUrl !== LISTENER.typeUrl) return;
        const nonce = `${++requests}`;
        stream.send(
          writeResponse({
            typeUrl: LISTENER.typeUrl,
            version: '1',
            nonce,
            resources: [[CLUSTER.typeUrl, new Uint8Array()]],
          }),
        );
      },
    }));
    const client = connect(port);
    await until(client.connected, (one) => one.state === 'connected');
    await new Promise<void>((resolve) => systemClock.schedule(700, resolve, true));
    // The subscription and one refusal; the second refusal waits 0.8 s or more.
    expect(requests).toBe(2);
    expect(client.published.value.source).toBe('none');
  });

  test('empty responses at the start publish an empty configuration; later ones do not take endpoints away', async () => {
    const empty = new AdsState();
    empty.publish();
    const nothing = await serve(behaved(empty));
    const first = connect(nothing.port);
    expect((await until(first.published, isLive)).snapshot.outbound.size).toBe(0);

    const state = bookshop();
    const { port } = await serve(behaved(state));
    const client = connect(port);
    await until(client.published, isLive);
    state
      .put(CLUSTER_LOAD_ASSIGNMENT, 'v1', assignmentOf('v1'))
      .put(CLUSTER, 'v1', { ...clusterOf('v1'), connectTimeoutMs: 77 });
    state.publish();
    await until(
      client.published,
      ({ snapshot }) => snapshot.clusters.get('v1')?.cluster.connectTimeoutMs === 77,
    );
    expect(portOf(client.published.value)).toBe(8080);
  });

  test('a process that restarts without its control plane serves from the disk', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'inmesh-xds-'));
    closers.push(() => rm(dir, { recursive: true, force: true }));
    const cache = createSnapshotCache({ dir, key: 'a', clock: systemClock });
    const server = await serve(behaved(bookshop()));
    const before = connect(server.port, { cacheOf: () => cache });
    await until(before.published, isLive);
    await before.close();
    await server.kill();

    const after = connect(server.port, { cacheOf: () => cache });
    const cached = await until(after.published, ({ source }) => source !== 'none');
    expect(cached.source).toBe('cache');
    expect(portOf(cached)).toBe(8080);
  });
});
