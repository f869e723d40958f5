import { once } from 'node:events';
import { createServer as createHttpsServer, request as httpsRequest } from 'node:https';
import { connect, createServer, type Server } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import type { Mesh } from '../../../src/index.js';
import { peerOf } from '../../../src/server.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { istio, World } from '../mesh/features-world.js';
import { eventually, joinQuietly } from '../mesh/support.js';
import { echo, outcomeOf, readAll } from './support.js';

// Applications that end TLS themselves, with certificates of their own, on ports that members of the mesh serve.

const NAME = 'app.example.com';
const ca = await createTestCa();
const roots = ca.bundle.authorities.join('\n');
const own = () => {
  const { pem, privateKey } = ca.certificate('default', { names: { dnsNames: [NAME] } });
  return { cert: pem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
};

let world: World;
afterEach(() => world.close());

const mode = (name: string) => istio('PeerAuthentication', 'default', `mtls: { mode: ${name} }`);

async function serve(server: Server): Promise<{ readonly mesh: Mesh; readonly port: number }> {
  const mesh = await joinQuietly({
    service: 'app',
    controlPlane: world.plane.addresses.xds,
    leaveDelayMs: 0,
  });
  const { port } = await mesh.listen(server, 0);
  world.onClose(() => mesh.close());
  return { mesh, port };
}

/** A client that knows nothing of the mesh. */
function ownTls(port: number, alpn: readonly string[] = []): TLSSocket {
  return tlsConnect({ port, host: '127.0.0.1', servername: NAME, ca: roots, ALPNProtocols: [...alpn] });
}

async function whenKnown(mesh: Mesh): Promise<void> {
  await eventually('the service is there', () =>
    mesh.status().clusters.some(({ name }) => name.includes('app')),
  );
}

describe('a server of node:tls on a PERMISSIVE port', () => {
  const start = async () => {
    world = await World.start(mode('PERMISSIVE'));
    const peers: (string | undefined)[] = [];
    const server = createTlsServer({ ...own(), ALPNProtocols: ['postgresql', 'h2'] }, (socket) => {
      peers.push(peerOf(socket)?.spiffeId);
      echo(socket);
    });
    // Whoever speaks no TLS fails there, as without the mesh.
    const failures: string[] = [];
    server.on('tlsClientError', (error: Error & { code?: string }) => failures.push(error.code ?? ''));
    return { ...(await serve(server)), failures, peers };
  };

  test('ends the TLS of its own clients, whose ALPN is its own affair', async () => {
    const { port, mesh } = await start();
    await eventually('the policy is there', async () => {
      const socket = ownTls(port, ['h2']);
      const outcome = await outcomeOf(socket.end('hello'));
      return outcome === 'hello' && socket.alpnProtocol === 'h2';
    });
    const socket = ownTls(port);
    await once(socket, 'secureConnect');
    expect(socket.getPeerCertificate().subjectaltname).toBe(`DNS:${NAME}`);
    socket.end('again');
    expect((await readAll(socket)).toString()).toBe('again');
    // For the mesh such a connection is one without its TLS: STRICT would refuse it.
    expect(mesh.metrics()).toMatch(/reporter="destination".*connection_security_policy="none"/);
  });

  test('takes members of the mesh by mTLS, with its own TLS inside', async () => {
    const { port, peers } = await start();
    const mesh = await world.join({ serviceAccount: 'web' });
    await whenKnown(mesh);
    const socket = tlsConnect({ socket: mesh.connect('app', port), servername: NAME, ca: roots });
    socket.end('inside');
    expect((await readAll(socket)).toString()).toBe('inside');
    expect(socket.authorized).toBe(true);
    expect(peers).toEqual(['spiffe://cluster.local/ns/default/sa/web']);
  });

  test('gets plaintext, too, and refuses it itself', async () => {
    const { port, failures } = await start();
    await eventually('the policy is there', async () => {
      await outcomeOf(connect(port, '127.0.0.1').end('GET / HTTP/1.1\r\n\r\n'));
      return failures.length > 0;
    });
    expect(failures[0]).toMatch(/^ERR_SSL_/);
  });
});

test('a server of node:net gets the bytes of TLS, plaintext and mTLS on one port, each as it should', async () => {
  world = await World.start(mode('PERMISSIVE'));
  const first: number[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.once('data', (chunk: Buffer) => {
      first.push(chunk[0] ?? 0);
      socket.end('seen');
    });
  });
  const { port } = await serve(server);
  await eventually('plaintext is let in', async () => {
    first.length = 0;
    return (
      (await outcomeOf(connect({ port, host: '127.0.0.1', allowHalfOpen: true }).end('plain'))) === 'seen'
    );
  });
  const mesh = await world.join();
  await whenKnown(mesh);
  expect(await outcomeOf(mesh.connect('app', port).end('mesh'))).toBe('seen');
  const tls = ownTls(port);
  await once(tls, 'error');
  // `p`, `m`, and the first byte of a handshake.
  expect(first).toEqual([0x70, 0x6d, 0x16]);
});

test('a server of node:https serves its own clients', async () => {
  world = await World.start(mode('PERMISSIVE'));
  const { port } = await serve(createHttpsServer(own(), (request, response) => response.end(request.url)));
  const get = () =>
    new Promise<string>((resolve) => {
      const options = { host: '127.0.0.1', port, path: '/path', servername: NAME, ca: roots, agent: false };
      httpsRequest(options, (response) => {
        void readAll(response as never).then((body) => resolve(body.toString()));
      })
        .on('error', (error: Error & { code?: string }) => resolve(error.code ?? ''))
        .end();
    });
  await eventually('an answer', async () => (await get()) === '/path');
});

test('STRICT refuses TLS that is not of the mesh, and a change to it ends what was let in', async () => {
  world = await World.start(mode('PERMISSIVE'));
  const { port } = await serve(createTlsServer(own(), echo));
  let standing: TLSSocket | undefined;
  await eventually('own TLS is let in', async () => {
    const socket = ownTls(port);
    socket.on('error', () => {});
    socket.write('here');
    await Promise.race([once(socket, 'data'), once(socket, 'close')]);
    standing = socket;
    return !socket.destroyed;
  });
  world.configure(mode('STRICT'));
  if (standing === undefined) throw new Error('no connection');
  if (!standing.closed) await once(standing, 'close');
  const socket = ownTls(port);
  expect(await outcomeOf(socket.end('hello'))).not.toBe('hello');
  const mesh = await world.join();
  await whenKnown(mesh);
  const inside = tlsConnect({ socket: mesh.connect('app', port), servername: NAME, ca: roots });
  expect(await outcomeOf(inside.end('inside'))).toBe('inside');
});

test('on a port of HTTP TLS is that of the mesh', async () => {
  world = await World.start(mode('PERMISSIVE'));
  const { port } = await world.serve({ service: 'web' }, (_, response) => response.end('ok'));
  const socket = ownTls(port);
  expect(await outcomeOf(socket.end('GET / HTTP/1.1\r\nhost: web\r\n\r\n'))).not.toContain('200');
});
