import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, request } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2';
import { createServer as createTcpServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket as UndiciWebSocket } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { MeshAgent } from '../../../src/bindings/http-agent/agent.js';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import type { Cluster } from '../../../src/model/cluster.js';
import type { RouteAction } from '../../../src/model/route.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../../src/model/upstream-protocol.js';
import type { ExchangeEnd } from '../../../src/service/observer.js';
import { closedPort, listen, portOf } from '../http-agent/support.js';
import { startInbound } from '../inbound/support.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const HTTP2: Partial<Cluster> = { protocol: { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS } };

/** A mesh with one host, `app`, whose cluster has one endpoint. */
function join(port: number, config: Partial<Cluster> = HTTP2, action: Partial<RouteAction> = {}) {
  const ends: ExchangeEnd[] = [];
  const route = forward('app', action);
  const connects = { ...route, match: { ...route.match, path: { kind: 'connect' as const } } };
  const mesh = createStaticMesh(
    snapshotOf([host('app:80', [connects, route])], [cluster('app', [endpoint(port)], config)]),
    { exchange: (_, end) => ends.push(end) },
  );
  const agent = new MeshAgent(mesh);
  const dispatcher = new MeshDispatcher(mesh);
  closing.push(async () => {
    agent.destroy();
    await dispatcher.destroy();
    await mesh.close();
  });
  const active = () => mesh.clusters.get('app')?.breakers.default.requests.active;
  return { mesh, agent, dispatcher, ends, active };
}

/** A member of the mesh that serves WebSocket, `echo`, CONNECT and plain requests; its clients may speak HTTP/2. */
async function member() {
  const sockets = new WebSocketServer({ noServer: true });
  sockets.on('connection', (socket) =>
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })),
  );
  const inbound = await startInbound((_, response) => response.end('plain'), {
    mode: 'permissive',
    attach(server) {
      server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
        if (incoming.url === '/forbidden')
          socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno');
        else if (incoming.headers.upgrade === 'echo') {
          socket.write('HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: Upgrade\r\nX-Own: 1\r\n\r\n');
          socket.write(head);
          socket.pipe(socket);
        } else
          sockets.handleUpgrade(incoming, socket, head, (one) => sockets.emit('connection', one, incoming));
      });
      server.on('connect', (incoming: IncomingMessage, socket: Duplex) => {
        socket.write(`HTTP/1.1 200 Connected\r\nx-target: ${incoming.url}\r\ncontent-length: 0\r\n\r\n`);
        socket.pipe(socket);
      });
    },
  });
  closing.push(async () => {
    for (const one of sockets.clients) one.terminate();
    await inbound.close();
  });
  return { ...inbound, sockets };
}

const ws = (agent: MeshAgent, path = '/') => new WebSocket(`ws://app${path}`, { agent });

/** CONNECT by node:http. */
async function connectBy(agent: MeshAgent, target: string) {
  const outgoing = request({ host: 'app', agent, method: 'CONNECT', path: target });
  outgoing.end();
  const [response, socket] = (await once(outgoing, 'connect')) as [IncomingMessage, Duplex];
  return { response, socket };
}

async function echo(socket: Duplex, text: string): Promise<string> {
  socket.write(text);
  return String((await once(socket, 'data'))[0]);
}

describe('WebSocket over HTTP/2 to a member of the mesh', () => {
  test('messages pass both ways, of every size, on one connection', async () => {
    const { port } = await member();
    const { agent } = join(port);
    for (let i = 0; i < 2; i++) {
      const socket = ws(agent);
      await once(socket, 'open');
      for (const size of [0, 1, 126, 65_536, 3_000_000]) {
        const sent = Buffer.alloc(size, 'x');
        socket.send(sent);
        const [got] = (await once(socket, 'message')) as [RawData];
        expect((got as Buffer).equals(sent), `${size} bytes`).toBe(true);
      }
      socket.close(4000, 'done');
      expect(await once(socket, 'close')).toEqual([4000, Buffer.from('done')]);
    }
  });

  test('a close of the server arrives, and a server that dies is noticed', async () => {
    const { port, sockets } = await member();
    const { agent } = join(port);
    for (const [end, code] of [
      ['close', '4001'],
      ['terminate', '1006'],
    ] as const) {
      const socket = ws(agent);
      await once(socket, 'open');
      for (const one of sockets.clients) {
        if (end === 'close') one.close(4001);
        else one.terminate();
      }
      expect(String((await once(socket, 'close'))[0])).toBe(code);
    }
  });

  test('it counts as a request until it ends, and is told of then', async () => {
    const { port } = await member();
    const { agent, ends, active } = join(port);
    const socket = ws(agent);
    await once(socket, 'open');
    expect([active(), ends.length]).toEqual([1, 0]);
    socket.close();
    await once(socket, 'close');
    await expect.poll(() => ends.map(({ status }) => status)).toEqual([101]);
    expect(active()).toBe(0);
  });

  test('a refusal of the application arrives as a response', async () => {
    const { port } = await member();
    const { agent } = join(port);
    const [, response] = (await once(ws(agent, '/forbidden'), 'unexpected-response')) as [
      unknown,
      IncomingMessage,
    ];
    expect(response.statusCode).toBe(403);
    response.resume();
  });

  test('an application that does not switch refuses', async () => {
    const { port, server } = await member();
    server.removeAllListeners('upgrade');
    const { agent } = join(port);
    const [, response] = (await once(ws(agent), 'unexpected-response')) as [unknown, IncomingMessage];
    expect(response.statusCode).toBe(501);
    response.resume();
  });

  test('undici’s own WebSocket, and its upgrade()', async () => {
    const { port } = await member();
    const { dispatcher } = join(port);
    const socket = new UndiciWebSocket('ws://app/', { dispatcher });
    const message = new Promise((resolve) => socket.addEventListener('message', ({ data }) => resolve(data)));
    socket.addEventListener('open', () => socket.send('hello'));
    expect(await message).toBe('hello');
    socket.close();
    const upgraded = await dispatcher.upgrade({ origin: 'http://app', path: '/', protocol: 'echo' } as never);
    expect(upgraded.headers).toMatchObject({ upgrade: 'echo', connection: 'Upgrade', 'x-own': '1' });
    expect(await echo(upgraded.socket, 'ping')).toBe('ping');
    upgraded.socket.destroy();
  });

  test('back-pressure holds on both sides, and half of it may end first', async () => {
    const { port } = await member();
    const { dispatcher } = join(port);
    const { socket } = await dispatcher.upgrade({
      origin: 'http://app',
      path: '/',
      protocol: 'echo',
    } as never);
    const chunk = Buffer.alloc(65_536, 'y');
    let written = chunk.length;
    while (socket.write(chunk)) written += chunk.length;
    socket.end();
    let read = 0;
    for await (const piece of socket) read += (piece as Buffer).length;
    expect(read).toBe(written);
  });

  test('the mesh closes though a tunnel is open', async () => {
    const { port } = await member();
    const { mesh, dispatcher } = join(port);
    const { socket } = await dispatcher.upgrade({
      origin: 'http://app',
      path: '/',
      protocol: 'echo',
    } as never);
    socket.on('error', () => {});
    await mesh.close();
    expect(await echo(socket, 'still')).toBe('still');
    socket.destroy();
  });
});

describe('servers of others', () => {
  async function serve(allows: boolean) {
    const server = createHttp2Server({ settings: { enableConnectProtocol: allows } });
    const seen: object[] = [];
    const sessions = new Set<ServerHttp2Session>();
    server.on('session', (session) => sessions.add(session));
    server.on('stream', (stream, headers) => {
      seen.push({ ...headers });
      stream.on('error', () => {});
      stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' });
      stream.pipe(stream);
    });
    await listen(server);
    closing.push(() => {
      for (const one of sessions) one.destroy();
      server.close();
    });
    return { port: portOf(server), seen };
  }

  test('RFC 8441: what clients of HTTP/1.1 insist on is added', async () => {
    const { port, seen } = await serve(true);
    const { agent } = join(port);
    const socket = new WebSocket('ws://app/room?a=b', ['chat'], { agent });
    await once(socket, 'open');
    expect(seen[0]).toMatchObject({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'http',
      ':path': '/room?a=b',
      ':authority': 'app',
      'sec-websocket-version': '13',
    });
    expect(seen[0]).not.toHaveProperty('connection');
    socket.terminate();
  });

  test('one without extended CONNECT gets none; no endpoint is to blame', async () => {
    const { port, seen } = await serve(false);
    const { agent, active } = join(port);
    const [error] = (await once(ws(agent), 'error')) as [Error];
    expect(error).toMatchObject({ code: 'INMESH_UNSUPPORTED', message: expect.stringContaining('RFC 8441') });
    expect(seen).toEqual([]);
    expect(active()).toBe(0);
  });

  test('a CONNECT has neither scheme nor path (RFC 9113 §8.5)', async () => {
    const { port, seen } = await serve(false);
    const { agent } = join(port);
    const { response, socket } = await connectBy(agent, 'db.example:5432');
    expect(response.statusCode).toBe(200);
    expect(seen[0]).toMatchObject({ ':method': 'CONNECT', ':authority': 'db.example:5432' });
    expect(Object.keys(seen[0] ?? {}).filter((name) => name.startsWith(':'))).toEqual([
      ':method',
      ':authority',
    ]);
    expect(await echo(socket, 'x')).toBe('x');
    socket.destroy();
  });
});

describe('CONNECT', () => {
  test.each([
    ['HTTP/2', HTTP2],
    ['HTTP/1.1', {}],
  ] as const)('over %s to the application', async (_, config) => {
    const { port } = await member();
    const { agent, dispatcher } = join(port, config);
    const { response, socket } = await connectBy(agent, 'db.example:5432');
    expect(response.headers['x-target']).toBe('db.example:5432');
    expect(await echo(socket, 'by node:http')).toBe('by node:http');
    socket.destroy();
    const connected = await dispatcher.connect({ origin: 'http://app', path: 'db.example:5432' } as never);
    expect(connected.statusCode).toBe(200);
    expect(await echo(connected.socket, 'by undici')).toBe('by undici');
    connected.socket.destroy();
  });

  const ENDS = { upgrades: [{ type: 'CONNECT', enabled: true, terminates: true }] };

  test('connect_config: it ends here, and the endpoint gets its bytes', async () => {
    const got: string[] = [];
    const server = createTcpServer((socket) =>
      socket.on('data', (chunk) => {
        got.push(String(chunk));
        socket.write(chunk);
      }),
    );
    await listen(server);
    closing.push(() => server.close());
    const { agent, dispatcher, ends, active } = join(portOf(server), {}, ENDS);
    const { response, socket } = await connectBy(agent, 'db.example:5432');
    expect(response.statusCode).toBe(200);
    expect(await echo(socket, 'by node:http')).toBe('by node:http');
    expect(active()).toBe(1);
    socket.destroy();
    const connected = await dispatcher.connect({ origin: 'http://app', path: 'db.example:5432' } as never);
    expect(await echo(connected.socket, 'by undici')).toBe('by undici');
    connected.socket.destroy();
    expect(got).toEqual(['by node:http', 'by undici']);
    await expect.poll(() => [ends.length, active()]).toEqual([2, 0]);
  });

  test('connect_config: an endpoint that is not there is a failed connection', async () => {
    const { agent } = join(await closedPort(), {}, ENDS);
    await expect(connectBy(agent, 'db.example:5432')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('where routes allow none it is refused', async () => {
    const server = createHttpServer();
    await listen(server);
    closing.push(() => server.close());
    const { agent } = join(portOf(server), {}, { upgrades: [{ type: 'CONNECT', enabled: false }] });
    const { response } = await connectBy(agent, 'db.example:5432');
    expect([response.statusCode, response.headers['x-inmesh-reason']]).toEqual([
      403,
      'INMESH_UPGRADE_REFUSED',
    ]);
  });
});
