import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { meshServer, meshServerCredentials } from '../../../src/grpc.js';
import { World } from '../mesh/features-world.js';
import { eventually } from '../mesh/support.js';
import { TestClient, testService, testServiceHandlers } from './interop-service.js';
import { bareClient, bind, credentialsOf, outcomeOf, serveGrpc } from './server-support.js';

let world: World;
beforeEach(async () => {
  world = await World.start('');
});
afterEach(() => world.close());

const code = (error: unknown) => (error as { code?: unknown }).code;

/** Whether somebody listens there. */
function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

describe('binding', () => {
  test('an address is the address that was asked for, not all of them', async () => {
    const { port } = await serveGrpc(world, { address: '127.0.0.1:0' });
    const others = Object.values(networkInterfaces())
      .flat()
      .filter((one) => one?.family === 'IPv4' && !one.internal);
    expect(await answers('127.0.0.1', port)).toBe(true);
    for (const one of others) expect(await answers(one?.address ?? '', port)).toBe(false);
    expect(await answers('::1', port)).toBe(false);
  });

  test('a name with several addresses is bound to each, as one port', async () => {
    const { port } = await serveGrpc(world, { address: 'localhost:0' });
    expect(await outcomeOf(bareClient(world, port))).toEqual(['OK', '']);
    expect(world.plane.status().workloads).toBe(1);
  });

  test('the port is registered with the control plane while it serves, as gRPC', async () => {
    const { server, port, mesh } = await serveGrpc(world);
    expect(mesh.status().service).toBe('echo');
    const client = await world.join();
    const ask = () =>
      client.fetch('http://echo/none.Such/Method', {
        method: 'POST',
        headers: { 'content-type': 'application/grpc', te: 'trailers' },
      });
    const answer = await ask();
    expect([answer.status, answer.headers.get('grpc-status')]).toEqual([200, '12']);
    await new Promise<void>((resolve, reject) => {
      server.tryShutdown((error) => (error === undefined ? resolve() : reject(error)));
    });
    expect(await answers('127.0.0.1', port)).toBe(false);
    await eventually('nobody knows it any more', () =>
      ask().then(
        () => false,
        () => true,
      ),
    );
  });

  test('credentials of the mesh mean the same; others, files and injected connections are refused', async () => {
    const mesh = await world.join({ service: 'echo', leaveDelayMs: 0 });
    const server = meshServer(mesh);
    server.addService(testService, testServiceHandlers());
    const port = await bind(server, '127.0.0.1:0', meshServerCredentials(mesh));
    expect(await outcomeOf(bareClient(world, port, credentialsOf(await world.join())))).toEqual(['OK', '']);
    expect(await outcomeOf(bareClient(world, port))).toEqual(['OK', '']);
    const own = grpc.ServerCredentials.createSsl(null, []);
    expect(await bind(server, '127.0.0.1:0', own).catch(code)).toBe('INMESH_UNSUPPORTED');
    expect(await bind(server, 'unix:/tmp/no.sock').catch(code)).toBe('INMESH_UNSUPPORTED');
    let refused: unknown;
    try {
      server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
    } catch (error) {
      refused = code(error);
    }
    expect(refused).toBe('INMESH_UNSUPPORTED');
    expect(() => meshServer(mesh, { server })).toThrow('in a mesh already');
  });

  test("a port that is taken is grpc-js's error; the same port again is the same port", async () => {
    const { server, port } = await serveGrpc(world);
    const other = await serveGrpc(world, { address: `127.0.0.1:${port}` }).catch(
      (error: Error) => error.message,
    );
    expect(other).toContain('EADDRINUSE');
    expect(await bind(server, `127.0.0.1:${port}`)).toBe(port);
  });

  test('a port may have several addresses: they are one place in the registry', async () => {
    const { server, port } = await serveGrpc(world);
    expect(await bind(server, `127.0.0.2:${port}`)).toBe(port);
    const other = new TestClient(`127.0.0.2:${port}`, grpc.credentials.createInsecure());
    world.onClose(async () => other.close());
    expect(await outcomeOf(other)).toEqual(['OK', '']);
    expect(world.plane.status().workloads).toBe(1);
    server.unbind(`127.0.0.2:${port}`);
    await eventually('it is unbound', async () => !(await answers('127.0.0.2', port)));
    expect(await outcomeOf(bareClient(world, port))).toEqual(['OK', '']);
    expect(world.plane.status().workloads).toBe(1);
  });

  test('a server that was made elsewhere joins as it is', async () => {
    const mesh = await world.join({ service: 'echo', leaveDelayMs: 0 });
    const server = new grpc.Server();
    expect(meshServer(mesh, { server })).toBe(server);
    server.addService(testService, testServiceHandlers());
    const port = await bind(server, '127.0.0.1:0');
    server.start();
    expect(await outcomeOf(bareClient(world, port, credentialsOf(await world.join())))).toEqual(['OK', '']);
  });
});

test('certificates are renewed under load: no call fails, and no connection outlives its certificate', async () => {
  await world.close();
  world = await World.start('', { workloadCertificateLifeMs: 2000 });
  const { mesh } = await serveGrpc(world);
  const client = await world.join();
  const serials = new Set<unknown>();
  mesh.identity.onUpdate(() => serials.add(mesh.identity.svid()?.notAfterMs));
  const headers = { 'content-type': 'application/grpc', te: 'trailers' };
  const running = load(async () => {
    try {
      const answer = await client.fetch('http://echo/none.Such/Method', { method: 'POST', headers });
      const status = answer.headers.get('grpc-status');
      return status === '12' ? (['OK', ''] as const) : [`status ${status}`, ''];
    } catch (error) {
      return [String(error), String((error as Error).cause)];
    }
  }, 10);
  await eventually('three generations', () => serials.size >= 3);
  const { sent, failures } = await running.stop();
  expect(failures).toEqual([]);
  expect(sent).toBeGreaterThan(20);
});

/** Calls at a fixed rate until stopped; what did not end well. */
function load(calls: () => Promise<readonly [string, string]>, everyMs = 5) {
  const failures: string[] = [];
  const running = new Set<Promise<void>>();
  let sent = 0;
  const timer = setInterval(() => {
    sent++;
    const call = calls().then(([status, details]) => {
      if (status !== 'OK') failures.push(`${status}: ${details}`);
      running.delete(call);
    });
    running.add(call);
  }, everyMs);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
      return { sent, failures };
    },
  };
}

describe('going away', () => {
  test('under load, with another server there: no call fails', async () => {
    const first = await serveGrpc(world);
    const second = await serveGrpc(world);
    // One connection after the other is told to go: a client that knows both goes on with the other.
    const channel = new grpc.Channel(
      `ipv4:127.0.0.1:${first.port},127.0.0.1:${second.port}`,
      grpc.credentials.createInsecure(),
      {
        'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
      },
    );
    const balanced = bareClient(world, first.port, undefined, { channelOverride: channel });
    const running = load(() => outcomeOf(balanced));
    await eventually(
      'both serve',
      () =>
        first.mesh.metrics().includes('istio_requests_total') &&
        second.mesh.metrics().includes('istio_requests_total'),
    );
    await first.mesh.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { sent, failures } = await running.stop();
    expect(failures).toEqual([]);
    expect(sent).toBeGreaterThan(5);
  });

  test('a call that runs may finish; the server is closed then', async () => {
    const { mesh, port } = await serveGrpc(world);
    const client = bareClient(world, port);
    const call = client.fullDuplexCall();
    const ended = new Promise<number>((resolve) => call.on('status', ({ code: status }) => resolve(status)));
    call.write({ responseParameters: [{ size: 1 }] });
    await new Promise((resolve) => call.once('data', resolve));
    let isClosed = false;
    const closing = mesh.close().then(() => {
      isClosed = true;
    });
    call.write({ responseParameters: [{ size: 2 }] });
    await new Promise((resolve) => call.once('data', resolve));
    expect(isClosed).toBe(false);
    call.end();
    expect(await ended).toBe(grpc.status.OK);
    await closing;
    expect(await answers('127.0.0.1', port)).toBe(false);
  });

  test('a call that does not end is cut when the time is over', async () => {
    const { mesh, port } = await serveGrpc(world, { drainTimeoutMs: 50 });
    const call = bareClient(world, port).fullDuplexCall();
    const ended = new Promise<number>((resolve) => call.on('status', ({ code: status }) => resolve(status)));
    call.on('error', () => {});
    call.write({ responseParameters: [{ size: 1 }] });
    await new Promise((resolve) => call.once('data', resolve));
    await mesh.close();
    expect([grpc.status.CANCELLED, grpc.status.UNAVAILABLE, grpc.status.UNKNOWN]).toContain(await ended);
    expect(await answers('127.0.0.1', port)).toBe(false);
  });

  test('forceShutdown and unbind work as ever', async () => {
    const { server, port } = await serveGrpc(world);
    const next = await bind(server, '127.0.0.1:0');
    server.unbind(`127.0.0.1:${port}`);
    await eventually('it is unbound', async () => !(await answers('127.0.0.1', port)));
    expect(await outcomeOf(bareClient(world, next))).toEqual(['OK', '']);
    server.forceShutdown();
    await eventually('it is closed', async () => !(await answers('127.0.0.1', next)));
  });
});
