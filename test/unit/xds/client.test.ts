import { describe, expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import { SECRET } from '../../../src/codec/secret.js';
import { NO_LOCALITY } from '../../../src/model/endpoint.js';
import type { Node } from '../../../src/model/node.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import type { SnapshotCache } from '../../../src/xds/cache.js';
import { createXdsClient } from '../../../src/xds/client.js';
import type { XdsClientOptions } from '../../../src/xds/client-api.js';
import type { ProtocolKind } from '../../../src/xds/engine.js';
import { xdsServer } from '../../../src/xds/server.js';
import type { StoredResource } from '../../../src/xds/store.js';
import type { StreamListener } from '../../../src/xds/stream.js';
import type { PublishedSnapshot } from '../../../src/xds/synchronizer.js';
import { AdsState } from '../../integration/support/ads-state.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from './fixtures.js';

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

/** One service `name:80` with its route table, one cluster per name given, one endpoint each. */
function putService(state: AdsState, name: string, ...clusters: string[]): AdsState {
  state.put(LISTENER, `${name}:80`, listenerOf(`${name}:80`, name));
  state.put(ROUTE_CONFIGURATION, name, routesTo(name, ...clusters));
  for (const cluster of clusters) {
    state.put(CLUSTER, cluster, clusterOf(cluster));
    state.put(CLUSTER_LOAD_ASSIGNMENT, cluster, assignmentOf(cluster, 8080));
  }
  return state;
}

/** A cache in memory. */
function memoryCache(resources: readonly StoredResource[] = []) {
  const saves: (readonly StoredResource[])[] = [];
  const cache: SnapshotCache = {
    load: () => Promise.resolve(resources.length === 0 ? undefined : { resources, savedAt: 42 }),
    save: (all) => {
      saves.push(all);
      return Promise.resolve();
    },
  };
  return { cache, saves };
}

const PROTOCOLS = ['sotw', 'delta'] as const;

const unavailable = () => new MeshError('INMESH_CONTROL_PLANE_UNAVAILABLE', 'down');

/** A client in virtual time whose server is an AdsState in the same process. */
const startWith =
  (protocol: ProtocolKind) =>
  (state: AdsState, extra: Partial<XdsClientOptions> = {}) => {
    const clock = createFakeClock();
    const rejected: string[] = [];
    let isUp = true;
    let current: StreamListener | undefined;
    const client = createXdsClient({
      node: NODE,
      servers: [xdsServer({ target: 'nowhere:1', protocol })],
      clock,
      random: seededRandom(7),
      logger: silentLogger,
      observer: { rejected: ({ name, message }) => void rejected.push(`${name}: ${message}`) },
      openStream: () => async (method, listener) => {
        if (!isUp) throw unavailable();
        current = listener;
        const session = state.session(
          (bytes) => queueMicrotask(() => current === listener && listener.onMessage(bytes)),
          method,
        );
        queueMicrotask(() => listener.onReady());
        return { send: (bytes) => session.take(bytes), close: () => session.end() };
      },
      ...extra,
    });
    const history: PublishedSnapshot[] = [];
    client.published.subscribe((one) => history.push(one));
    return {
      client,
      clock,
      history,
      rejected,
      goDown() {
        isUp = false;
        const lost = current;
        current = undefined;
        lost?.onEnd(unavailable());
      },
      comeUp() {
        isUp = true;
      },
    };
  };

const clustersIn = ({ snapshot }: PublishedSnapshot) => [...snapshot.clusters.keys()].sort();
const portsOf = ({ snapshot }: PublishedSnapshot, cluster: string) =>
  snapshot.clusters
    .get(cluster)
    ?.assignment?.localities.flatMap(({ endpoints }) => endpoints.map(({ address }) => address.port));

describe.each(PROTOCOLS)('the ADS client (%s)', (protocol) => {
  const start = startWith(protocol);

  test('publishes once, when everything that is referred to is there', async () => {
    const state = putService(putService(new AdsState(), 'a', 'a1', 'a2'), 'b', 'b1');
    state.publish();
    const { client, clock, history } = start(state);
    await clock.advance(100);

    expect(history).toHaveLength(1);
    expect(history[0]?.source).toBe('control-plane');
    expect([...(history[0]?.snapshot.outbound.keys() ?? [])].sort()).toEqual(['a:80', 'b:80']);
    expect(clustersIn(client.published.value)).toEqual(['a1', 'a2', 'b1']);
    expect(client.connected.value.state).toBe('connected');
    await client.close();
    expect(clock.pending).toBe(0);
  });

  test('requests wait for tokens, and of what waits only the last counts', async () => {
    const state = new AdsState();
    for (const name of ['a', 'b', 'c', 'd', 'e']) putService(state, name, `${name}1`);
    state.publish();
    const requestRate = { maxTokens: 2, fillRate: 1 };
    const { client, clock, history } = start(state, {
      servers: [xdsServer({ target: 'nowhere:1', protocol, requestRate })],
    });
    await clock.advance(900);
    expect(state.seen).toHaveLength(2);
    await clock.advance(29_100);
    expect(clustersIn(client.published.value)).toEqual(['a1', 'b1', 'c1', 'd1', 'e1']);
    expect(history.at(-1)?.source).toBe('control-plane');
    const before = state.seen.length;
    expect(before).toBeLessThan(32);

    // The bucket is full again: two go out, the rest waits and is merged.
    for (const name of ['v', 'w', 'x', 'y', 'z']) {
      client.wantListener(`${name}:80`);
      await clock.advance(10);
    }
    expect(state.seen.length - before).toBeLessThanOrEqual(2);
    await clock.advance(60_000);
    const { seen } = state;
    expect(seen.slice(before).length).toBeLessThan(20);
    await client.close();
    expect(clock.pending).toBe(0);
  });

  test('a stream that ends forgets what waited, and the next one asks anew', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    state.publish();
    const { client, clock, goDown, comeUp } = start(state, {
      servers: [xdsServer({ target: 'nowhere:1', protocol, requestRate: { maxTokens: 1, fillRate: 0.5 } })],
    });
    await clock.advance(3_000);
    goDown();
    comeUp();
    await clock.advance(60_000);
    expect(clustersIn(client.published.value)).toEqual(['a1']);
    state.put(CLUSTER_LOAD_ASSIGNMENT, 'a1', assignmentOf('a1', 77));
    state.publish();
    await clock.advance(10_000);
    expect(portsOf(client.published.value, 'a1')).toEqual([77]);
    await client.close();
    expect(clock.pending).toBe(0);
  });

  test('new endpoints leave all else as it is; what follows is still heard', async () => {
    const state = putService(putService(new AdsState(), 'a', 'a1'), 'b', 'b1');
    state.publish();
    const { client, clock } = start(state);
    await clock.advance(100);
    const { snapshot: before } = client.published.value;

    state.put(CLUSTER_LOAD_ASSIGNMENT, 'a1', assignmentOf('a1', 77));
    state.publish();
    await clock.advance(100);
    const { snapshot: after } = client.published.value;
    expect(portsOf(client.published.value, 'a1')).toEqual([77]);
    expect(after.outbound).toBe(before.outbound);
    expect(after.clusters.get('b1')).toBe(before.clusters.get('b1'));

    putService(state, 'c', 'c1').publish();
    await clock.advance(100);
    expect(clustersIn(client.published.value)).toEqual(['a1', 'b1', 'c1']);
    state.put(CLUSTER_LOAD_ASSIGNMENT, 'c1', assignmentOf('c1', 78));
    state.publish();
    await clock.advance(100);
    expect(portsOf(client.published.value, 'c1')).toEqual([78]);
    await client.close();
  });

  test('makes before it breaks: the old routes stay until the new cluster has its endpoints', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    state.publish();
    const { client, clock } = start(state);
    await clock.advance(100);
    const before = client.published.value;

    state.muted.add(CLUSTER_LOAD_ASSIGNMENT.typeUrl);
    state.remove(CLUSTER, 'a1');
    putService(state, 'a', 'a2').publish();
    await clock.advance(1000);
    expect(client.published.value).toBe(before);

    state.muted.clear();
    state.publish();
    await clock.advance(100);
    expect(clustersIn(client.published.value)).toEqual(['a2']);
    await client.close();
  });

  test('a cluster that the server does not have holds nothing up', async () => {
    const state = putService(new AdsState(), 'a', 'a1', 'a2').remove(CLUSTER, 'a2');
    state.publish();
    const { client, clock } = start(state);
    await clock.advance(100);
    expect(clustersIn(client.published.value)).toEqual(['a1']);
    await client.close();
  });

  test('losing the control plane touches nothing, and its return brings the news', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    state.publish();
    const { client, clock, history, goDown, comeUp } = start(state);
    await clock.advance(100);
    goDown();
    state.put(CLUSTER_LOAD_ASSIGNMENT, 'a1', assignmentOf('a1', 9)).publish();
    await clock.advance(60_000);
    expect(history).toHaveLength(1);
    expect(client.connected.value).toMatchObject({
      state: 'disconnected',
      lastError: { code: 'INMESH_CONTROL_PLANE_UNAVAILABLE' },
    });

    comeUp();
    await clock.advance(40_000);
    expect(client.connected.value.state).toBe('connected');
    expect(portsOf(client.published.value, 'a1')).toEqual([9]);
    await client.close();
  });

  test('objects that did not change are the same in the next snapshot', async () => {
    const state = putService(putService(new AdsState(), 'a', 'a1'), 'b', 'b1');
    state.publish();
    const { client, clock, history } = start(state);
    await clock.advance(100);
    state.put(CLUSTER_LOAD_ASSIGNMENT, 'a1', assignmentOf('a1', 9)).publish();
    await clock.advance(100);

    const [first, second] = history.map(({ snapshot }) => snapshot);
    expect(second?.clusters.get('b1')).toBe(first?.clusters.get('b1'));
    expect(second?.outbound.get('a:80')).toBe(first?.outbound.get('a:80'));
    expect(second?.clusters.get('a1')).not.toBe(first?.clusters.get('a1'));
    await client.close();
  });

  test('a refused resource keeps its old value and the observer hears of it', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    state.publish();
    const { client, clock, rejected, history } = start(state);
    await clock.advance(100);
    const bytes = state.of(CLUSTER.typeUrl).get('a1') ?? new Uint8Array();
    // A length far beyond the end of the bytes.
    state.putBytes(CLUSTER.typeUrl, 'a1', Buffer.concat([bytes, Buffer.from([0x1a, 0xff, 0x01])])).publish();
    await clock.advance(100);

    expect(history).toHaveLength(1);
    expect(rejected).toHaveLength(1);
    expect(state.seen.find(({ error }) => error !== undefined)).toMatchObject({ typeUrl: CLUSTER.typeUrl });
    expect(
      client.status().find(({ name, typeUrl }) => name === 'a1' && typeUrl === CLUSTER.typeUrl)?.isHeld,
    ).toBe(true);
    await client.close();
  });

  test('a listener removed by name leaves a cluster that is referred to elsewhere alone', async () => {
    const state = putService(putService(new AdsState(), 'a', 'c1'), 'b', 'c1');
    state.publish();
    const { client, clock } = start(state);
    await clock.advance(100);
    state.remove(LISTENER, 'a:80').publish();
    await clock.advance(100);
    expect([...client.published.value.snapshot.outbound.keys()]).toEqual(['b:80']);
    expect(clustersIn(client.published.value)).toEqual(['c1']);
    await client.close();
  });

  test('a cluster waits for its secrets; they are renewed without it, and never touch the disk', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    const secrets = { validation: 'roots' };
    const tls = { mode: 'simple', sni: undefined, subjectAltNames: [], alpn: [], secrets } as const;
    state.put(CLUSTER, 'a1', { ...clusterOf('a1'), tls });
    const putRoots = (pem: string) =>
      state.put(SECRET, 'roots', {
        name: 'roots',
        secret: {
          kind: 'validation',
          roots: { kind: 'inline', pem },
          crl: undefined,
          subjectAltNames: [],
        },
      });
    state.muted.add(SECRET.typeUrl);
    putRoots('one').publish();
    const { cache, saves } = memoryCache();
    const { client, clock, history } = start(state, { cacheOf: () => cache });
    await clock.advance(1000);
    expect(history).toEqual([]);

    state.muted.clear();
    state.publish();
    await clock.advance(100);
    const before = client.published.value.snapshot;
    expect(before.secrets?.get('roots')).toMatchObject({ roots: { pem: 'one' } });
    putRoots('two').publish();
    await clock.advance(100);
    const after = client.published.value.snapshot;
    expect(after.secrets?.get('roots')).toMatchObject({ roots: { pem: 'two' } });
    expect(after.clusters.get('a1')).toBe(before.clusters.get('a1'));
    await client.close();
    expect(saves.flat().some(({ typeUrl }) => typeUrl === SECRET.typeUrl)).toBe(false);
  });

  test('a removed cluster stays in use where the server’s removals are to be ignored', async () => {
    const state = putService(new AdsState(), 'a', 'a1', 'a2');
    state.publish();
    const server = xdsServer({ target: 'nowhere:1', protocol, features: { ignoreResourceDeletion: true } });
    const { client, clock } = start(state, { servers: [server] });
    await clock.advance(100);
    state.remove(CLUSTER, 'a2').publish();
    await clock.advance(100);
    expect(clustersIn(client.published.value)).toEqual(['a1', 'a2']);
    await client.close();
  });

  test('a refused value takes the old one with it where the server asks for that', async () => {
    const state = putService(new AdsState(), 'a', 'a1', 'a2');
    state.publish();
    const server = xdsServer({ target: 'nowhere:1', protocol, features: { failOnDataErrors: true } });
    const { client, clock } = start(state, { servers: [server] });
    await clock.advance(100);
    // A discovery type that there is not.
    const bytes = state.of(CLUSTER.typeUrl).get('a1') ?? new Uint8Array();
    state.putBytes(CLUSTER.typeUrl, 'a1', Buffer.concat([bytes, Buffer.from([0x10, 0x63])])).publish();
    await clock.advance(100);
    expect(clustersIn(client.published.value)).toEqual(['a2']);
    await client.close();
  });

  test('silence is an outage, borne twice as long, where the server tells of what it does not have', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    state.muted.add(CLUSTER.typeUrl);
    state.publish();
    const server = xdsServer({ target: 'nowhere:1', protocol, features: { timerIsTransientError: true } });
    const { client, clock, history } = start(state, { servers: [server] });
    await clock.advance(29_000);
    expect(history).toEqual([]);
    await clock.advance(2000);
    expect(client.status().find(({ name }) => name === 'a1')).toMatchObject({ state: 'timeout' });
    expect(history).toHaveLength(1);
    await client.close();
  });

  test('endpoints that vanish all at once stay in use for ten minutes', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    state.publish();
    const { client, clock } = start(state);
    await clock.advance(100);
    state.put(CLUSTER_LOAD_ASSIGNMENT, 'a1', assignmentOf('a1')).publish();
    await clock.advance(599_000);
    expect(portsOf(client.published.value, 'a1')).toEqual([8080]);
    await clock.advance(2000);
    expect(portsOf(client.published.value, 'a1')).toEqual([]);
    await client.close();
  });
});

describe('the ADS client, state of the world', () => {
  const start = startWith('sotw');

  test('a target that is never answered for holds a change up for the time limit only', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    state.publish();
    const { client, clock } = start(state);
    await clock.advance(100);

    putService(state, 'a', 'a1', 'lost').of(CLUSTER_LOAD_ASSIGNMENT.typeUrl).delete('lost');
    state.publish();
    await clock.advance(14_000);
    expect(clustersIn(client.published.value)).toEqual(['a1']);
    await clock.advance(2000);
    expect(clustersIn(client.published.value)).toEqual(['a1', 'lost']);
    expect(client.published.value.snapshot.clusters.get('lost')?.assignment).toBeUndefined();
    expect(
      client
        .status()
        .find(({ name, typeUrl }) => name === 'lost' && typeUrl === CLUSTER_LOAD_ASSIGNMENT.typeUrl),
    ).toMatchObject({
      state: 'timeout',
    });

    state.put(CLUSTER_LOAD_ASSIGNMENT, 'lost', assignmentOf('lost', 1)).publish();
    await clock.advance(100);
    expect(portsOf(client.published.value, 'lost')).toEqual([1]);
    await client.close();
  });

  test('asks for listeners by wildcard and for the rest by name, with the node once', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    state.publish();
    const { client, clock } = start(state, { inboundNames: ['inbound'] });
    await clock.advance(100);
    await client.close();

    expect(state.seen[0]).toMatchObject({
      typeUrl: LISTENER.typeUrl,
      names: ['*', 'inbound'],
      nodeId: NODE.id,
    });
    expect(state.seen.filter(({ nodeId }) => nodeId !== undefined)).toHaveLength(1);
    expect(state.seen.find(({ typeUrl }) => typeUrl === CLUSTER.typeUrl)).toMatchObject({ names: ['a1'] });
    expect(state.seen.find(({ typeUrl }) => typeUrl === CLUSTER_LOAD_ASSIGNMENT.typeUrl)).toMatchObject({
      names: ['a1'],
    });
  });

  test('a changed node and changed inbound names reach the server at once', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    state.publish();
    const { client, clock } = start(state);
    await clock.advance(100);
    client.setNode({ ...NODE, id: 'other' });
    expect(state.seen.at(-1)).toMatchObject({ typeUrl: LISTENER.typeUrl, nodeId: 'other', names: [] });
    client.setInboundNames(['in']);
    expect(state.seen.at(-1)).toMatchObject({
      typeUrl: LISTENER.typeUrl,
      names: ['*', 'in'],
      nodeId: undefined,
    });
    await client.close();
  });
});

describe.each(PROTOCOLS)('the ADS client and its cache (%s)', (protocol) => {
  const start = startWith(protocol);

  const stored = (state: AdsState): StoredResource[] =>
    [LISTENER, ROUTE_CONFIGURATION, CLUSTER, CLUSTER_LOAD_ASSIGNMENT].flatMap(({ typeUrl }) =>
      [...state.of(typeUrl)].map(([name, bytes]) => ({ typeUrl, name, bytes, version: 'v0' })),
    );

  test('serves the cached configuration while there is no control plane', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    const { client, clock, goDown } = start(state, { cacheOf: () => memoryCache(stored(state)).cache });
    goDown();
    await clock.advance(30_000);
    expect(client.published.value).toMatchObject({ source: 'cache', savedAt: 42 });
    expect(portsOf(client.published.value, 'a1')).toEqual([8080]);
    await client.close();
  });

  test('the first whole answer of the control plane replaces the cached configuration', async () => {
    const old = putService(putService(new AdsState(), 'a', 'a1'), 'gone', 'g1');
    const state = putService(new AdsState(), 'a', 'a1', 'a2');
    state.publish();
    const { client, clock, history } = start(state, { cacheOf: () => memoryCache(stored(old)).cache });
    await clock.advance(100);
    expect(history.map(({ source }) => source)).toEqual(['cache', 'control-plane']);
    expect(clustersIn(client.published.value)).toEqual(['a1', 'a2']);
    await client.close();
  });

  test('a cached value the control plane does not answer for stays in use', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    state.muted.add(CLUSTER_LOAD_ASSIGNMENT.typeUrl);
    const cached = stored(state);
    state.publish();
    const { client, clock } = start(state, { cacheOf: () => memoryCache(cached).cache });
    await clock.advance(1000);
    expect(client.published.value.source).toBe('cache');
    await clock.advance(20_000);
    expect(client.published.value.source).toBe('control-plane');
    expect(portsOf(client.published.value, 'a1')).toEqual([8080]);
    await client.close();
  });

  test('saves what is in force, later and only when it changed', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    state.publish();
    const { cache, saves } = memoryCache();
    const { client, clock } = start(state, { cacheOf: () => cache });
    await clock.advance(100);
    expect(saves).toHaveLength(0);
    await clock.advance(2000);
    expect(saves.map((all) => all.map(({ name }) => name))).toEqual([['a:80', 'a', 'a1', 'a1']]);
    state.publish();
    await clock.advance(10_000);
    expect(saves).toHaveLength(1);
    state.put(CLUSTER_LOAD_ASSIGNMENT, 'a1', assignmentOf('a1', 9)).publish();
    await clock.advance(100);
    await client.close();
    expect(saves).toHaveLength(2);
  });

  test('a broken cache is reported and ignored', async () => {
    const state = putService(new AdsState(), 'a', 'a1');
    state.publish();
    const cache: SnapshotCache = {
      load: () => Promise.reject(new MeshError('INMESH_CACHE_CORRUPT', 'its checksum is wrong')),
      save: () => Promise.reject(new MeshError('INMESH_CACHE_WRITE', 'disk full')),
    };
    const { client, clock, rejected, history } = start(state, { cacheOf: () => cache });
    await clock.advance(10_000);
    expect(rejected).toEqual([expect.stringContaining('INMESH_CACHE_CORRUPT')]);
    expect(history.map(({ source }) => source)).toEqual(['control-plane']);
    await client.close();
  });
});
