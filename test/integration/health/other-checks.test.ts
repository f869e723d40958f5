import { EventEmitter, once } from 'node:events';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { status as grpcStatus, Server, ServerCredentials } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import type { staticSource } from '../../../src/identity/source.js';
import { createMeshTls } from '../../../src/identity/tls-options.js';
import type { HealthCheck, HealthChecker } from '../../../src/model/health-check.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../../src/model/upstream-protocol.js';
import { systemClock } from '../../../src/runtime/clock.js';
import type { HealthEvent } from '../../../src/service/observer.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { healthCheck, httpChecker } from '../../unit/cluster/health/fixtures.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Checks a port every 20 ms; tells of what happens, first results included. */
function watch(
  port: number,
  checker: HealthChecker,
  {
    tls,
    identity,
    ...check
  }: Partial<HealthCheck> & {
    readonly tls?: 'mesh';
    readonly identity?: ReturnType<typeof staticSource>;
  } = {},
) {
  const told = new EventEmitter();
  const health = (event: HealthEvent) => void told.emit(event.event, event);
  const mesh = createStaticMesh(
    snapshotOf(
      [host('reviews:80', [forward('reviews')])],
      [
        cluster('reviews', [endpoint(port)], {
          healthCheck: healthCheck({
            intervalMs: 20,
            unhealthyThreshold: 2,
            healthyThreshold: 1,
            noTrafficIntervalMs: 20,
            noTrafficHealthyIntervalMs: 20,
            checker,
            ...check,
          }),
          protocol: { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS },
          ...(tls === 'mesh' && { tls: { mode: 'mesh', sni: undefined, subjectAltNames: [], alpn: [] } }),
        }),
      ],
    ),
    { health },
    identity,
  );
  closers.push(() => mesh.close());
  return { next: async (event: HealthEvent['event']) => (await once(told, event))[0] as HealthEvent };
}

const hex = (text: string) => Buffer.from(text).toString('hex');

test('by TCP: a host that takes connections passes, one that does not fails', async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { next } = watch(port, { kind: 'tcp', send: undefined, receive: [] });
  await next('added');
  server.close();
  for (const socket of sockets) socket.destroy();
  expect(await next('ejected')).toMatchObject({ failure: 'NETWORK', checker: 'tcp' });
});

test('by TCP: what comes back decides, on one connection, which may be made anew', async () => {
  let [answer, connections] = ['PO-NG', 0];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket
      .on('error', () => {})
      .on('data', (data) => {
        expect(data.toString()).toBe('PING');
        // In two pieces, as TCP may have it.
        socket.write(answer.slice(0, 3));
        setImmediate(() => socket.write(answer.slice(3)));
      });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(
    () => server.close(),
    () => {
      for (const socket of sockets) socket.destroy();
    },
  );
  const { port } = server.address() as AddressInfo;
  const checker = { kind: 'tcp', send: hex('PING'), receive: [hex('PO'), hex('NG')] } as const;
  const { next } = watch(port, checker, { alwaysLogSuccess: true, timeoutMs: 1000 });
  await next('added');
  await next('passed');
  await next('passed');
  expect(connections).toBe(1);
  answer = 'NG-PO';
  expect(await next('ejected')).toMatchObject({ failure: 'NETWORK_TIMEOUT' });
  answer = 'PONG';
  await next('added');
  expect(connections).toBeGreaterThan(1);
});

test('by TCP over the mTLS of the mesh', async () => {
  const ca = await createTestCa();
  const tls = createMeshTls(ca.source('reviews'), { clock: systemClock });
  const server = createTlsServer(tls.serverOptions(), (socket) => {
    socket.on('error', () => {}).on('data', () => socket.write('yes'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(
    () => tls.close(),
    () => server.close(),
  );
  const { port } = server.address() as AddressInfo;
  const checker = { kind: 'tcp', send: hex('?'), receive: [hex('yes')] } as const;
  const { next } = watch(port, checker, { tls: 'mesh', identity: ca.source('client') });
  expect(await next('added')).toMatchObject({ firstCheck: true });
});

test('by HTTP/2, whatever the requests of the cluster are', async () => {
  let status = 200;
  const server = createHttp2Server((request, response) => {
    expect([request.httpVersion, request.headers['user-agent']]).toEqual(['2.0', 'Envoy/HC']);
    response.writeHead(status).end();
  });
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => sessions.add(session));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(
    () => server.close(),
    () => {
      for (const session of sessions) session.destroy();
    },
  );
  const { port } = server.address() as AddressInfo;
  const { next } = watch(port, httpChecker({ http2: true }));
  await next('added');
  expect(sessions.size).toBe(1);
  status = 500;
  expect(await next('ejected')).toMatchObject({ failure: 'ACTIVE', message: 'the status is 500' });
});

test('by gRPC: only a service that is SERVING passes', async () => {
  let serving = 1;
  const seen: unknown[] = [];
  const server = new Server();
  const method = {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestDeserialize: (bytes: Buffer) => bytes,
    requestSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
  };
  server.addService(
    { Check: method },
    {
      Check: (
        call: { readonly request: Buffer; readonly metadata: { get(name: string): unknown[] } },
        done: (error: object | null, answer?: Buffer) => void,
      ) => {
        seen.push([call.request.toString('latin1'), call.metadata.get('x-check')]);
        if (serving < 0) done({ code: grpcStatus.NOT_FOUND, details: 'unknown service' });
        else done(null, Buffer.from([0x08, serving]));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  closers.push(() => server.forceShutdown());
  const metadata = [
    { name: 'x-check', value: 'yes', action: 'append-if-exists-or-add', keepEmpty: false },
  ] as const;
  const { next } = watch(port, { kind: 'grpc', serviceName: 'shop', authority: '', metadata });
  await next('added');
  // Field 1, four bytes.
  expect(seen[0]).toEqual(['\n\x04shop', ['yes']]);
  serving = 2;
  expect(await next('ejected')).toMatchObject({ failure: 'ACTIVE', message: 'the service is NOT_SERVING' });
  serving = 1;
  await next('added');
  serving = -1;
  expect(await next('ejected')).toMatchObject({ message: `the gRPC status is ${grpcStatus.NOT_FOUND}` });
  server.forceShutdown();
});
