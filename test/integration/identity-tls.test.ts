import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { authorizeIds } from '../../src/identity/authorizer.js';
import {
  closeAtExpiry,
  connectMeshTls,
  type MeshConnection,
  type MeshConnectOptions,
  verifyServerSidePeer,
} from '../../src/identity/connect.js';
import type { IdentitySource } from '../../src/identity/source.js';
import { createMeshTls, type MeshServerOptions, type MeshTls } from '../../src/identity/tls-options.js';
import { systemClock } from '../../src/runtime/clock.js';
import { codeOf } from '../../src/runtime/errors.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';
import { createTestCa } from '../../src/testing/test-ca.js';

const ca = await createTestCa();
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function meshTls(source: IdentitySource): MeshTls {
  const mesh = createMeshTls(source, { clock: systemClock });
  closers.push(() => mesh.close());
  return mesh;
}

interface Running {
  readonly port: number;
  readonly mesh: MeshTls;
  readonly server: TlsServer;
  /** What became of each connection: the peer's path, or the code of its refusal. */
  readonly seen: string[];
}

async function serve(source: IdentitySource, options: MeshServerOptions = {}): Promise<Running> {
  const mesh = meshTls(source);
  const seen: string[] = [];
  const server = createServer(mesh.serverOptions(options), (socket) => {
    socket.on('error', () => {});
    try {
      seen.push(verifyServerSidePeer(mesh, socket)?.id.path ?? 'nobody');
      socket.end('hello');
    } catch (error) {
      seen.push(String(codeOf(error)));
      socket.destroy();
    }
  });
  server.on('tlsClientError', (error: Error & { code?: string }) => seen.push(error.code ?? error.message));
  mesh.attach(server);
  const port = await listen(server);
  return { port, mesh, server, seen };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

function open(
  mesh: MeshTls,
  port: number,
  options: Partial<MeshConnectOptions> = {},
): Promise<MeshConnection> {
  return new Promise((resolve, reject) => {
    connectMeshTls(mesh, { host: '127.0.0.1', port, ...options }, (error, connection) => {
      if (connection === undefined) reject(error);
      else {
        closers.push(() => connection.socket.destroy());
        connection.socket.on('error', () => {});
        resolve(connection);
      }
    });
  });
}

async function readAll(socket: TLSSocket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

const code = (name: string) => expect.objectContaining({ code: name });

describe('a connection of the mesh', () => {
  test('shows each side who the other is', async () => {
    const server = await serve(ca.source('reviews'));
    const { socket, peer, expiresAtMs } = await open(meshTls(ca.source('productpage')), server.port);
    expect(socket.getProtocol()).toBe('TLSv1.3');
    expect(await readAll(socket)).toBe('hello');
    expect(peer.id.path).toBe('/ns/default/sa/reviews');
    expect(server.seen).toEqual(['/ns/default/sa/productpage']);
    expect(expiresAtMs).toBeGreaterThan(Date.now());
  });

  test('is never resumed, not even by a client that insists', async () => {
    const server = await serve(ca.source('reviews'));
    expect(await resumes(meshTls(ca.source('productpage')), server.port)).toBe(false);
    expect(server.seen).toEqual(['/ns/default/sa/productpage', '/ns/default/sa/productpage']);
  });

  test('would be resumed without our options, so the test above can fail', async () => {
    const mesh = meshTls(ca.source('reviews'));
    const options = { ...mesh.serverOptions(), secureOptions: 0 };
    const port = await listen(createServer(options, (socket) => socket.end('hello')));
    expect(await resumes(meshTls(ca.source('productpage')), port)).toBe(true);
  });

  test('agrees on an application protocol and sends the server name', async () => {
    const server = await serve(ca.source('reviews'), { alpn: ['istio', 'http/1.1'] });
    const names: unknown[] = [];
    server.server.on('secureConnection', (socket: TLSSocket & { servername?: string }) =>
      names.push(socket.servername),
    );
    const client = meshTls(ca.source('productpage'));
    const sni = 'outbound_.80_._.reviews.default.svc.cluster.local';
    const { socket } = await open(client, server.port, { alpn: ['istio'], sni });
    expect(socket.alpnProtocol).toBe('istio');
    await readAll(socket);
    await readAll((await open(client, server.port)).socket);
    expect(names).toEqual([sni, false]);
  });

  test('is refused by the client when the server is another workload', async () => {
    const server = await serve(ca.source('reviews'));
    const authorizer = authorizeIds([ca.id('ratings')]);
    await expect(open(meshTls(ca.source('productpage')), server.port, { authorizer })).rejects.toThrow(
      code('INMESH_PEER_IDENTITY'),
    );
  });

  test('is refused by the client when the authority of the server is foreign', async () => {
    const foreign = await createTestCa();
    const server = await serve(foreign.source('reviews'));
    await expect(open(meshTls(ca.source('productpage')), server.port)).rejects.toThrow(
      code('INMESH_TRUST_DOMAIN'),
    );
  });

  test('is refused by the client when the server has expired', async () => {
    const server = await serve(ca.expiredSource('reviews'));
    await expect(open(meshTls(ca.source('productpage')), server.port)).rejects.toThrow(
      code('INMESH_CERTIFICATE_EXPIRED'),
    );
  });

  test('is refused by the server when the authority of the client is foreign', async () => {
    const foreign = await createTestCa();
    const server = await serve(ca.source('reviews'));
    // A client that trusts the server all the same, as an attacker would.
    const client = meshTls({ ...ca.source('reviews'), svid: () => foreign.svid('reviews') });
    await refusedByServer(client, server);
    expect(server.seen).not.toContain('/ns/default/sa/reviews');
  });

  test('is refused by the server when the client has expired', async () => {
    const server = await serve(ca.source('reviews'));
    const { pem, privateKey } = ca.certificate('late', {
      notBeforeMs: Date.now() - 7_200_000,
      notAfterMs: Date.now() - 3_600_000,
    });
    await refusedByPlainClient(server, { cert: pem, key: pemOf(privateKey) });
    expect(server.seen).not.toContain('/ns/default/sa/late');
  });

  test('is refused by the server when the client has no certificate', async () => {
    const server = await serve(ca.source('reviews'));
    await refusedByPlainClient(server, {});
    expect(server.seen).not.toContain('nobody');
  });

  test('TLS 1.2 is refused', async () => {
    const server = await serve(ca.source('reviews'));
    await refusedByPlainClient(server, { maxVersion: 'TLSv1.2' });
    expect(server.seen).toEqual(['ERR_SSL_UNSUPPORTED_PROTOCOL']);
  });

  test('a server may let clients without a certificate in, but none with a foreign one', async () => {
    const server = await serve(ca.source('reviews'), { requireClientCertificate: false });
    const plain = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false });
    expect(await readAll(plain)).toBe('hello');
    expect(server.seen).toEqual(['nobody']);
    const foreign = await createTestCa();
    const { pem, privateKey } = foreign.certificate('reviews', {});
    await refusedByPlainClient(server, { cert: pem, key: pemOf(privateKey) });
    expect(server.seen).toEqual(['nobody', 'INMESH_TRUST_DOMAIN']);
  });

  test('fails clearly when the other side speaks no TLS', async () => {
    const plain = createTcpServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const port = await listen(plain);
    await expect(open(meshTls(ca.source('a')), port)).rejects.toThrow(
      /INMESH_UPSTREAM_CONNECT.*does not speak TLS/,
    );
  });

  test('fails clearly when nobody listens, and when nobody answers', async () => {
    const silent = createTcpServer((socket) => closers.push(() => socket.destroy()));
    const port = await listen(silent);
    const client = meshTls(ca.source('a'));
    await expect(open(client, port, { timeoutMs: 50 })).rejects.toThrow(
      /INMESH_UPSTREAM_CONNECT.*within 50 ms/,
    );
    await expect(open(client, 1)).rejects.toThrow(code('INMESH_UPSTREAM_CONNECT'));
  });

  test('fails clearly without an identity, and with one that has expired', async () => {
    const none = meshTls({ svid: () => undefined, bundle: () => undefined, onUpdate: () => () => {} });
    await expect(open(none, 1)).rejects.toThrow(code('INMESH_IDENTITY_UNAVAILABLE'));
    await expect(open(meshTls(ca.expiredSource('a')), 1)).rejects.toThrow(code('INMESH_CERTIFICATE_EXPIRED'));
  });

  test('giving up ends it without a call', async () => {
    const silent = createTcpServer((socket) => closers.push(() => socket.destroy()));
    const port = await listen(silent);
    let calls = 0;
    const giveUp = connectMeshTls(meshTls(ca.source('a')), { host: '127.0.0.1', port }, () => calls++);
    await once(silent, 'connection');
    giveUp();
    giveUp();
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(0);
  });
});

describe('rotation', () => {
  test('new connections use the new certificate on both sides, old ones live on', async () => {
    const serverSource = ca.settableSource('reviews');
    const server = await serve(serverSource);
    const clientSource = ca.settableSource('productpage');
    const client = meshTls(clientSource);
    const context = client.clientContext();
    expect(client.clientContext()).toBe(context);

    serverSource.set({ svid: ca.svid('reviews-renewed'), bundles: [ca.bundle] });
    clientSource.set({ svid: ca.svid('productpage-renewed'), bundles: [ca.bundle] });
    expect(client.generation).toBe(1);
    expect(client.clientContext()).not.toBe(context);
    const { socket, peer } = await open(client, server.port);
    await readAll(socket);
    expect(peer.id.path).toBe('/ns/default/sa/reviews-renewed');
    expect(server.seen).toEqual(['/ns/default/sa/productpage-renewed']);
  });

  test('after the roots change, who has a certificate of the old root is refused', async () => {
    const next = await createTestCa();
    const source = ca.settableSource('reviews');
    const server = await serve(source);
    source.set({ svid: next.svid('reviews'), bundles: [next.bundle] });
    await expect(open(meshTls(ca.source('productpage')), server.port)).rejects.toThrow(
      code('INMESH_TRUST_DOMAIN'),
    );
  });

  test('a live connection ends some seconds after the root of its server left the bundle, no sooner and no later', async () => {
    const next = await createTestCa();
    const server = await serve(ca.source('reviews'));
    server.server.removeAllListeners('secureConnection');
    server.server.on('secureConnection', (socket: TLSSocket) => socket.on('error', () => {}));
    const clock = createFakeClock(systemClock.wallTime());
    const source = ca.settableSource('productpage');
    const mesh = createMeshTls(source, { clock });
    closers.push(() => mesh.close());
    const [first, second] = [await open(mesh, server.port), await open(mesh, server.port)];
    source.set({ svid: ca.svid('productpage'), bundles: [next.bundle] });
    await clock.advance(4_000);
    expect(first.socket.destroyed || second.socket.destroyed).toBe(false);
    const gone = [once(first.socket, 'close'), once(second.socket, 'close')];
    await clock.advance(6_000);
    await Promise.all(gone);
  });

  test('a connection ends when the first certificate expires', async () => {
    const server = await serve(ca.source('reviews'));
    server.server.removeAllListeners('secureConnection');
    server.server.on('secureConnection', (socket: TLSSocket) => socket.on('error', () => {}));
    const { socket } = await open(meshTls(ca.source('a')), server.port);
    closeAtExpiry(socket, Date.now() + 30, systemClock);
    await once(socket, 'close');
    expect(socket.destroyed).toBe(true);
  });
});

const pemOf = (key: { export(options: { type: 'pkcs8'; format: 'pem' }): string | Buffer }) =>
  key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** In TLS 1.3 the client finishes before the server has looked at its certificate, so it sees the end, not an alert. */
async function refusedByServer(client: MeshTls, server: Running): Promise<void> {
  const { socket } = await open(client, server.port);
  const text = await readAll(socket).catch(() => '');
  expect(text).toBe('');
}

async function refusedByPlainClient(server: Running, options: ConnectionOptions): Promise<void> {
  const socket = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  closers.push(() => socket.destroy());
  const text = await readAll(socket).catch(() => '');
  expect(text).toBe('');
}

/** Connects twice, the second time with the session of the first, and tells whether the server resumed it. */
async function resumes(client: MeshTls, port: number): Promise<boolean> {
  const options = {
    port,
    host: '127.0.0.1',
    secureContext: client.clientContext(),
    checkServerIdentity: () => undefined,
  };
  const first = connectTls(options);
  const [session] = await once(first, 'session');
  await readAll(first);
  const second = connectTls({ ...options, session });
  await once(second, 'secureConnect');
  const isReused = second.isSessionReused();
  await readAll(second);
  return isReused;
}
