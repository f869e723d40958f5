import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  createControlPlane,
  createMemorySource,
} from '../../../src/control-plane.js';
import type { ClusterLoadAssignment } from '../../../src/model/endpoint.js';
import type { Node, NodeWorkload } from '../../../src/model/node.js';
import { networking, nodeOf, service } from '../../unit/control-plane/compile/mesh.js';
import { AdsClient, type Seen } from './ads-client.js';

const REVIEWS = 'outbound|9080||reviews.default.svc.cluster.local';
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(text: string, options: ControlPlaneOptions = {}) {
  const source = createMemorySource(text);
  const plane = await createControlPlane({
    ports: { xds: 0, secureXds: 0, http: 0 },
    sources: [source],
    debounceMs: { quietMs: 10, maxMs: 100 },
    registrationGraceMs: 50,
    ...options,
  });
  closing.push(() => plane.close());
  return { source, plane };
}

function connect(plane: ControlPlane): AdsClient {
  const client = new AdsClient(plane.addresses.xds);
  closing.push(() => client.close());
  return client;
}

const serving = (id: string, port: number): Node => {
  const served: NodeWorkload = {
    service: 'reviews',
    address: '127.0.0.1',
    port,
    portName: '',
    tlsMode: 'istio',
  };
  return { ...nodeOf({ INMESH_WORKLOADS: [served] }), id };
};

const portsOf = ({ resources }: Seen) =>
  [...resources.values()].flatMap((one) =>
    (one as ClusterLoadAssignment).localities.flatMap(({ endpoints }) =>
      endpoints.map(({ address }) => address.port),
    ),
  );

async function clusters(client: AdsClient): Promise<Seen> {
  client.send({ type: 'CDS', node: nodeOf() });
  const seen = await client.next();
  client.ack(seen);
  return seen;
}

test('a change that takes long to compile and brings a client nothing counts as applied', async () => {
  const many = Array.from({ length: 300 }, (_, at) => service(`s${at}`)).join('');
  const { source, plane } = await start(many, { settleMs: { quietMs: 1, maxMs: 10 } });
  const client = connect(plane);
  client.send({ type: 'RDS', names: ['none'], node: nodeOf() });
  client.ack(await client.next());
  source.set(
    `${many}${networking('DestinationRule', 'all', '{ host: "*.local", trafficPolicy: { connectionPool: { tcp: { connectTimeout: 3s } } } }')}`,
  );
  // Only the end of the test would end this wait.
  const { isApplied, missing } = await plane.waitApplied(undefined, { timeoutMs: 3_600_000 });
  expect({ isApplied, missing }).toEqual({ isApplied: true, missing: [] });
});

describe('a client that names its WorkloadGroup', () => {
  const GROUP = networking(
    'WorkloadGroup',
    'machines',
    'metadata: { labels: { app: reviews } }\ntemplate: { ports: { http: 8080 } }',
  );
  const member = {
    ...nodeOf({ AUTO_REGISTER_GROUP: 'machines', INSTANCE_IPS: '10.7.7.7', GENERATOR: 'envoy' }),
    id: 'sidecar~10.7.7.7~machine-1.default~default.svc.cluster.local',
  };

  test('is an endpoint while it is connected and says nothing bad of its health', async () => {
    const { plane } = await start(service('reviews') + GROUP);
    const watcher = connect(plane);
    watcher.send({ type: 'EDS', node: nodeOf(), names: [REVIEWS] });
    const ports = async () => {
      const seen = await watcher.next();
      watcher.ack(seen, [REVIEWS]);
      return portsOf(seen);
    };
    const seen = [await ports()];
    const machine = connect(plane);
    machine.send({ type: 'CDS', node: member });
    seen.push(await ports());
    machine.sendHealth('no answer on /ready');
    seen.push(await ports());
    machine.sendHealth();
    seen.push(await ports());
    machine.close();
    seen.push(await ports());
    expect(seen).toEqual([[], [8080], [], [8080], []]);
  });
});

describe('a stream', () => {
  test('gets everything of a type that it asks for without names', async () => {
    const { plane } = await start(service('reviews') + service('ratings'));
    const { type, resources } = await clusters(connect(plane));
    expect([type, ...resources.keys()].sort()).toEqual(
      ['CDS', REVIEWS, 'outbound|9080||ratings.default.svc.cluster.local'].sort(),
    );
  });

  test('gets the names it asks for, and those it adds later', async () => {
    const { plane } = await start(service('reviews') + service('ratings'));
    const client = connect(plane);
    client.send({ type: 'RDS', node: nodeOf(), names: [REVIEWS] });
    const first = await client.next();
    expect([...first.resources.keys()]).toEqual([REVIEWS]);
    client.ack(first, [REVIEWS, 'outbound|9080||ratings.default.svc.cluster.local']);
    const second = await client.next();
    expect(second.resources.has('outbound|9080||ratings.default.svc.cluster.local')).toBe(true);
  });

  test('hears of a change of the configuration, and of nothing else', async () => {
    const { plane, source } = await start(service('reviews'));
    const client = connect(plane);
    await clusters(client);
    client.send({ type: 'RDS', names: [REVIEWS] });
    client.ack(await client.next(), [REVIEWS]);
    source.set(service('reviews') + service('ratings'));
    const change = await client.next();
    expect([change.type, change.resources.size]).toEqual(['CDS', 2]);
    // The routes of reviews are as they were: a further change shows that nothing came in between.
    client.ack(change);
    source.set(service('reviews'));
    expect((await client.next()).type).toBe('CDS');
  });

  test('gets clusters before what refers to them', async () => {
    const { plane, source } = await start('');
    const client = connect(plane);
    const names = [REVIEWS];
    client.send({ type: 'LDS', node: nodeOf() });
    client.ack(await client.next());
    client.send({ type: 'RDS', names });
    client.ack(await client.next(), names);
    client.send({ type: 'CDS' });
    client.ack(await client.next());
    client.send({ type: 'EDS', names });
    client.ack(await client.next(), names);
    source.set(service('reviews'));
    const order: string[] = [];
    while (order.length < 4) {
      const seen = await client.next();
      order.push(seen.type);
      client.ack(seen, seen.type === 'EDS' || seen.type === 'RDS' ? names : []);
    }
    expect(order).toEqual(['CDS', 'EDS', 'LDS', 'RDS']);
  });

  test('that refuses a version is not sent it again, but the next one', async () => {
    const { plane, source } = await start(service('reviews'));
    const client = connect(plane);
    client.send({ type: 'CDS', node: nodeOf() });
    const { nonce } = await client.next();
    client.send({ type: 'CDS', nonce, error: 'bad cluster' });
    // The answer to another type comes after whatever the refusal would have brought.
    client.send({ type: 'LDS' });
    expect((await client.next()).type).toBe('LDS');
    const [status] = plane.status().clients;
    expect(status).toMatchObject({ state: 'NACKED' });
    expect(status?.types.find(({ type }) => type === 'CDS')).toMatchObject({
      state: 'NACKED',
      error: 'bad cluster',
    });
    source.set(service('reviews') + service('ratings'));
    const next = await client.next();
    expect([next.type, next.resources.size]).toEqual(['CDS', 2]);
  });

  test('that answers an overtaken response is not taken at its word', async () => {
    const { plane } = await start(service('reviews'));
    const client = connect(plane);
    client.send({ type: 'CDS', node: nodeOf() });
    await client.next();
    client.send({ type: 'CDS', nonce: 'of another life' });
    client.send({ type: 'LDS' });
    expect((await client.next()).type).toBe('LDS');
    expect(plane.status().clients[0]?.types.find(({ type }) => type === 'CDS')?.state).toBe('STALE');
  });

  test('without a node is ended', async () => {
    const { plane } = await start('');
    const client = connect(plane);
    client.send({ type: 'CDS' });
    expect(await client.ended()).toBe(3);
  });

  test('of a node with a malformed workload is ended, and registers nothing', async () => {
    const { plane } = await start('');
    const client = connect(plane);
    const node = serving('a', 4001);
    const bad = { ...node, metadata: { ...node.metadata, NAMESPACE: 'a/b' } };
    client.send({ type: 'CDS', node: bad });
    expect(await client.ended()).toBe(3);
    expect(plane.status().workloads).toBe(0);
  });
});

describe('a workload', () => {
  async function watching(plane: ControlPlane) {
    const client = connect(plane);
    client.send({ type: 'EDS', node: nodeOf(), names: [REVIEWS] });
    const first = await client.next();
    client.ack(first, [REVIEWS]);
    return {
      first,
      next: async () => {
        const seen = await client.next();
        client.ack(seen, [REVIEWS]);
        return portsOf(seen);
      },
    };
  }

  test('is an endpoint while its stream lives', async () => {
    const { plane } = await start(service('reviews'));
    const { first, next } = await watching(plane);
    expect(portsOf(first)).toEqual([]);
    const workload = connect(plane);
    workload.send({ type: 'LDS', node: serving('a', 4001) });
    expect(await next()).toEqual([4001]);
    workload.close();
    expect(await next()).toEqual([]);
  });

  test('that says it serves nothing any more is gone at once', async () => {
    const { plane } = await start(service('reviews'), { registrationGraceMs: 60_000 });
    const { next } = await watching(plane);
    const workload = connect(plane);
    workload.send({ type: 'LDS', node: serving('a', 4001) });
    expect(await next()).toEqual([4001]);
    workload.send({ type: 'LDS', node: { ...nodeOf({ INMESH_WORKLOADS: [] }), id: 'a' } });
    expect(await next()).toEqual([]);
  });

  test('has its own listener, which others do not hear of', async () => {
    const { plane } = await start(service('reviews'));
    const workload = connect(plane);
    const name = 'xds.istio.io/grpc/lds/inbound/127.0.0.1:4001';
    workload.send({ type: 'LDS', node: serving('a', 4001), names: [name] });
    expect([...(await workload.next()).resources.keys()]).toEqual([name]);
    const other = connect(plane);
    other.send({ type: 'LDS', node: nodeOf() });
    expect([...(await other.next()).resources.keys()]).toEqual(['reviews.default.svc.cluster.local:9080']);
  });
});

describe('after a restart', () => {
  test('a client that had configuration keeps it until the workloads are back', async () => {
    const { plane } = await start(service('reviews'));
    const client = connect(plane);
    // A version of the process before: it knew two endpoints that have yet to come back.
    client.send({ type: 'EDS', node: nodeOf(), names: [REVIEWS], version: 'from before' });
    const workloads = [connect(plane), connect(plane)];
    workloads[0]?.send({ type: 'LDS', node: serving('a', 4001) });
    workloads[1]?.send({ type: 'LDS', node: serving('b', 4002) });
    expect(portsOf(await client.next())).toEqual([4001, 4002]);
  });

  test('with a folder, what was registered is there at once', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'inmesh-plane-'));
    closing.push(() => rm(dataDir, { recursive: true }));
    const first = await start(service('reviews'), { dataDir });
    const workload = connect(first.plane);
    workload.send({ type: 'LDS', node: serving('a', 4001) });
    await workload.next();
    await first.plane.close();
    const { plane } = await start(service('reviews'), { dataDir });
    const client = connect(plane);
    client.send({ type: 'EDS', node: nodeOf(), names: [REVIEWS] });
    expect(portsOf(await client.next())).toEqual([4001]);
  });

  test('a client without configuration does not wait', async () => {
    const settleMs = { quietMs: 100_000, maxMs: 100_000 };
    const { plane } = await start(service('reviews'), { settleMs });
    const started = performance.now();
    await clusters(connect(plane));
    expect(performance.now() - started).toBeLessThan(settleMs.quietMs / 2);
  });
});

test('a configuration that is refused leaves the last good one in force', async () => {
  const { plane, source } = await start(service('reviews'));
  const client = connect(plane);
  await clusters(client);
  source.set(`${service('reviews')}---\nkind: Nonsense\n`);
  expect(plane.status().rejected?.violations.length).toBeGreaterThan(0);
  source.set(service('reviews') + service('ratings'));
  expect((await client.next()).resources.size).toBe(2);
  expect(plane.status().rejected).toBeUndefined();
});

test('a port that is taken is one clear error, and nothing stays open', async () => {
  const { plane } = await start('');
  const port = Number(plane.addresses.xds.split(':')[1]);
  await expect(createControlPlane({ ports: { xds: port, secureXds: 0, http: 0 } })).rejects.toMatchObject({
    code: 'INMESH_PORT_IN_USE',
  });
});
