import { once } from 'node:events';
import { createSecureServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { meshCredentials } from '../../../src/bindings/grpc/credentials.js';
import { createMeshTls } from '../../../src/identity/tls-options.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { TestClient } from './interop-service.js';
import { answer, frame } from './scripted-server.js';
import { clientOf, grpcMesh } from './support.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const core = {
  clock: systemClock,
  random: seededRandom(1),
  lookup: () => undefined,
  whenConfigured: async () => {},
};

/** A server with mutual TLS of the mesh; keeps the serial numbers of the certificates that clients showed. */
async function serveTls(ca: Awaited<ReturnType<typeof createTestCa>>) {
  const tls = createMeshTls(ca.source('shop'), { clock: systemClock });
  const serials: string[] = [];
  const server = createSecureServer(tls.serverOptions({ alpn: ['h2'] }));
  server.on('secureConnection', (socket: TLSSocket) =>
    serials.push(socket.getPeerCertificate().serialNumber),
  );
  server.on('stream', (stream) => answer({ pieces: [frame('')] })(stream));
  server.on('sessionError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(
    () => tls.close(),
    () => server.close(),
  );
  return { port: (server.address() as AddressInfo).port, serials };
}

function ask(client: TestClient): Promise<grpc.ServiceError | null> {
  closers.push(() => client.close());
  return new Promise((resolve) => {
    client.emptyCall({}, new grpc.Metadata(), { deadline: Date.now() + 5000 }, resolve);
  });
}

test('a plain channel speaks the mutual TLS of the mesh by its credentials', async () => {
  const ca = await createTestCa();
  const { port, serials } = await serveTls(ca);
  const credentials = meshCredentials({ core, identity: ca.source('client') });
  expect(await ask(new TestClient(`127.0.0.1:${port}`, credentials))).toBeNull();
  expect(serials).toHaveLength(1);
});

test('a server that is not the one that is asked for is refused', async () => {
  const ca = await createTestCa();
  const { port } = await serveTls(ca);
  const credentials = meshCredentials(
    { core, identity: ca.source('client') },
    { authorizer: (peer) => peer.toString().endsWith('/sa/bank') },
  );
  const error = await ask(new TestClient(`127.0.0.1:${port}`, credentials));
  expect(error?.code).toBe(grpc.status.UNAVAILABLE);
  expect(error?.details).toMatch(/INMESH_PEER_IDENTITY/);
});

test('calls through the mesh have its mutual TLS, and know so', async () => {
  const ca = await createTestCa();
  const { port } = await serveTls(ca);
  const tls = { mode: 'mesh', sni: undefined, subjectAltNames: [], alpn: [] } as const;
  const mesh = grpcMesh([port], { change: { tls }, identity: ca.source('client') });
  closers.push(() => mesh.close());
  const client = clientOf(mesh);
  const call = client.emptyCall({}, new grpc.Metadata(), {}, () => {});
  const [{ code }] = await once(call, 'status');
  expect(code).toBe(grpc.status.OK);
  expect(call.getAuthContext()).toEqual({ transportSecurityType: 'ssl' });
});
