import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshAgent, MeshHttpsAgent } from '../../../src/bindings/http-agent/agent.js';
import type { MeshCore } from '../../../src/mesh/core.js';
import { MeshError } from '../../../src/runtime/errors.js';
import type { ExchangeEnd } from '../../../src/service/observer.js';
import { standstill, turns } from '../support/standstill.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';
import { type Handler, send, startWorld, type World } from './support.js';

const worlds: World[] = [];

async function start(handler: Handler, ...rest: [Parameters<typeof startWorld>[1]?]): Promise<World> {
  const world = await startWorld(handler, ...rest);
  worlds.push(world);
  return world;
}

afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

describe('connections of the agent', () => {
  test('with keepAlive a socket is used again and says so', async () => {
    const { agent, port } = await start((_, response) => response.end('x'));
    const first = await send({ host: 'app', port, agent });
    const second = await send({ host: 'app', port, agent });
    expect([first.request.reusedSocket, second.request.reusedSocket]).toEqual([false, true]);
    expect(second.request.socket).toBe(first.request.socket);
  });

  test('without keepAlive every request has its own, and the server’s connection is kept all the same', async () => {
    const ports = new Set<number | undefined>();
    const { mesh, port } = await start((incoming, response) => {
      ports.add(incoming.socket.remotePort);
      response.end('x');
    });
    const agent = new MeshAgent(mesh, { keepAlive: false });
    const first = await send({ host: 'app', port, agent });
    const second = await send({ host: 'app', port, agent });
    expect(second.request.socket).not.toBe(first.request.socket);
    expect(ports.size).toBe(1);
  });

  test('maxSockets holds requests back', async () => {
    const waiting: (() => void)[] = [];
    let most = 0;
    const { mesh, port } = await start((_, response) => {
      waiting.push(() => response.end('x'));
      most = Math.max(most, waiting.length);
      if (waiting.length < 2) return;
      // A third one would come now, if any did.
      void turns(100).then(() => {
        for (const answer of waiting.splice(0)) answer();
      });
    });
    const agent = new MeshAgent(mesh, { maxSockets: 2 });
    await Promise.all(Array.from({ length: 8 }, () => send({ host: 'app', port, agent })));
    expect(most).toBe(2);
    agent.destroy();
  });

  test('a body that is read slowly holds the server back', async () => {
    let written = 0;
    const { agent, port } = await start((_, response) => {
      const source = Readable.from(
        (function* () {
          for (let i = 0; i < 400; i++) {
            written += 65_536;
            yield Buffer.alloc(65_536);
          }
        })(),
      );
      source.pipe(response);
    });
    const outgoing = request({ host: 'app', port, agent }).end();
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    // The server goes on until every buffer between is full: when nothing moves any more, it has stopped.
    expect(await standstill(() => written)).toBeLessThan(400 * 65_536);
    let read = 0;
    for await (const chunk of response) read += (chunk as Buffer).length;
    expect(read).toBe(400 * 65_536);
  });

  test('a server that reads slowly holds the caller back', async () => {
    let arrived: IncomingMessage | undefined;
    const { agent, port } = await start((incoming, response) => {
      arrived = incoming;
      incoming.on('end', () => response.end('x'));
    });
    const outgoing = request({ host: 'app', port, agent, method: 'POST' });
    let writes = 0;
    while (writes < 10_000 && outgoing.write(Buffer.alloc(65_536))) {
      writes++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(writes).toBeLessThan(10_000);
    while (arrived === undefined) await new Promise((resolve) => setImmediate(resolve));
    arrived.resume();
    outgoing.end();
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    response.resume();
  });
});

describe('hosts outside the mesh', () => {
  test('are reached as ever, by the agent that is given', async () => {
    const { mesh, port } = await start((incoming, response) => response.end(incoming.headers.host));
    const outside = new Agent({ keepAlive: true });
    const agent = new MeshAgent(mesh, { outside });
    const { body } = await send({ host: '127.0.0.1', port, agent });
    expect(body.toString()).toBe(`127.0.0.1:${port}`);
    expect(Object.keys(outside.freeSockets)).toHaveLength(1);
    outside.destroy();
  });

  test('a host that leaves the mesh is no longer the mesh’s', async () => {
    const { mesh, agent, port } = await start((_, response) => response.end('x'));
    await send({ host: 'app', port, agent });
    mesh.apply(snapshotOf([], []));
    await expect(send({ host: 'app', port, agent })).rejects.toMatchObject({ syscall: 'getaddrinfo' });
  });

  test('https goes out as ever', async () => {
    const { mesh, port } = await start(() => {});
    const agent = new MeshHttpsAgent(mesh);
    const outgoing = httpsRequest({ host: '127.0.0.1', port, agent }).end();
    const [error] = (await once(outgoing, 'error')) as [NodeJS.ErrnoException];
    // It spoke TLS to a plain server.
    expect(error.code).toMatch(/^(ERR_SSL|EPROTO|ECONNRESET)/);
    agent.destroy();
  });
});

describe('https to hosts of the mesh', () => {
  test('the mesh makes the connection as its configuration says', async () => {
    const { port } = await start((incoming, response) => response.end(incoming.headers['x-forwarded-proto']));
    const mesh = createStaticMesh(
      snapshotOf([host('secure:443', [forward('app')])], [cluster('app', [endpoint(port)])]),
    );
    const agent = new MeshHttpsAgent(mesh);
    const outgoing = httpsRequest({ host: 'secure', agent }).end();
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    response.resume();
    expect([response.statusCode, outgoing.getHeader('host')]).toEqual([200, 'secure']);
    await once(response, 'end');
    agent.destroy();
    await mesh.close();
  });

  test('an agent for http refuses an https URL, as Node’s own does', async () => {
    const { agent } = await start(() => {});
    expect(() => httpsRequest({ host: 'app', agent })).toThrow(/Protocol "https:" not supported/);
  });
});

describe('before there is configuration', () => {
  const core = (change: Partial<MeshCore>): { core: MeshCore } => {
    const { core } = createStaticMesh(snapshotOf([], []));
    return { core: { ...core, lookup: () => 'unknown', ...change } };
  };

  test('a request waits for it', async () => {
    const world = await start((_, response) => response.end('late'));
    let configured = () => {};
    let isConfigured = false;
    const agent = new MeshAgent(
      core({
        lookup: (origin) => (isConfigured ? world.mesh.core.lookup(origin) : 'unknown'),
        whenConfigured: () =>
          new Promise((resolve) => {
            configured = resolve;
          }),
      }),
    );
    const pending = send({ host: 'app', port: world.port, agent });
    isConfigured = true;
    configured();
    expect((await pending).body.toString()).toBe('late');
    agent.destroy();
  });

  test('a request fails when none comes', async () => {
    const error = new MeshError('INMESH_CONTROL_PLANE_UNAVAILABLE', 'none');
    const agent = new MeshAgent(core({ whenConfigured: () => Promise.reject(error) }));
    await expect(send({ host: 'app', agent })).rejects.toBe(error);
  });
});

describe('what the mesh sees', () => {
  test('the exchange with its bytes, and local replies as responses', async () => {
    const ends: [string, ExchangeEnd][] = [];
    const { agent, mesh, port } = await start((incoming, response) => void incoming.pipe(response), {
      exchange: ({ context }, end) => ends.push([`${context.requestBytes}>${context.responseBytes}`, end]),
    });
    await send({ host: 'app', port, agent, method: 'POST' }, (one) => one.end('abc'));
    expect(ends).toMatchObject([['3>3', { status: 200 }]]);
    mesh.apply(snapshotOf([host(`app:${port}`, [forward('none')])], []));
    const { response } = await send({ host: 'app', port, agent });
    expect([response.statusCode, response.headers['x-inmesh-reason']]).toEqual([503, 'INMESH_NO_CLUSTER']);
  });

  test('a caller that gives up ends the attempt', async () => {
    const arrivals: IncomingMessage[] = [];
    const { agent, port } = await start((incoming) => arrivals.push(incoming));
    const outgoing = request({ host: 'app', port, agent }).end();
    outgoing.on('error', () => {});
    while (arrivals.length === 0) await turns(1);
    outgoing.destroy();
    const [incoming] = arrivals;
    await new Promise<void>((resolve) => incoming?.once('close', resolve).on('error', () => {}));
    expect(incoming?.complete).toBe(true);
  });
});
