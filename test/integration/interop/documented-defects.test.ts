import { connect } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, type TestContext, test, vi } from 'vitest';
import { meshServer } from '../../../src/bindings/grpc-server/mesh-server.js';
import { CLUSTER_LOAD_ASSIGNMENT } from '../../../src/codec/resource-types.js';
import { createControlPlane } from '../../../src/control-plane.js';
import { MATCH_EVERYTHING } from '../../../src/model/filter-chain-match.js';
import { compileFilterChains } from '../../../src/routing/filter-chains.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { createConnection } from '../../../src/xds/connection.js';
import type { StreamListener } from '../../../src/xds/stream.js';
import { eventually, joinQuietly } from '../mesh/support.js';
import { encodeJson } from './ads/json.js';
import { apiListener, byRds, edsCluster, locality, routesTo, toCluster } from './ads/shop.js';
import { grpcCaller } from './callers.js';
import { PsmWorld } from './psm-world.js';

// What grpc-js-xds 1.14.1 is known to get wrong, each as a test of ours.

const ASSIGNMENT = 'envoy.config.endpoint.v3.ClusterLoadAssignment';

let world: PsmWorld;
beforeAll(async () => {
  world = await PsmWorld.start(grpcCaller(), 'sotw');
});
afterAll(() => world.close());

/** An assignment of many endpoints, encoded by others. */
function assignment(count: number): Uint8Array {
  const endpoint = (index: number) => ({
    endpoint: {
      address: {
        socket_address: { address: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, port_value: 80 },
      },
    },
  });
  const lb_endpoints = Array.from({ length: count }, (_, index) => endpoint(index));
  return encodeJson(ASSIGNMENT, { cluster_name: 'many', endpoints: [{ ...locality([]), lb_endpoints }] });
}

describe('documented defects of grpc-js-xds that inmesh does not have', () => {
  test('1: the back-off of streams starts over after a stream that worked', async () => {
    const clock = createFakeClock();
    const openedAt: number[] = [];
    const connection = createConnection({
      clock,
      random: () => 0.5,
      method: '/m',
      async open(_, listener: StreamListener) {
        openedAt.push(clock.now());
        clock.schedule(3000, () => {
          listener.onMessage(new Uint8Array(1));
          clock.schedule(0, () => listener.onEnd(new MeshError('INMESH_CONTROL_PLANE_UNAVAILABLE', 'down')));
        });
        return { send: () => {}, close: () => {} };
      },
      listener: {
        onConnecting: () => {},
        onStream: () => {},
        onReady: () => {},
        *onMessage() {},
        onLost: () => {},
      },
    });
    await clock.advance(60_000);
    await connection.close();
    const gaps = openedAt.slice(1).map((at, index) => at - (openedAt[index] ?? 0));
    // 3 s of life and the shortest wait, every time.
    expect(gaps.length).toBeGreaterThan(10);
    expect(new Set(gaps).size).toBe(1);
    expect(gaps[0]).toBeLessThanOrEqual(4200);
  });

  test('2: a route without an action for clients fails its own calls, and nothing else', async () => {
    world.host('none', [
      { match: { prefix: '/interop.Echo/Other' }, non_forwarding_action: {} },
      toCluster('none'),
    ]);
    world.cluster('none', ['a']).publish();
    await world.settles('none', ['a']);
    expect(await world.call('none', { path: '/interop.Echo/Other' })).toMatch(/^!/);
    expect(await world.call('none')).toBe('a');
  });

  test('3: a back-off of one second is one second', async () => {
    const retry = {
      retry_policy: {
        retry_on: 'unavailable',
        num_retries: 1,
        retry_back_off: { base_interval: '1s', max_interval: '1s' },
      },
    };
    world
      .host('second', [toCluster('second', retry)])
      .cluster('second', ['a'])
      .publish();
    await world.settles('second', ['a']);
    // Envoy: any time up to the interval; a call is given much longer, and says so when that is over.
    expect(await world.call('second', { failure: 'unavailable', headers: { 'x-fail-times': '9' } })).toBe(
      '!14',
    );
  });

  test('4: the load of every cluster is reported, of the first one, too', async (context) => {
    const ads = world.ads;
    ads.lrsClusters = ['load-1', 'load-2'];
    const reported = { lrs_server: { self: {} } };
    world.host('load-1').cluster('load-1', ['a'], reported);
    world.host('load-2').cluster('load-2', ['b'], reported).publish();
    context.onTestFinished(() => {
      ads.lrsClusters = undefined;
    });
    await world.settles('load-1', ['a']);
    await world.settles('load-2', ['b']);
    await world.tally('load-1', 40);
    await world.tally('load-2', 40);
    const successesOf = (name: string) =>
      ads.loadReports.filter(({ cluster }) => cluster === name).reduce((sum, one) => sum + one.successful, 0);
    await eventually('reports', () => successesOf('load-1') >= 40 && successesOf('load-2') >= 40);
  });

  test('5: a server listens where it was told to, and nowhere else', async ({
    onTestFinished,
  }: TestContext) => {
    const plane = await createControlPlane({ ports: { xds: 0, secureXds: 0, http: 0 } });
    onTestFinished(() => plane.close());
    const mesh = await joinQuietly({ service: 'shop', controlPlane: plane.addresses.xds, leaveDelayMs: 0 });
    onTestFinished(() => mesh.close());
    const server = meshServer(mesh);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const reaches = (host: string) =>
      new Promise<boolean>((resolve) => {
        const socket = connect(port, host);
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
        onTestFinished(() => void socket.destroy());
      });
    expect(await reaches('127.0.0.1')).toBe(true);
    expect(await reaches('127.0.0.2')).toBe(false);
    expect(await reaches('::1')).toBe(false);
  });

  test('6: the time for endpoints grows with their number, not with its square', () => {
    const [part, whole] = [assignment(2000), assignment(20_000)];
    const timeOf = (work: () => unknown) => {
      const begin = performance.now();
      work();
      return performance.now() - begin;
    };
    const times = Array.from({ length: 5 }, () => ({
      // As many, and all of them kept, so that memory weighs the same.
      parts: timeOf(() => Array.from({ length: 10 }, () => CLUSTER_LOAD_ASSIGNMENT.decode(part))),
      whole: timeOf(() => CLUSTER_LOAD_ASSIGNMENT.decode(whole)),
    }));
    const least = (key: 'parts' | 'whole') => Math.min(...times.map((one) => one[key]));
    // With a square it would be ten.
    expect(least('whole') / least('parts')).toBeLessThan(5);
  });

  test('7: calls end after the stream duration of the listener, not after its idle time', async () => {
    world.ads.world.put(
      'LDS',
      'default:80',
      apiListener({
        ...byRds('default-routes'),
        common_http_protocol_options: { idle_timeout: '0.05s', max_stream_duration: '0.6s' },
      }),
    );
    world.ads.world.put('RDS', 'default-routes', routesTo(toCluster('default', { timeout: '0s' })));
    world.cluster('default', ['a']).publish();
    await world.settles('default', ['a']);
    expect(await world.call('default', { headers: { 'x-delay': '150' } })).toBe('a');
    expect(await world.call('default', { headers: { 'x-delay': '5000' } })).toMatch(/^!/);
  });

  test('8: no resource is written as JSON for a trace that nobody reads', () => {
    const bytes = assignment(10);
    const stringify = vi.spyOn(JSON, 'stringify');
    CLUSTER_LOAD_ASSIGNMENT.decode(bytes);
    const { calls } = stringify.mock;
    stringify.mockRestore();
    // The only one is a key for a locality.
    expect(calls.map(([value]) => value)).toEqual([['here', '', '']]);
  });

  test('11: a filter chain that asks for no transport protocol takes any', () => {
    const match = { ...MATCH_EVERYTHING, transportProtocol: '' as const };
    const choose = compileFilterChains([{ match, name: 'any' }], undefined);
    for (const transportProtocol of ['tls', 'raw_buffer'] as const) {
      const facts = {
        destinationPort: 80,
        destinationIp: '127.0.0.1',
        serverName: '',
        transportProtocol,
        applicationProtocols: [],
        directSourceIp: '127.0.0.1',
        sourceIp: '127.0.0.1',
        sourcePort: 4000,
      };
      expect(choose(facts)).toMatchObject({ name: 'any' });
    }
  });

  test('12: two dead hosts of a ring take no calls of the living with them', async () => {
    world.host('ring', [toCluster('ring', { hash_policy: [{ header: { header_name: 'x-session' } }] })]);
    world.ads.world.put('CDS', 'ring', edsCluster('', { lb_policy: 'RING_HASH' }));
    world.ads.world.put('EDS', 'ring', {
      endpoints: [locality([...world.ports('a'), ...world.ports('b'), 1, 2])],
    });
    world.publish();
    const homes = () =>
      Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          world.call('ring', { headers: { 'x-session': `s${index}` } }),
        ),
      );
    const first = await eventually('the living', async () => {
      const names = await homes();
      return names.includes('a') && names.includes('b') && names;
    });
    // gRFC A42: a session whose host is dead goes to the next one of the ring.
    expect(first).not.toContain('!14');
    // Where its own lives, it stays there.
    const again = await homes();
    expect(again).not.toContain('!14');
    expect(again.filter((name, index) => name === first[index]).length).toBeGreaterThan(20);
  });

  test('nothing of all this was refused', () => {
    expect(world.ads.referee.violations).toEqual([]);
    expect(world.ads.referee.nacks).toEqual([]);
  });
});
