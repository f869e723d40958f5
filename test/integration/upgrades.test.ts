import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket as UndiciWebSocket } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { MeshAgent } from '../../src/bindings/http-agent/agent.js';
import { MeshDispatcher } from '../../src/bindings/undici/dispatcher.js';
import type { UpgradeRule } from '../../src/model/upgrade.js';
import { explain } from '../../src/service/explanation.js';
import type { ExchangeEnd } from '../../src/service/observer.js';
import { closedPort, listen, portOf } from './http-agent/support.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from './support/static-mesh.js';

const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Setup {
  readonly route?: Parameters<typeof forward>[1];
  readonly upgrades?: readonly UpgradeRule[];
  /** An endpoint that nobody listens on comes first. */
  readonly hasDeadEndpoint?: boolean;
}

/** A server with WebSocket at any path and an own protocol, known to the mesh as `app:80`. */
async function start({ route, upgrades, hasDeadEndpoint = false }: Setup = {}) {
  const server: Server = createServer((_, response) => response.end('plain'));
  const sockets = new WebSocketServer({ noServer: true });
  sockets.on('connection', (socket) =>
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })),
  );
  server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
    if (incoming.url === '/forbidden') socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno');
    else if (incoming.headers.upgrade === 'echo') {
      socket.write('HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: Upgrade\r\nX-Own: 1\r\n\r\n');
      socket.write(head);
      socket.pipe(socket);
    } else sockets.handleUpgrade(incoming, socket, head, (one) => sockets.emit('connection', one, incoming));
  });
  await listen(server);
  const ends: [string | undefined, ExchangeEnd][] = [];
  const dead = hasDeadEndpoint ? [endpoint(await closedPort())] : [];
  const app = host('app:80', [forward('app', route)]);
  const listener = { ...app.listener, http: { ...app.listener.http, upgrades } };
  const mesh = createStaticMesh(
    snapshotOf([{ ...app, listener }], [cluster('app', [...dead, endpoint(portOf(server))])]),
    { exchange: ({ context }, end) => ends.push([`${context.requestBytes}>${context.responseBytes}`, end]) },
  );
  const agent = new MeshAgent(mesh);
  const dispatcher = new MeshDispatcher(mesh);
  open.push(async () => {
    for (const one of sockets.clients) one.terminate();
    agent.destroy();
    await dispatcher.destroy();
    await mesh.close();
    server.closeAllConnections();
    server.close();
  });
  return { server, sockets, agent, dispatcher, mesh, ends };
}

const ws = (agent: MeshAgent, path = '/'): WebSocket => new WebSocket(`ws://app${path}`, { agent });

describe('ws with a MeshAgent', () => {
  test('messages pass both ways, of every size', async () => {
    const { agent } = await start();
    const socket = ws(agent);
    await once(socket, 'open');
    for (const size of [0, 1, 125, 126, 65_536, 3_000_000]) {
      const sent = Buffer.alloc(size, 'x');
      socket.send(sent);
      const [got] = (await once(socket, 'message')) as [RawData];
      expect((got as Buffer).equals(sent), `${size} bytes`).toBe(true);
    }
    socket.close(4000, 'done');
    expect(await once(socket, 'close')).toEqual([4000, Buffer.from('done')]);
  });

  test('a close of the server arrives', async () => {
    const { agent, sockets } = await start();
    const socket = ws(agent);
    await once(socket, 'open');
    for (const one of sockets.clients) one.close(4001, 'bye');
    expect(String((await once(socket, 'close'))[0])).toBe('4001');
  });

  test('a server that dies is noticed', async () => {
    const { agent, sockets } = await start();
    const socket = ws(agent);
    await once(socket, 'open');
    for (const one of sockets.clients) one.terminate();
    expect(String((await once(socket, 'close'))[0])).toBe('1006');
  });

  test('the server’s refusal arrives as a response', async () => {
    const { agent } = await start();
    const socket = ws(agent, '/forbidden');
    const [outgoing, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
    expect(response.statusCode).toBe(401);
    expect(explain(outgoing)?.attempts).toMatchObject([{ status: 401 }]);
    response.resume();
  });

  test('a refusal of the mesh arrives as a response', async () => {
    const { agent } = await start({ upgrades: [{ type: 'websocket', enabled: false }] });
    const socket = ws(agent);
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
    expect([response.statusCode, response.headers['x-inmesh-reason']]).toEqual([
      403,
      'INMESH_UPGRADE_REFUSED',
    ]);
    response.resume();
  });

  test('a dead endpoint is passed over', async () => {
    const { agent } = await start({ hasDeadEndpoint: true });
    for (let i = 0; i < 4; i++) {
      const socket = ws(agent);
      await once(socket, 'open');
      socket.terminate();
    }
  });

  test('the timeout of the route does not end it', async () => {
    const { agent } = await start({ route: { timeoutMs: 30 } });
    const socket = ws(agent);
    await once(socket, 'open');
    // Longer than the timeout: a ping each time the other side answered.
    for (const until = performance.now() + 60; performance.now() < until; ) {
      socket.send('x');
      await once(socket, 'message');
    }
    expect(socket.readyState).toBe(WebSocket.OPEN);
    socket.terminate();
  });

  test('the idle timeout of the route ends it once nothing moves', async () => {
    const { agent, ends } = await start({ route: { idleTimeoutMs: 60 } });
    const socket = ws(agent);
    await once(socket, 'open');
    for (const until = performance.now() + 120; performance.now() < until; ) {
      socket.send('x');
      await once(socket, 'message');
    }
    await once(socket, 'close');
    expect(ends).toMatchObject([[expect.anything(), { status: 101, error: { name: 'StreamTimeout' } }]]);
  });

  test('telemetry hears of it when it ends, with its bytes', async () => {
    const { agent, ends } = await start();
    const socket = ws(agent);
    await once(socket, 'open');
    socket.send('x'.repeat(1000));
    await once(socket, 'message');
    expect(ends).toEqual([]);
    socket.terminate();
    while (ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const [[bytes, end] = []] = ends;
    expect(end?.status).toBe(101);
    // A frame of the client has four bytes more, its mask.
    expect(bytes).toBe('1008>1004');
  });
});

describe('an upgrade by node:http', () => {
  const upgrade = async (agent: MeshAgent, path = '/') => {
    const outgoing = request({
      host: 'app',
      agent,
      path,
      headers: { connection: 'Upgrade', upgrade: 'echo' },
    });
    outgoing.end();
    return (await once(outgoing, 'upgrade')) as [IncomingMessage, Duplex, Buffer];
  };

  test('gives the response with its own headers, and a stream', async () => {
    const { agent } = await start();
    const [response, socket] = await upgrade(agent);
    expect(response.statusCode).toBe(101);
    expect(response.headers).toMatchObject({ upgrade: 'echo', connection: 'Upgrade', 'x-own': '1' });
    socket.write('ping');
    expect(String((await once(socket, 'data'))[0])).toBe('ping');
    socket.end();
    await once(socket, 'close');
  });

  test('back-pressure holds on both sides', async () => {
    const { agent } = await start();
    const [, socket] = await upgrade(agent);
    const chunk = Buffer.alloc(65_536, 'y');
    let written = 0;
    while (socket.write(chunk)) written += chunk.length;
    written += chunk.length;
    socket.end();
    let read = 0;
    for await (const piece of socket) read += (piece as Buffer).length;
    expect(read).toBe(written);
  });

  test('after a server that does not switch, the socket serves the next request', async () => {
    const { agent, server } = await start();
    server.removeAllListeners('upgrade');
    for (let i = 0; i < 2; i++) {
      const outgoing = request({
        host: 'app',
        agent,
        headers: { connection: 'Upgrade', upgrade: 'other' },
      });
      outgoing.end();
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      expect(response.statusCode).toBe(200);
      response.resume();
      await once(response, 'end');
    }
  });
});

describe('undici with a MeshDispatcher', () => {
  test('its WebSocket', async () => {
    const { dispatcher } = await start();
    const socket = new UndiciWebSocket('ws://app/', { dispatcher });
    const message = new Promise((resolve) => socket.addEventListener('message', ({ data }) => resolve(data)));
    socket.addEventListener('open', () => socket.send('hello'));
    expect(await message).toBe('hello');
    const closed = new Promise((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)));
    socket.close(1000);
    expect(await closed).toBe(1000);
  });

  test('upgrade()', async () => {
    const { dispatcher } = await start();
    const { headers, socket } = await dispatcher.upgrade({
      origin: 'http://app',
      path: '/',
      method: 'GET',
      protocol: 'echo',
    } as never);
    expect(headers['x-own']).toBe('1');
    socket.write('ping');
    expect(String((await once(socket, 'data'))[0])).toBe('ping');
    socket.destroy();
  });

  test('upgrade() fails as undici’s does when the server does not switch', async () => {
    const { dispatcher } = await start();
    const pending = dispatcher.upgrade({
      origin: 'http://app',
      path: '/forbidden',
      protocol: 'echo',
    } as never);
    await expect(pending).rejects.toMatchObject({ code: 'UND_ERR_SOCKET', message: 'bad upgrade' });
  });

  test('many tunnels do not keep plain requests waiting', async () => {
    const { dispatcher } = await start();
    const tunnels = await Promise.all(
      Array.from({ length: 20 }, () =>
        dispatcher.upgrade({ origin: 'http://app', path: '/', protocol: 'echo' } as never),
      ),
    );
    const { statusCode, body } = await dispatcher.request({ origin: 'http://app', path: '/', method: 'GET' });
    expect([statusCode, await body.text()]).toEqual([200, 'plain']);
    for (const { socket } of tunnels) socket.destroy();
  });
});
