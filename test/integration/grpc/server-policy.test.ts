import * as grpc from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ROUTE_CONFIGURATION } from '../../../src/codec/resource-types.js';
import { MATCH_EVERYTHING } from '../../../src/model/filter-chain-match.js';
import type { FilterChain, InboundListener } from '../../../src/model/listener.js';
import type { RouteConfiguration } from '../../../src/model/route.js';
import { istio, World } from '../mesh/features-world.js';
import { eventually } from '../mesh/support.js';
import { forward, host } from '../support/static-mesh.js';
import type { TestClient } from './interop-service.js';
import { bareClient, credentialsOf, outcomeOf, serveGrpc } from './server-support.js';
import { ServerWorld } from './server-world.js';

const mode = (name: string) =>
  istio('PeerAuthentication', 'default', `mtls: { mode: ${name} }`, 'istio-system');

describe('PeerAuthentication', () => {
  let world: World;
  afterEach(() => world.close());

  async function both(initial: string) {
    world = await World.start(mode(initial));
    const { port } = await serveGrpc(world);
    const mtls = credentialsOf(await world.join());
    return {
      port,
      plain: () => outcomeOf(bareClient(world, port)).then(([code]) => code),
      secure: () => outcomeOf(bareClient(world, port, mtls)).then(([code]) => code),
    };
  }

  test.each([
    ['STRICT', 'UNAVAILABLE', 'OK'],
    ['PERMISSIVE', 'OK', 'OK'],
    ['DISABLE', 'OK', 'UNAVAILABLE'],
  ])('%s: plaintext %s, mTLS %s', async (name, plaintext, mutual) => {
    const { plain, secure } = await both(name);
    expect([await plain(), await secure()]).toEqual([plaintext, mutual]);
  });

  test('a change ends the connections that it forbids, after their calls', async () => {
    const { port, plain, secure } = await both('PERMISSIVE');
    const client = bareClient(world, port);
    const call = client.fullDuplexCall();
    const ended = new Promise<number>((resolve) => call.on('status', ({ code }) => resolve(code)));
    const answer = () => new Promise((resolve) => call.once('data', resolve));
    call.write({ responseParameters: [{ size: 1 }] });
    await answer();
    world.configure(mode('STRICT'));
    await eventually('plaintext is refused', async () => (await plain()) === 'UNAVAILABLE');
    call.write({ responseParameters: [{ size: 1 }] });
    await answer();
    call.end();
    expect(await ended).toBe(grpc.status.OK);
    expect((await outcomeOf(client))[0]).toBe('UNAVAILABLE');
    expect(await secure()).toBe('OK');
  });

  test('without a word of the control plane only mTLS would be let in', async () => {
    world = await World.start('');
    const { port } = await serveGrpc(world, {
      mesh: { controlPlane: '127.0.0.1:1', startupTimeoutMs: 50, configurationTimeoutMs: 50 },
    });
    expect((await outcomeOf(bareClient(world, port)))[0]).toBe('UNAVAILABLE');
  });
});

test('a control plane that goes and comes back: the server serves on, and follows the new one', async () => {
  const first = await World.start(mode('PERMISSIVE'));
  const { port, mesh } = await serveGrpc(first);
  const caller = await first.join();
  const client = bareClient(first, port, credentialsOf(caller));
  expect((await outcomeOf(client))[0]).toBe('OK');
  const portOf = (address: string) => Number(address.split(':').at(-1));
  const { xds, secureXds, http } = first.plane.addresses;
  await first.plane.close();
  await eventually('it is gone', () => mesh.status().controlPlane.state !== 'connected');
  // New connections are served as ever, too.
  expect((await outcomeOf(client))[0]).toBe('OK');
  expect((await outcomeOf(bareClient(first, port)))[0]).toBe('OK');
  const second = await World.start(mode('STRICT'), {
    ports: { xds: portOf(xds), secureXds: portOf(secureXds), http: portOf(http) },
  });
  try {
    await eventually(
      'the new policy holds',
      async () => (await outcomeOf(bareClient(first, port)))[0] === 'UNAVAILABLE',
    );
    // It has another root; both ends have certificates of it by now or soon.
    await eventually(
      'mTLS goes on',
      async () => (await outcomeOf(bareClient(first, port, credentialsOf(caller))))[0] === 'OK',
    );
    expect(second.plane.status().workloads).toBe(1);
  } finally {
    await first.close();
    await second.close();
  }
});

describe('limits of the listener', () => {
  let servers: ServerWorld;
  beforeAll(async () => {
    servers = await ServerWorld.start();
  });
  afterAll(() => servers.close());

  /** A call that its handler never ends: its status, once its time is over. */
  async function endless(client: TestClient, answersFirst: boolean): Promise<string> {
    const call = client.fullDuplexCall();
    call.on('error', () => {});
    call.resume();
    const ended = new Promise<number>((resolve) => call.on('status', ({ code }) => resolve(code)));
    if (answersFirst) call.write({ responseParameters: [{ size: 1 }] });
    return grpc.status[await ended] ?? '';
  }

  test('the longest duration of a call: DEADLINE_EXCEEDED, a reset once its head is out', async () => {
    const { port, mesh } = await servers.serve({ http: { maxStreamDurationMs: 400 } });
    const client = bareClient(servers.world, port);
    expect([await endless(client, false), await endless(client, true)]).toEqual([
      'DEADLINE_EXCEEDED',
      'CANCELLED',
    ]);
    await eventually(
      'both are counted',
      () => mesh.metrics().match(/istio_requests_total\{.*response_flags="DT"/g)?.length === 2,
    );
  });

  test('the longest pause, and a handler that answers too late', async () => {
    let late: (() => void) | undefined;
    const { port } = await servers.serve(
      { http: { streamIdleTimeoutMs: 400 } },
      {
        handlers: {
          unaryCall(_call: unknown, callback: grpc.sendUnaryData<object>) {
            late = () => callback(null, {});
          },
        },
      },
    );
    const client = bareClient(servers.world, port);
    expect(await outcomeOf(client)).toEqual(['UNAVAILABLE', 'stream timeout']);
    late?.();
    expect(await endless(client, true)).toBe('CANCELLED');
  });

  test('a connection ends after so many calls; clients go on with the next', async () => {
    const peers = new Set<string>();
    const { port } = await servers.serve(
      { http: { limits: { maxRequestsPerConnection: 2 } } },
      {
        handlers: {
          unaryCall(call: grpc.ServerUnaryCall<object, object>, callback: grpc.sendUnaryData<object>) {
            peers.add(call.getPeer());
            callback(null, {});
          },
        },
      },
    );
    const client = bareClient(servers.world, port);
    for (let i = 0; i < 6; i++) expect(await outcomeOf(client)).toEqual(['OK', '']);
    expect(peers.size).toBeGreaterThan(1);
  });
});

describe('filter chains', () => {
  let servers: ServerWorld;
  beforeAll(async () => {
    servers = await ServerWorld.start();
  });
  afterAll(() => servers.close());

  /** One chain lets nobody in that asks for this name. */
  const forNames =
    (...serverNames: string[]) =>
    (listener: InboundListener): InboundListener => {
      const [chain] = listener.filterChains;
      if (chain?.http === undefined) throw new Error('it serves gRPC');
      const { transportProtocol: _, ...everything } = MATCH_EVERYTHING;
      const closed: FilterChain = {
        ...chain,
        match: { ...everything, serverNames },
        http: { ...chain.http, routes: { kind: 'rds', name: 'closed' } },
      };
      return { ...listener, filterChains: [closed], defaultChain: { ...chain, transportProtocol: '' } };
    };

  test('are chosen by SNI, and take their routes from RDS', async () => {
    const table = host('closed', []).routes;
    if (table === undefined) throw new Error('a host has a table');
    const put = (routes: RouteConfiguration) =>
      servers.state.put(ROUTE_CONFIGURATION, 'closed', { ...routes, name: 'closed' }).publish();
    put(table);
    const { port } = await servers.serve({ chains: ['tls'], change: forNames('closed.example') });
    const credentials = credentialsOf(await servers.join());
    const called = (name: string) =>
      outcomeOf(bareClient(servers.world, port, credentials, { 'grpc.ssl_target_name_override': name })).then(
        ([code]) => code,
      );
    expect(await called('open.example')).toBe('OK');
    expect(await called('closed.example')).toBe('UNIMPLEMENTED');
    // Only the table changes.
    const open = host('closed', [{ ...forward('-'), action: { kind: 'non-forwarding' } }]).routes;
    if (open === undefined) throw new Error('a host has a table');
    put(open);
    await eventually('the table holds', async () => (await called('closed.example')) === 'OK');
  });
});
