import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { connect as connectTls } from 'node:tls';
import express from 'express';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { peerOf } from '../../../src/bindings/http/connection.js';
import { createSettableSource } from '../../../src/identity/source.js';
import type { X509Svid } from '../../../src/identity/x509-svid.js';
import { systemClock } from '../../../src/runtime/clock.js';
import type { Exchange } from '../../../src/service/context.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { type Authority, clientOptions, createAuthority, PRODUCTPAGE, REVIEWS } from './authority.js';
import { type Inbound, type InboundSetup, policyOf, startInbound } from './support.js';

let ca: Authority;
let reviews: X509Svid;
let productpage: X509Svid;

beforeAll(async () => {
  ca = await createAuthority();
  reviews = await ca.issue(REVIEWS);
  productpage = await ca.issue(PRODUCTPAGE);
});

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function start(
  listener: Parameters<typeof startInbound>[0],
  setup: Partial<InboundSetup> = {},
): Promise<Inbound> {
  const identity = createSettableSource({ svid: reviews, bundles: [ca.authority.bundle()] });
  const inbound = await startInbound(listener, { mode: 'permissive', identity, ...setup });
  open.push(inbound);
  return inbound;
}

async function secure(port: number): Promise<ClientHttp2Session> {
  const socket = connectTls({
    ...clientOptions(ca.authority, productpage),
    host: '127.0.0.1',
    port,
    ALPNProtocols: ['h2', 'http/1.1'],
  });
  await once(socket, 'secureConnect');
  expect(socket.alpnProtocol).toBe('h2');
  return watch(connect('https://reviews', { createConnection: () => socket }));
}

function plain(port: number): ClientHttp2Session {
  return watch(connect(`http://127.0.0.1:${port}`));
}

function watch(session: ClientHttp2Session): ClientHttp2Session {
  session.on('error', () => {});
  open.push({ close: () => session.destroy() });
  return session;
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly trailers: IncomingHttpHeaders | undefined;
}

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  let trailers: IncomingHttpHeaders | undefined;
  stream.on('trailers', (given) => {
    trailers = given;
  });
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'end');
  return { headers, text: Buffer.concat(chunks).toString(), trailers };
}

function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders = {}, body?: string | Buffer) {
  const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return answerOf(stream);
}

describe.each(['mTLS', 'plaintext'] as const)('HTTP/2 over %s', (kind) => {
  const join = (port: number) => (kind === 'mTLS' ? secure(port) : plain(port));

  test('the application sees an ordinary request', async () => {
    const { port } = await start((request, response) => {
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      const { method, url, headers } = request;
      response.end(JSON.stringify({ method, url, headers, encrypted: 'encrypted' in request.socket }));
    });
    const session = await join(port);
    const { headers, text } = await ask(session, {
      ':authority': 'reviews:9080',
      ':path': '/a?b=c',
      cookie: ['x=1', 'y=2'],
      'x-some': 'ä',
    });
    expect(headers).toMatchObject({ ':status': 200, 'set-cookie': ['a=1', 'b=2'] });
    expect(headers).not.toHaveProperty('connection');
    const seen = JSON.parse(text) as { headers: Record<string, string> };
    expect(seen).toMatchObject({
      method: 'GET',
      url: '/a?b=c',
      headers: { host: 'reviews:9080', cookie: 'x=1; y=2', 'x-some': 'ä' },
    });
    expect(Object.keys(seen.headers)).not.toContain('transfer-encoding');
  });

  test('bodies stream both ways, trailers too', async () => {
    const { port } = await start((request, response) => {
      response.setHeader('trailer', 'x-end');
      request.pipe(response, { end: false });
      request.on('end', () => {
        response.addTrailers({ 'x-end': request.trailers['x-sum'] ?? 'none' });
        response.end();
      });
    });
    const session = await join(port);
    const stream = session.request({ ':path': '/', ':method': 'POST' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }));
    const big = 'x'.repeat(3_000_000);
    stream.end(big);
    const { text, trailers } = await answerOf(stream);
    expect(text === big).toBe(true);
    expect(trailers).toMatchObject({ 'x-end': '42' });
  });

  test('many requests at once; a slow one does not hold the others up', async () => {
    const waiting: (() => void)[] = [];
    const { port } = await start((request, response) => {
      if (request.url === '/slow') waiting.push(() => response.end('slow'));
      else response.end(request.url);
    });
    const session = await join(port);
    const slow = ask(session, { ':path': '/slow' });
    const texts = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => (await ask(session, { ':path': `/${i}` })).text),
    );
    expect(texts).toEqual(Array.from({ length: 100 }, (_, i) => `/${i}`));
    for (const finish of waiting) finish();
    expect((await slow).text).toBe('slow');
  });

  test.each([
    ['HEAD', { ':method': 'HEAD' }, '200'],
    ['no content', { ':path': '/204' }, '204'],
    ['not modified', { ':path': '/304' }, '304'],
  ])('no body: %s', async (_name, head, status) => {
    const { port } = await start((request, response) => {
      response.statusCode = Number(request.url?.slice(1)) || 200;
      response.setHeader('content-length', response.statusCode === 200 ? '5' : '0');
      response.end(request.method === 'HEAD' ? undefined : '');
    });
    const { headers, text } = await ask(await join(port), head);
    expect([String(headers[':status']), text]).toEqual([status, '']);
  });

  test('a client that resets its stream is gone for the application, the connection goes on', async () => {
    const gone: Promise<unknown>[] = [];
    const { port } = await start((request, response) => {
      if (request.url === '/never') gone.push(once(response, 'close'));
      else response.end('ok');
    });
    const session = await join(port);
    const stream = session.request({ ':path': '/never' });
    stream.on('error', () => {});
    await expect.poll(() => gone.length).toBe(1);
    stream.close(constants.NGHTTP2_CANCEL);
    await gone[0];
    expect((await ask(session)).text).toBe('ok');
  });

  test('an application that breaks its answer off resets the stream', async () => {
    const { port } = await start((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.destroy());
    });
    const stream = (await join(port)).request({ ':path': '/' });
    stream.resume();
    stream.on('error', () => {});
    // `once` of node:events rejects with the stream's error, which is what some versions of Node tell first.
    await new Promise((resolve) => stream.once('close', resolve));
    expect(stream.rstCode).not.toBe(constants.NGHTTP2_NO_ERROR);
  });

  test('an answer before the end of the request', async () => {
    const { port } = await start((_request, response) => response.writeHead(413).end('too much'));
    const stream = (await join(port)).request({ ':path': '/', ':method': 'POST' });
    stream.write('some');
    expect(await answerOf(stream)).toMatchObject({ headers: { ':status': 413 }, text: 'too much' });
    await once(stream, 'close');
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
  });
});

test('what would be two requests in HTTP/1.1 is refused', async () => {
  const { port } = await start((_request, response) => response.end('ok'));
  const session = plain(port);
  const { headers } = await ask(session, { ':path': '/a HTTP/1.1\r\nx: y' }).catch(() => ({
    headers: { ':status': 400 },
  }));
  expect(headers[':status']).toBe(400);
});

test('express and the peer’s identity', async () => {
  const app = express();
  app.post('/json', express.json(), (request, response) => {
    response.json({ secure: request.secure, body: request.body as unknown, peer: peerOf(request)?.spiffeId });
  });
  const { port } = await start(app);
  const session = await secure(port);
  const body = JSON.stringify({ a: 1 });
  const { text } = await ask(
    session,
    { ':path': '/json', ':method': 'POST', 'content-type': 'application/json' },
    body,
  );
  expect(JSON.parse(text)).toEqual({ secure: true, body: { a: 1 }, peer: PRODUCTPAGE });
});

test('filters and observers see HTTP/2', async () => {
  const exchanges: Exchange[] = [];
  const { port } = await start((_request, response) => response.end('ok'), {
    observer: { exchange: ({ context }) => exchanges.push(context) },
  });
  await ask(await secure(port));
  await expect.poll(() => exchanges.length).toBe(1);
  expect(exchanges[0]).toMatchObject({ protocol: 'HTTP/2', peerId: PRODUCTPAGE, responseBytes: 2 });
  expect(exchanges[0]?.connection?.tls?.alpn).toBe('h2');
});

test('closing lets running exchanges finish and tells clients to go on elsewhere', async () => {
  const waiting: (() => void)[] = [];
  const { port, attachment } = await start((_request, response) => {
    waiting.push(() => response.end('ok'));
  });
  const session = await secure(port);
  const goaway = once(session, 'goaway');
  const running = ask(session);
  await expect.poll(() => waiting.length).toBe(1);
  const closed = attachment.close();
  await goaway;
  for (const finish of waiting) finish();
  expect((await running).text).toBe('ok');
  await closed;
});

test('closing still takes what a client that has just connected asks', async () => {
  const { port, attachment } = await start((_request, response) => response.end('ok'));
  const session = await secure(port);
  const closed = attachment.close();
  expect((await ask(session)).text).toBe('ok');
  await closed;
});

test('a policy that no longer allows a connection ends it', async () => {
  const { port, policy } = await start((_request, response) => response.end('ok'));
  const session = plain(port);
  expect((await ask(session)).text).toBe('ok');
  const closed = once(session, 'close');
  policy.set(policyOf('strict'));
  await closed;
});

test('a connection ends with its certificate', async () => {
  const clock = createFakeClock(systemClock.wallTime());
  const { port } = await start((_request, response) => response.end('ok'), { clock });
  const session = await secure(port);
  expect((await ask(session)).text).toBe('ok');
  const goaway = once(session, 'goaway');
  await clock.advance(Math.min(reviews.notAfterMs, productpage.notAfterMs) - clock.wallTime());
  await goaway;
});

test('a server that only takes plaintext speaks HTTP/2, too', async () => {
  const { port } = await start((_request, response) => response.end('ok'), { mode: 'disable' });
  expect((await ask(plain(port))).text).toBe('ok');
});
