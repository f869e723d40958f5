import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { istio, World } from '../mesh/features-world.js';
import { eventually } from '../mesh/support.js';
import { echo, errorOf, outcomeOf, readAll, serveTcp, tcpEntry } from './support.js';

const HOST = 'cache.example.com';
const PROXY = 'proxy.example.com';

let world: World;
afterEach(() => world.close());

/** What the proxy was asked for. */
interface Asked {
  readonly method: string;
  readonly target: string;
  readonly path: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** How the proxy answers; undefined = it carries the connection. */
type Refusal = number | 'closes' | undefined;

interface Proxy {
  readonly port: number;
  readonly asked: Asked[];
}

async function listening(server: Server | Http2Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const open = new Set<Duplex>();
  server.on('connection', (socket: Duplex) => open.add(socket));
  world.onClose(async () => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  // A listening TCP server has an address of this form.
  return (server.address() as AddressInfo).port;
}

/** Carries bytes to whatever listens behind the proxy, whoever was asked for. */
function carry(from: Duplex, to: number): void {
  const socket = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true });
  from.on('error', () => socket.destroy());
  socket.on('error', () => from.destroy());
  from.pipe(socket);
  socket.pipe(from);
}

/** A proxy of HTTP/1.1 that carries CONNECT, and POST in chunks. */
async function http1Proxy(to: number, refusal: Refusal): Promise<Proxy> {
  const asked: Asked[] = [];
  const note = ({ method = '', url = '', headers }: IncomingMessage) =>
    asked.push({ method, target: headers.host ?? '', path: method === 'CONNECT' ? undefined : url, headers });
  const server = createHttpServer((request, response) => {
    note(request);
    if (refusal === 'closes') request.socket.destroy();
    else if (refusal !== undefined) response.writeHead(refusal).end('no');
    else {
      response.writeHead(200).flushHeaders();
      const socket = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true });
      request.pipe(socket);
      socket.pipe(response);
    }
  });
  server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    note(request);
    if (refusal === 'closes') socket.destroy();
    else if (refusal !== undefined) socket.end(`HTTP/1.1 ${refusal} No\r\ncontent-length: 2\r\n\r\nno`);
    else {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      socket.unshift(head);
      carry(socket, to);
    }
  });
  return { port: await listening(server), asked };
}

/** A proxy of HTTP/2 by prior knowledge. */
async function http2Proxy(
  to: number,
  refusal: Refusal,
): Promise<Proxy & { readonly connections: () => number }> {
  const asked: Asked[] = [];
  const server = createHttp2Server();
  let connections = 0;
  server.on('session', () => connections++);
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const { ':method': method = '', ':authority': target = '', ':path': path } = headers;
    asked.push({ method, target, path, headers });
    stream.on('error', () => {});
    if (refusal === 'closes') stream.session?.destroy();
    else if (refusal !== undefined) stream.respond({ ':status': refusal }, { endStream: true });
    else {
      stream.respond({ ':status': 200 });
      carry(stream, to);
    }
  });
  return { port: await listening(server), asked, connections: () => connections };
}

const tunnel = (protocol: string, rest = '') =>
  istio(
    'DestinationRule',
    'proxy',
    `host: ${PROXY}\ntrafficPolicy: { tunnel: { protocol: ${protocol}, targetHost: db.internal, targetPort: 5432 } ${rest} }`,
  );
const through = istio(
  'VirtualService',
  'cache',
  `hosts: [${HOST}]\ntcp: [{ route: [{ destination: { host: ${PROXY}, port: { number: 7000 } } }] }]`,
);
const behind = (port: number, protocol = 'TCP') =>
  tcpEntry(HOST, []) + tcpEntry(PROXY, [port], protocol) + through;

const VERSIONS = [
  ['HTTP/1.1', 'TCP', http1Proxy],
  ['HTTP/2', 'HTTP2', http2Proxy],
] as const;

describe.each(VERSIONS)('a tunnel over %s', (version, protocol, makeProxy) => {
  test.each(['CONNECT', 'POST'])('is asked for by %s, and carries bytes both ways', async (method) => {
    world = await World.start('');
    const { port } = await serveTcp(world, echo);
    const proxy = await makeProxy(port, undefined);
    world.configure(behind(proxy.port, protocol) + tunnel(method));
    const mesh = await world.join();
    const socket = mesh.connect(HOST, 7000, { allowHalfOpen: true });
    await once(socket, 'connect');
    socket.write('first ');
    await once(socket, 'readable');
    expect(String(socket.read())).toBe('first ');
    const large = Buffer.alloc(1_000_000, 'x');
    socket.end(large);
    expect((await readAll(socket)).equals(large)).toBe(true);
    const [asked] = proxy.asked;
    expect(proxy.asked).toHaveLength(1);
    expect(asked).toMatchObject({ method, target: 'db.internal:5432' });
    expect(asked?.path).toBe(method === 'POST' ? '/' : undefined);
    expect(asked?.headers['connection']).toBeUndefined();
    expect(asked?.headers['content-length']).toBeUndefined();
    if (version === 'HTTP/1.1' && method === 'POST')
      expect(asked?.headers['transfer-encoding']).toBe('chunked');
  });

  test('lets the server behind speak first', async () => {
    world = await World.start('');
    const { port } = await serveTcp(world, (socket) => socket.write('220 ready\r\n'));
    const proxy = await makeProxy(port, undefined);
    world.configure(behind(proxy.port, protocol) + tunnel('CONNECT'));
    const mesh = await world.join();
    const socket = mesh.connect(HOST, 7000);
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(String(first)).toBe('220 ready\r\n');
    socket.destroy();
  });

  test.each(['CONNECT', 'POST'])('that is refused to a %s is an error with the status', async (method) => {
    world = await World.start('');
    const { port } = await serveTcp(world, echo);
    const proxy = await makeProxy(port, 403);
    world.configure(behind(proxy.port, protocol) + tunnel(method));
    const mesh = await world.join();
    expect(await errorOf(mesh.connect(HOST, 7000))).toMatchObject({
      code: 'INMESH_UPSTREAM_CONNECT',
      flags: ['UF', 'URX'],
      cause: { code: 'ERR_TUNNEL_REFUSED', status: 403 },
    });
  });

  test.each(['CONNECT', 'POST'])(
    'whose proxy closes the connection instead of answering a %s is an error',
    async (method) => {
      world = await World.start('');
      const { port } = await serveTcp(world, echo);
      const proxy = await makeProxy(port, 'closes');
      world.configure(behind(proxy.port, protocol) + tunnel(method));
      const mesh = await world.join();
      expect(await errorOf(mesh.connect(HOST, 7000))).toMatchObject({
        code: 'INMESH_UPSTREAM_CONNECT',
        flags: ['UF', 'URX'],
      });
    },
  );

  test('ends with its caller, and makes room', async () => {
    world = await World.start('');
    const behindProxy = await serveTcp(world, echo);
    const proxy = await makeProxy(behindProxy.port, undefined);
    const limits = protocol === 'TCP' ? 'tcp: { maxConnections: 1 }' : 'http: { http2MaxRequests: 1 }';
    world.configure(behind(proxy.port, protocol) + tunnel('CONNECT', `, connectionPool: { ${limits} }`));
    const mesh = await world.join();
    const first = mesh.connect(HOST, 7000);
    await once(first, 'connect');
    expect(await errorOf(mesh.connect(HOST, 7000))).toMatchObject({ code: 'INMESH_OVERFLOW' });
    first.destroy();
    await eventually('the end behind the proxy', () => behindProxy.sockets.size === 0);
    await eventually(
      'room',
      async () => (await outcomeOf(mesh.connect(HOST, 7000).end('again'))) === 'again',
    );
  });
});

test('tunnels over HTTP/2 share a connection', async () => {
  world = await World.start('');
  const { port } = await serveTcp(world, echo);
  const proxy = await http2Proxy(port, undefined);
  world.configure(behind(proxy.port, 'HTTP2') + tunnel('CONNECT'));
  const mesh = await world.join();
  for (let i = 0; i < 3; i++) expect(await outcomeOf(mesh.connect(HOST, 7000).end(`${i}`))).toBe(`${i}`);
  expect(proxy.connections()).toBe(1);
  expect(proxy.asked).toHaveLength(3);
});

test('a subset has its own tunnel, and TLS is with the proxy, by its own name', async () => {
  world = await World.start('');
  const { port } = await serveTcp(world, echo);
  const ca = await createTestCa();
  const { pem, privateKey } = ca.certificate('default', { names: { dnsNames: [PROXY] } });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const names: unknown[] = [];
  const server = createHttpsServer({ cert: pem, key });
  server.on('connect', (request: IncomingMessage & { socket: TLSSocket }, socket: Duplex) => {
    names.push([request.socket.servername, request.socket.alpnProtocol, request.url]);
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    carry(socket, port);
  });
  const proxy = await listening(server);
  const folder = mkdtempSync(join(tmpdir(), 'inmesh-'));
  const roots = join(folder, 'roots.pem');
  writeFileSync(roots, ca.bundle.authorities.join('\n'));
  world.onClose(async () => rmSync(folder, { recursive: true }));
  world.configure(
    behind(proxy).replace('port: { number: 7000 }', 'subset: v1') +
      istio(
        'DestinationRule',
        'proxy',
        `host: ${PROXY}
trafficPolicy: { tunnel: { protocol: POST, targetHost: elsewhere.internal, targetPort: 1 } }
subsets:
- name: v1
  labels: { version: v1 }
  trafficPolicy: { tls: { mode: SIMPLE, caCertificates: ${roots} }, tunnel: { targetHost: "::1", targetPort: 443 } }`,
      ),
  );
  const mesh = await world.join();
  const socket = mesh.connect(HOST, 7000);
  socket.write('secret');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(String(answer)).toBe('secret');
  socket.destroy();
  expect(names).toEqual([[PROXY, 'http/1.1', '[::1]:443']]);
});
