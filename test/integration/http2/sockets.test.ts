import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttp2Server, createSecureServer, type ServerHttp2Session } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { request } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { createMeshTls } from '../../../src/identity/tls-options.js';
import type { Cluster } from '../../../src/model/cluster.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../../src/model/upstream-protocol.js';
import { systemClock } from '../../../src/runtime/clock.js';
import type { Exchange } from '../../../src/service/context.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

const ca = await createTestCa();
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function socketPath(): string {
  const folder = mkdtempSync(joinPath(tmpdir(), 'inmesh-'));
  closing.push(() => rmSync(folder, { recursive: true }));
  return joinPath(folder, 'socket');
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve) => server.listen(path, resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
}

function join(address: string, change: Partial<Cluster> = {}, port = 0) {
  const exchanges: Exchange[] = [];
  const mesh = createStaticMesh(
    snapshotOf(
      [host('reviews:80', [forward('reviews')])],
      [cluster('reviews', [endpoint(port, address)], change)],
    ),
    { exchange: ({ context }) => exchanges.push(context) },
    ca.source('client'),
  );
  const dispatcher = new MeshDispatcher(mesh);
  closing.push(() => mesh.close());
  closing.push(() => dispatcher.destroy());
  const ask = async () => (await request('http://reviews/', { dispatcher })).body.text();
  return { ask, exchanges };
}

describe('a Unix socket as an endpoint', () => {
  test('HTTP/1.1', async () => {
    const path = socketPath();
    await listen(
      createServer((incoming, response) => response.end(incoming.headers.host)),
      path,
    );
    const { ask, exchanges } = join(path);
    expect(await ask()).toBe('reviews');
    expect(exchanges[0]?.upstreamHost).toBe(path);
  });

  test('HTTP/2', async () => {
    const path = socketPath();
    const server = createHttp2Server((incoming, response) => response.end(incoming.httpVersion));
    const sessions: ServerHttp2Session[] = [];
    server.on('session', (session) => sessions.push(session));
    await listen(server, path);
    const { ask } = join(path, { protocol: { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS } });
    expect(await ask()).toBe('2.0');
    for (const session of sessions) session.close();
  });

  test('mutual TLS of the mesh', async () => {
    const path = socketPath();
    const mesh = createMeshTls(ca.source('reviews'), { clock: systemClock });
    closing.push(() => mesh.close());
    await listen(
      createHttpsServer(mesh.serverOptions(), (_incoming, response) => response.end('ok')),
      path,
    );
    const { ask, exchanges } = join(path, {
      tls: { mode: 'mesh', sni: undefined, subjectAltNames: [], alpn: [] },
    });
    expect(await ask()).toBe('ok');
    expect(exchanges[0]?.peerId).toContain('/sa/reviews');
  });

  test('that is not there', async () => {
    const { ask } = join('/does/not/exist');
    await expect(ask()).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.runIf(process.platform === 'linux')('without a file, by its name', async () => {
    const name = `inmesh-test-${process.pid}`;
    await listen(
      createServer((_incoming, response) => response.end('ok')),
      `\0${name}`,
    );
    expect(await join(`@${name}`).ask()).toBe('ok');
  });
});

test.runIf(process.platform === 'linux')(
  'upstream_bind_config: connections come from the address that is named',
  async () => {
    const server = createServer((incoming, response) => response.end(incoming.socket.remoteAddress));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => server.close(resolve)));
    // A TCP server has this form of address.
    const { port } = server.address() as AddressInfo;
    const { ask } = join('127.0.0.1', { sourceAddress: '127.0.0.9' }, port);
    expect(await ask()).toBe('127.0.0.9');
  },
);

describe('the PROXY protocol', () => {
  /** A proxy's front: takes the header off, and gives the rest to a server. */
  async function front(server: Server): Promise<{ port: number; headers: string[] }> {
    const headers: string[] = [];
    const listener = createTcpServer((socket) => {
      socket.once('data', (chunk) => {
        const isText = chunk.subarray(0, 5).toString() === 'PROXY';
        const length = isText ? chunk.indexOf('\r\n') + 2 : 16;
        headers.push(chunk.subarray(0, length).toString(isText ? 'latin1' : 'hex'));
        // A TLS server reads what is put back by itself; Node's HTTP parser wants it to flow.
        if (!isText) socket.pause();
        if (chunk.length > length) socket.unshift(chunk.subarray(length));
        server.emit('connection', socket);
      });
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => listener.close(resolve)));
    // A TCP server has this form of address.
    return { port: (listener.address() as AddressInfo).port, headers };
  }

  test('version 1 names the ends of the connection', async () => {
    const server = createServer((incoming, response) =>
      response.end(`${incoming.socket.remoteAddress} ${incoming.socket.remotePort}`),
    );
    const { port, headers } = await front(server);
    const { ask } = join('127.0.0.1', { proxyProtocol: 'v1' }, port);
    const [address, remotePort] = (await ask()).split(' ');
    expect(headers).toEqual([`PROXY TCP4 ${address} 127.0.0.1 ${remotePort} ${port}\r\n`]);
    server.closeAllConnections();
  });

  test('version 2 is local, before mutual TLS and HTTP/2 as well', async () => {
    const mesh = createMeshTls(ca.source('reviews'), { clock: systemClock });
    closing.push(() => mesh.close());
    const server = createSecureServer(mesh.serverOptions({ alpn: ['h2'] }), (incoming, response) =>
      response.end(incoming.httpVersion),
    );
    const sessions: ServerHttp2Session[] = [];
    server.on('session', (session) => sessions.push(session));
    const { port, headers } = await front(server);
    const { ask, exchanges } = join(
      '127.0.0.1',
      {
        proxyProtocol: 'v2',
        protocol: { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS },
        tls: { mode: 'mesh', sni: undefined, subjectAltNames: [], alpn: [] },
      },
      port,
    );
    expect(await ask()).toBe('2.0');
    expect(exchanges[0]?.peerId).toContain('/sa/reviews');
    expect(headers).toEqual(['0d0a0d0a000d0a515549540a20000000']);
    for (const session of sessions) session.destroy();
  });
});
