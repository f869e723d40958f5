import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { attachTcp } from '../../../src/bindings/tcp/server.js';
import { createSettableSource } from '../../../src/identity/source.js';
import type { X509Svid } from '../../../src/identity/x509-svid.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createSignal } from '../../../src/runtime/signal.js';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js';
import { type Authority, clientOptions, createAuthority, PRODUCTPAGE, REVIEWS } from './authority.js';
import { policyOf, startInbound, whenClosed } from './support.js';

// A root that leaves the bundle takes the connections of its workloads with it.

let ca: Authority;
let next: Authority;
let reviews: X509Svid;
let productpage: X509Svid;

beforeAll(async () => {
  [ca, next] = await Promise.all([createAuthority(), createAuthority()]);
  reviews = await ca.issue(REVIEWS);
  productpage = await ca.issue(PRODUCTPAGE);
});

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** A server whose bundle a test changes. */
async function start(
  listener: Parameters<typeof startInbound>[0],
  attach?: Parameters<typeof startInbound>[1]['attach'],
) {
  const clock = createFakeClock(systemClock.wallTime());
  const identity = createSettableSource({ svid: reviews, bundles: [ca.authority.bundle()] });
  const inbound = await startInbound(listener, {
    mode: 'strict',
    identity,
    clock,
    ...(attach && { attach }),
  });
  open.push(inbound);
  const distrust = () => identity.set({ svid: reviews, bundles: [next.authority.bundle()] });
  return { ...inbound, clock, identity, distrust };
}

async function client(port: number, alpn?: string[]): Promise<TLSSocket> {
  const socket = connect({
    ...clientOptions(ca.authority, productpage),
    port,
    ...(alpn && { ALPNProtocols: alpn }),
  });
  open.push({ close: () => socket.destroy() });
  await once(socket, 'secureConnect');
  return socket;
}

/** Whether the socket closes within so many milliseconds of virtual time, but not before `earliestMs`. */
async function closesBetween(
  clock: FakeClock,
  socket: Socket,
  earliestMs: number,
  latestMs: number,
): Promise<void> {
  let isClosed = false;
  const gone = whenClosed(socket).then(() => {
    isClosed = true;
  });
  socket.resume();
  await clock.advance(earliestMs);
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  expect(isClosed).toBe(false);
  await clock.advance(latestMs - earliestMs);
  await gone;
}

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

describe('a root that leaves the bundle', () => {
  test('ends idle connections of HTTP/1.1 at once', async () => {
    const { port, distrust } = await start((_, response) => response.end('ok'));
    const socket = await client(port);
    socket.write(GET);
    await once(socket, 'data');
    const gone = whenClosed(socket);
    distrust();
    await gone;
  });

  test('leaves a running exchange some seconds', async () => {
    const { port, distrust, clock } = await start((_, response) => response.write('begun'));
    const socket = await client(port);
    socket.write(GET);
    await once(socket, 'data');
    distrust();
    await closesBetween(clock, socket, 4_000, 10_000);
  });

  test('ends a connection that goes on asking at once', async () => {
    let requests = 0;
    const { port, distrust } = await start((_, response) => {
      requests++;
      response.write('begun');
    });
    const socket = await client(port);
    socket.write(GET);
    await once(socket, 'data');
    distrust();
    const gone = whenClosed(socket.resume());
    socket.write(GET);
    await gone;
    expect(requests).toBe(1);
  });

  test('ends upgraded connections at once', async () => {
    const { port, distrust } = await start(
      () => {},
      (server) => server.on('upgrade', (_, socket) => socket.write('HTTP/1.1 101 x\r\n\r\n')),
    );
    const socket = await client(port);
    socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
    await once(socket, 'data');
    const gone = whenClosed(socket);
    distrust();
    await gone;
  });

  test('is told to HTTP/2 by GOAWAY; what runs has some seconds', async () => {
    const { port, distrust, clock } = await start((_, response) => response.write('begun'));
    const socket = await client(port, ['h2']);
    const session = connectHttp2('https://reviews', { createConnection: () => socket });
    session.on('error', () => {});
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    await once(stream.resume(), 'data');
    const goaway = once(session, 'goaway');
    distrust();
    await goaway;
    await closesBetween(clock, socket, 4_000, 10_000);
  });

  test('ends raw TCP connections', async () => {
    const server = createTcpServer((socket) => socket.write('hello'));
    const clock = createFakeClock(systemClock.wallTime());
    const identity = createSettableSource({ svid: reviews, bundles: [ca.authority.bundle()] });
    const attachment = attachTcp(server, {
      policy: createSignal(policyOf('strict')),
      identity,
      clock,
      random: seededRandom(1),
      logger: silentLogger,
      observer: {},
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push({
      close() {
        attachment.close();
        server.close();
      },
    });
    const socket = await client((server.address() as AddressInfo).port);
    await once(socket, 'data');
    const gone = whenClosed(socket.resume());
    identity.set({ svid: reviews, bundles: [next.authority.bundle()] });
    await clock.advance(10_000);
    await gone;
  });

  test('that stays among others ends nothing', async () => {
    const { port, identity, clock } = await start((_, response) => response.end('ok'));
    const socket = await client(port);
    socket.write(GET);
    await once(socket, 'data');
    identity.set({
      svid: reviews,
      bundles: [{ ...ca.authority.bundle(), authorities: [...ca.authority.bundle().authorities] }],
    });
    await clock.advance(20_000);
    socket.write(GET);
    expect(String((await once(socket, 'data'))[0])).toContain('200 OK');
  });
});
