import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { istio } from '../mesh/features-world.js';
import { eventually } from '../mesh/support.js';
import { GrpcWorld, routes, rules } from './grpc-world.js';
import { OurPeer } from './our-peer.js';
import { type CallOptions, type CallResult, StockPeer } from './stock/stock-peer.js';

const NODE = 'sidecar~127.0.0.1~stock-1.default~default.svc.cluster.local';

interface Peer {
  calls(options: CallOptions): Promise<readonly CallResult[]>;
  tally(options: CallOptions): Promise<Readonly<Record<string, number>>>;
  stop(): Promise<void>;
}

const PEERS = {
  async stock(controlPlane: string): Promise<Peer> {
    return StockPeer.start({ controlPlane, locality: 'eu/1', id: NODE });
  },
  ours: (controlPlane: string): Promise<Peer> => OurPeer.start({ controlPlane, locality: 'eu/1' }),
};

const within = (value: number | undefined, low: number, high: number) => {
  expect(value ?? 0).toBeGreaterThanOrEqual(low);
  expect(value ?? 0).toBeLessThanOrEqual(high);
};

describe.each(['stock', 'ours'] as const)('the %s gRPC client over our control plane', (kind) => {
  let world: GrpcWorld;
  let peer: Peer;
  beforeAll(async () => {
    world = await GrpcWorld.start();
    peer = await PEERS[kind](world.plane.addresses.xds);
  });
  afterAll(async () => {
    await peer.stop();
    await world.close();
  });

  test('spreads calls round robin', async () => {
    const target = world.serve(
      'rr.mesh',
      ['a', 'b', 'c'],
      rules('rr.mesh', '{ loadBalancer: { simple: ROUND_ROBIN } }'),
    );
    await eventually('three', async () => Object.keys(await peer.tally({ target, count: 6 })).length === 3);
    expect(await peer.tally({ target, count: 30 })).toEqual({ a: 10, b: 10, c: 10 });
  });

  test('keeps a user at one backend by consistent hashing', async () => {
    const policy = '{ loadBalancer: { consistentHash: { httpHeaderName: x-user } } }';
    const target = world.serve('ring.mesh', ['a', 'b', 'c', 'd'], rules('ring.mesh', policy));
    const homes = new Set<string>();
    for (let user = 0; user < 12; user++) {
      const tally = await peer.tally({ target, count: 5, metadata: { 'x-user': `user-${user}` } });
      expect(Object.values(tally)).toEqual([5]);
      homes.add(Object.keys(tally).join());
    }
    expect(homes.size).toBeGreaterThan(1);
  });

  test.each(['LEAST_REQUEST', 'RANDOM', 'ROUND_ROBIN', 'LEAST_CONN'])(
    'takes a service with the balancer %s',
    async (simple) => {
      const host = `${simple.toLowerCase().replace('_', '-')}.mesh`;
      const target = world.serve(host, ['a', 'b'], rules(host, `{ loadBalancer: { simple: ${simple} } }`));
      const tally = await peer.tally({ target, count: 40 });
      expect(Object.keys(tally).sort()).toEqual(['a', 'b']);
    },
  );

  test('follows weights, and their change while it calls', async () => {
    const split = (a: number, b: number) =>
      routes(
        'canary.mesh',
        `- route:
  - { destination: { host: canary.mesh, subset: a }, weight: ${a} }
  - { destination: { host: canary.mesh, subset: b }, weight: ${b} }`,
      );
    const subsets = rules('canary.mesh', '', ['a', 'b']);
    const target = world.serve('canary.mesh', ['a', 'b'], subsets, split(90, 10));
    const before = await peer.tally({ target, count: 300, parallel: 10 });
    within(before['a'], 240, 297);
    expect((before['a'] ?? 0) + (before['b'] ?? 0)).toBe(300);
    world.serve('canary.mesh', ['a', 'b'], subsets, split(0, 100));
    await eventually('the shift', async () => (await peer.tally({ target, count: 10 }))['b'] === 10);
  });

  test('routes by header and by method', async () => {
    const target = world.serve(
      'match.mesh',
      ['a', 'b', 'c', 'd'],
      rules('match.mesh', '', ['a', 'b', 'c', 'd']),
      routes(
        'match.mesh',
        `- match: [{ headers: { x-team: { exact: red } } }]
  route: [{ destination: { host: match.mesh, subset: b } }]
- match: [{ headers: { x-team: { regex: "gr(e|a)y" } } }, { headers: { x-team: { prefix: dark } } }]
  route: [{ destination: { host: match.mesh, subset: c } }]
- match: [{ uri: { exact: /interop.Echo/Other } }]
  route: [{ destination: { host: match.mesh, subset: d } }]
- route: [{ destination: { host: match.mesh, subset: a } }]`,
      ),
    );
    const of = (options: object) => peer.tally({ target, count: 3, ...options });
    expect(await of({})).toEqual({ a: 3 });
    expect(await of({ metadata: { 'x-team': 'red' } })).toEqual({ b: 3 });
    expect(await of({ metadata: { 'x-team': 'gray' } })).toEqual({ c: 3 });
    expect(await of({ metadata: { 'x-team': 'dark-blue' } })).toEqual({ c: 3 });
    expect(await of({ method: 'Other' })).toEqual({ d: 3 });
    expect(await of({ method: 'Other', metadata: { 'x-team': 'red' } })).toEqual({ b: 3 });
  });

  test('aborts and delays as told', async () => {
    const target = world.serve(
      'fault.mesh',
      ['a'],
      routes(
        'fault.mesh',
        `- match: [{ headers: { x-abort: { exact: grpc } } }]
  fault: { abort: { grpcStatus: RESOURCE_EXHAUSTED, percentage: { value: 100 } } }
  route: [{ destination: { host: fault.mesh } }]
- match: [{ headers: { x-abort: { exact: http } } }]
  fault: { abort: { httpStatus: 503, percentage: { value: 100 } } }
  route: [{ destination: { host: fault.mesh } }]
- match: [{ headers: { x-slow: { exact: "1" } } }]
  fault: { delay: { fixedDelay: 300ms, percentage: { value: 100 } } }
  route: [{ destination: { host: fault.mesh } }]
- route: [{ destination: { host: fault.mesh } }]`,
      ),
    );
    expect(await peer.tally({ target, count: 2 })).toEqual({ a: 2 });
    expect(await peer.tally({ target, count: 2, metadata: { 'x-abort': 'grpc' } })).toEqual({ 8: 2 });
    expect(await peer.tally({ target, count: 2, metadata: { 'x-abort': 'http' } })).toEqual({ 14: 2 });
    const [slow] = await peer.calls({ target, metadata: { 'x-slow': '1' } });
    expect(slow).toMatchObject({ code: 0, name: 'a' });
    expect(slow?.ms).toBeGreaterThan(290);
  });

  test('tries again as told, and not more', async () => {
    const target = world.serve(
      'retry.mesh',
      ['a'],
      routes(
        'retry.mesh',
        `- retries: { attempts: 3, retryOn: "unavailable,cancelled", backoff: 5ms }
  route: [{ destination: { host: retry.mesh } }]`,
      ),
    );
    const fail = (id: string, code: number, times: number) =>
      peer.tally({ target, metadata: { 'x-id': id, 'x-fail': String(code), 'x-fail-times': String(times) } });
    expect(await fail('one', 14, 2)).toEqual({ a: 1 });
    expect(await fail('two', 14, 99)).toEqual({ 14: 1 });
    expect(await fail('three', 5, 1)).toEqual({ 5: 1 });
  });

  test('ends calls when the route says', async () => {
    const target = world.serve(
      'slow.mesh',
      ['a'],
      routes('slow.mesh', '- timeout: 150ms\n  route: [{ destination: { host: slow.mesh } }]'),
    );
    expect(await peer.tally({ target, metadata: { 'x-delay': '20' } })).toEqual({ a: 1 });
    const [late] = await peer.calls({ target, metadata: { 'x-delay': '2000' } });
    expect(late?.code).toBe(4);
    within(late?.ms, 100, 1500);
  });

  test('breaks the circuit at the number of requests', async () => {
    const policy = '{ connectionPool: { http: { http2MaxRequests: 2 } } }';
    const target = world.serve('breaker.mesh', ['a'], rules('breaker.mesh', policy));
    expect(await peer.tally({ target })).toEqual({ a: 1 });
    // The stock client counts a call when it has begun: those of one moment slip through.
    const a = world.backend('a');
    const before = a.calls;
    const held = peer.tally({ target, count: 2, parallel: 2, metadata: { 'x-delay': '600' } });
    await eventually('two calls', () => a.calls === before + 2);
    expect(await peer.tally({ target, count: 6, parallel: 6 })).toEqual({ 14: 6 });
    expect(await held).toEqual({ a: 2 });
    expect(await peer.tally({ target })).toEqual({ a: 1 });
  });

  test('follows endpoints that come and go', async () => {
    const target = world.serve('moving.mesh', ['a']);
    expect(await peer.tally({ target, count: 4 })).toEqual({ a: 4 });
    world.serve('moving.mesh', ['a', 'b']);
    await eventually('b', async () => ((await peer.tally({ target, count: 10 }))['b'] ?? 0) > 0);
    world.serve('moving.mesh', ['c']);
    await eventually('c alone', async () => (await peer.tally({ target, count: 4 }))['c'] === 4);
    if (kind === 'stock') {
      // Ours keeps the last endpoints that it had.
      world.serve('moving.mesh', []);
      await eventually('nobody', async () => (await peer.tally({ target }))[14] === 1);
    }
    world.serve('moving.mesh', ['d']);
    await eventually('d', async () => (await peer.tally({ target, count: 4 }))['d'] === 4);
  });

  test('prefers near endpoints, and fails over to far ones', async () => {
    const policy = `{ loadBalancer: { simple: ROUND_ROBIN, localityLbSetting: { enabled: true } }, outlierDetection: { interval: 1s } }`;
    const host = 'near.mesh';
    world.configure(host, world.service(host, ['a', 'b'], { a: 'eu/1', b: 'us/1' }) + rules(host, policy));
    const target = `xds:///${host}:8080`;
    expect(await peer.tally({ target, count: 10 })).toEqual({ a: 10 });
    world.configure(host, world.service(host, ['b', 'c'], { b: 'us/1', c: 'us/2' }) + rules(host, policy));
    await eventually('the failover', async () => (await peer.tally({ target, count: 4 }))['a'] === undefined);
  });

  test('resolves services by name', async () => {
    const host = 'dns.mesh';
    const text = istio(
      'ServiceEntry',
      'dns',
      `hosts: [${host}]
location: MESH_INTERNAL
resolution: DNS
ports: [{ name: grpc, number: 8080, protocol: GRPC }]
endpoints: [{ address: localhost, ports: { grpc: ${world.backend('a').port} } }]`,
    );
    world.configure(host, text);
    expect(await peer.tally({ target: `xds:///${host}:8080`, count: 3 })).toEqual({ a: 3 });
  });

  test('calls on while the control plane is away, and follows the next one', async () => {
    const target = world.serve('restart.mesh', ['a']);
    expect(await peer.tally({ target })).toEqual({ a: 1 });
    const away = world.restart();
    expect(await peer.tally({ target, count: 20 })).toEqual({ a: 20 });
    await away;
    world.serve('restart.mesh', ['b']);
    await eventually('the change', async () => (await peer.tally({ target })).b === 1);
  });

  test('refuses nothing of all this', async () => {
    await eventually('an end', () => world.unsettled().length === 0);
    expect(world.plane.status().clients).toHaveLength(1);
    if (peer instanceof StockPeer) expect(peer.stderr).toBe('');
  });
});
