import {
  createSecureServer,
  type Http2SecureServer,
  type SecureServerOptions,
  type ServerHttp2Session,
} from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from 'node:net';
import { pipeline } from 'node:stream';
import { request } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { createSettableSource } from '../../../src/identity/source.js';
import { createMeshTls } from '../../../src/identity/tls-options.js';
import { type Cluster, DEFAULT_THRESHOLDS } from '../../../src/model/cluster.js';
import { DEFAULT_HTTP2_OPTIONS, type UpstreamProtocol } from '../../../src/model/upstream-protocol.js';
import { systemClock } from '../../../src/runtime/clock.js';
import type { Exchange } from '../../../src/service/context.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

const ca = await createTestCa();
const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close());
  // A TCP server has this form of address.
  return (server.address() as AddressInfo).port;
}

/** A member of the mesh that serves HTTP/2, and HTTP/1.1 where `options` allow it. */
async function serve(options: SecureServerOptions = {}) {
  const mesh = createMeshTls(ca.source('reviews'), { clock: systemClock });
  closing.push(() => mesh.close());
  const server: Http2SecureServer = createSecureServer(
    { ...mesh.serverOptions({ alpn: ['h2'] }), ...options },
    (incoming, response) => response.end(incoming.httpVersion),
  );
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  const port = await listen(server);
  closing.push(() => {
    for (const session of sessions) session.destroy();
  });
  return { port, sessions };
}

const NAME = `spiffe://${ca.trustDomain}/ns/default/sa/reviews`;

function join(port: number, kind: UpstreamProtocol['kind'], change: Partial<Cluster> = {}) {
  const exchanges: Exchange[] = [];
  const identity = createSettableSource({ svid: ca.svid('client'), bundles: [ca.bundle] });
  const config: Partial<Cluster> = {
    protocol: { kind, http2: DEFAULT_HTTP2_OPTIONS },
    tls: {
      mode: 'mesh',
      sni: undefined,
      subjectAltNames: [{ kind: 'exact', value: NAME, ignoreCase: false }],
      alpn: [],
    },
    ...change,
  };
  const mesh = createStaticMesh(
    snapshotOf([host('reviews:80', [forward('reviews')])], [cluster('reviews', [endpoint(port)], config)]),
    { exchange: ({ context }) => exchanges.push(context) },
    identity,
  );
  const dispatcher = new MeshDispatcher(mesh);
  closing.push(() => mesh.close());
  closing.push(() => dispatcher.destroy());
  const ask = async () => (await request('http://reviews/', { dispatcher })).body.text();
  return { ask, exchanges, identity };
}

describe('HTTP/2 over mutual TLS of the mesh', () => {
  test('knows who answered', async () => {
    const { port } = await serve();
    const { ask, exchanges } = join(port, 'http2');
    expect(await ask()).toBe('2.0');
    expect(exchanges[0]?.peerId).toBe(NAME);
  });

  test('a server of another name gets no request', async () => {
    const { port } = await serve();
    const tls = { mode: 'mesh', sni: undefined, alpn: [] } as const;
    const names = [
      { kind: 'exact', value: 'spiffe://cluster.local/ns/default/sa/other', ignoreCase: false },
    ] as const;
    const { ask, exchanges } = join(port, 'http2', { tls: { ...tls, subjectAltNames: names } });
    await expect(ask()).rejects.toMatchObject({ code: 'INMESH_PEER_IDENTITY' });
    expect(exchanges[0]?.attempts?.[0]?.error).toMatchObject({ failure: 'connect' });
  });

  test('a new certificate: the next request has a new connection, the old one closes', async () => {
    const { port, sessions } = await serve();
    const { ask, identity } = join(port, 'http2');
    await ask();
    identity.set({ svid: ca.svid('client'), bundles: [ca.bundle] });
    await ask();
    expect(sessions).toHaveLength(2);
    await expect.poll(() => sessions[0]?.closed).toBe(true);
  });
});

/** A way to a port on which the first connection gets nowhere. */
async function stuckAtFirst(port: number) {
  let [isFirst, notify] = [true, () => {}];
  const stuck = new Promise<void>((resolve) => {
    notify = resolve;
  });
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    closing.push(() => socket.destroy());
    if (isFirst) notify();
    else pipeline(socket, connect(port, '127.0.0.1'), socket, () => {});
    isFirst = false;
  });
  return { port: await listen(server), stuck };
}

test.each([
  [undefined, '1.1'],
  ['http2', '2.0'],
  ['auto', '2.0'],
] as const)(
  '%s: a new certificate: what waits for a connection gets one that is made with it',
  async (kind, version) => {
    const { port } = await serve({ allowHTTP1: true, ALPNProtocols: ['h2', 'http/1.1'] });
    const way = await stuckAtFirst(port);
    const circuitBreakers = {
      default: DEFAULT_THRESHOLDS,
      high: DEFAULT_THRESHOLDS,
      perHost: { maxConnections: 1 },
    };
    const protocol = kind && { kind, http2: DEFAULT_HTTP2_OPTIONS };
    const { ask, identity } = join(way.port, 'auto', { circuitBreakers, protocol });
    const asked = Promise.all([ask(), ask(), ask()]);
    await way.stuck;
    identity.set({ svid: ca.svid('client'), bundles: [ca.bundle] });
    expect(await asked).toEqual([version, version, version]);
  },
);

describe('auto_config', () => {
  test('a server that has HTTP/2 gets it; one connection finds out for all that wait', async () => {
    const { port, sessions } = await serve({ allowHTTP1: true, ALPNProtocols: ['h2', 'http/1.1'] });
    const { ask } = join(port, 'auto');
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(['2.0', '2.0', '2.0']);
    expect(await ask()).toBe('2.0');
    expect(sessions).toHaveLength(1);
  });

  test.each([['http/1.1'], undefined])('a server with ALPN %j gets HTTP/1.1', async (alpn) => {
    const mesh = createMeshTls(ca.source('reviews'), { clock: systemClock });
    closing.push(() => mesh.close());
    let connections = 0;
    const server = createHttpsServer(
      { ...mesh.serverOptions(), ...(alpn && { ALPNProtocols: alpn }) },
      (incoming, response) => response.end(incoming.httpVersion),
    ).on('secureConnection', () => connections++);
    closing.push(() => server.closeAllConnections());
    const { ask } = join(await listen(server), 'auto');
    expect(await ask()).toBe('1.1');
    expect(await ask()).toBe('1.1');
    expect(connections).toBe(1);
  });

  test('nobody there fails all that wait', async () => {
    const { ask } = join(1, 'auto');
    const answers = await Promise.allSettled([ask(), ask()]);
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});

test('use_downstream_protocol_config: what the caller speaks, which is HTTP/1.1 for clients of undici', async () => {
  const { port } = await serve({ allowHTTP1: true, ALPNProtocols: ['h2', 'http/1.1'] });
  const { ask } = join(port, 'downstream');
  expect(await ask()).toBe('1.1');
});
