import { once } from 'node:events';
import { Agent, request as httpRequest, type RequestListener } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { inboundPolicy } from '../../../src/mesh/inbound.js';
import type { InboundLimits } from '../../../src/model/inbound-limits.js';
import type { HttpConnectionManager } from '../../../src/model/listener.js';
import type { Exchange } from '../../../src/service/context.js';
import type { ExchangeEnd } from '../../../src/service/observer.js';
import { type Inbound, policyOf, startInbound } from './support.js';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Limited extends Pick<HttpConnectionManager, 'streamIdleTimeoutMs' | 'maxStreamDurationMs'> {
  readonly limits?: InboundLimits;
}

/** A server for plaintext with these limits. */
async function serve(limited: Limited, listener: RequestListener = (_, response) => response.end('ok')) {
  const ends: { context: Exchange; end: ExchangeEnd }[] = [];
  const observer = {
    exchange: ({ context }: { context: Exchange }, end: ExchangeEnd) => ends.push({ context, end }),
  };
  const inbound: Inbound = await startInbound(listener, { mode: 'disable', observer });
  const routes = { kind: 'inline', config: ROUTES } as const;
  const chain = { name: 'limited', transportProtocol: '', tls: undefined } as const;
  const filterChains = [{ ...chain, http: { routes, filters: [], ...limited } }];
  inbound.policy.set(
    inboundPolicy(
      { kind: 'inbound', name: 'in', address: undefined, filterChains },
      { buildFilters: () => [] },
    ),
  );
  closing.push(() => inbound.close());
  return { ...inbound, ends };
}

const ROUTES = policyRoutes();

/** A table that lets everything through to the application. */
function policyRoutes() {
  const route = {
    name: '',
    match: {
      path: { kind: 'prefix', value: '/', caseSensitive: true },
      headers: [],
      queryParameters: [],
      runtimeFraction: undefined,
      grpcOnly: false,
    },
    action: { kind: 'non-forwarding' },
    filterOverrides: new Map(),
  } as const;
  const virtualHost = {
    name: 'all',
    domains: ['*'],
    routes: [route],
    retryPolicy: undefined,
    filterOverrides: new Map(),
    includeRequestAttemptCount: false,
  };
  return { name: 'inbound', virtualHosts: [virtualHost] };
}

/** Everything that comes on a raw connection until it closes. */
function raw(port: number, write: string): { socket: Socket; all: Promise<string> } {
  const socket = connect(port, '127.0.0.1');
  closing.push(() => socket.destroy());
  socket.on('error', () => {});
  socket.write(write);
  return { socket, all: text(socket) };
}

function http2(port: number): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  closing.push(() => session.destroy());
  return session;
}

async function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders = {}, body?: string) {
  const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined });
  stream.on('error', () => {});
  if (body !== undefined) stream.write(body);
  let status: number | undefined;
  stream.on('response', (head) => {
    status = head[':status'];
  });
  let read = '';
  stream.on('data', (chunk) => {
    read += String(chunk);
  });
  await once(stream, 'close');
  return { status, text: read, rstCode: stream.rstCode };
}

const HEAD = 'GET / HTTP/1.1\r\nhost: a\r\n';
const UPLOAD = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf';
const never: RequestListener = () => {};

describe('time limits of an exchange', () => {
  test('request_timeout: 408 when the request does not come to its end', async () => {
    const { port, ends } = await serve({ limits: { requestTimeoutMs: 100 } }, never);
    const answer = await raw(port, UPLOAD).all;
    expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(answer).toContain('\r\nconnection: close\r\n');
    expect(answer).toMatch(/\r\n\r\nrequest timeout$/);
    await expect.poll(() => ends.length).toBe(1);
    expect(ends[0]).toMatchObject({
      end: { status: 408, error: { code: 'INMESH_TIMEOUT' } },
      context: { flags: [], details: 'request_overall_timeout' },
    });
  });

  test('request_timeout does not count for a complete request, however long its answer takes', async () => {
    const { port } = await serve({ limits: { requestTimeoutMs: 40 } }, (_, response) =>
      setTimeout(() => response.end('late'), 150),
    );
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('late');
  });

  test('request_timeout over HTTP/2', async () => {
    const { port } = await serve({ limits: { requestTimeoutMs: 100 } }, never);
    const answer = await ask(http2(port), { ':method': 'POST' }, 'half');
    expect(answer).toMatchObject({ status: 408, text: 'request timeout' });
  });

  test.each([
    ['GET / HTTP/1.1\r\nhost: a\r\n\r\n', 504],
    [UPLOAD, 408],
  ])('stream_idle_timeout before the answer: %j gets %i', async (request, status) => {
    const { port, ends } = await serve({ streamIdleTimeoutMs: 100 }, never);
    const answer = await raw(port, request).all;
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} (.|\\s)*stream timeout$`));
    await expect.poll(() => ends.length).toBe(1);
    expect(ends[0]).toMatchObject({
      context: { flags: ['SI'], details: 'stream_idle_timeout' },
      end: { status },
    });
  });

  test('stream_idle_timeout in an answer breaks it off; one that moves goes on', async () => {
    const { port, ends } = await serve({ streamIdleTimeoutMs: 200 }, (incoming, response) => {
      let left = 8;
      const writing = setInterval(() => {
        response.write('x');
        if (--left > 0) return;
        clearInterval(writing);
        if (incoming.url === '/ends') response.end();
      }, 50);
    });
    expect(await (await fetch(`http://127.0.0.1:${port}/ends`)).text()).toBe('xxxxxxxx');
    await expect(fetch(`http://127.0.0.1:${port}/`).then((one) => one.text())).rejects.toThrow('terminated');
    await expect.poll(() => ends.at(-1)?.context.flags).toEqual(['SI']);
  });

  test('max_stream_duration', async () => {
    const { port, ends } = await serve({ maxStreamDurationMs: 100 }, never);
    expect(await raw(port, `${HEAD}\r\n`).all).toMatch(/^HTTP\/1\.1 504 [\s\S]*downstream duration timeout$/);
    await expect.poll(() => ends.length).toBe(1);
    expect(ends[0]).toMatchObject({ context: { flags: ['DT'], details: 'max_duration_timeout' } });
  });

  test('what the application writes after that goes nowhere and hurts nobody', async () => {
    const written: Promise<void>[] = [];
    const { port } = await serve({ streamIdleTimeoutMs: 60 }, (_, response) => {
      written.push(
        new Promise((resolve) => {
          setTimeout(() => {
            response.setHeader('x', 'y');
            response.write('too late');
            response.end();
            resolve();
          }, 300);
        }),
      );
    });
    expect(await raw(port, `${HEAD}\r\n`).all).toMatch(/stream timeout$/);
    await Promise.all(written);
  });
});

describe('time limits of a connection', () => {
  test('request_headers_timeout: 408 when a head does not come to its end', async () => {
    const { port } = await serve({ limits: { requestHeadersTimeoutMs: 100 } });
    expect(await raw(port, HEAD).all).toMatch(/^HTTP\/1\.1 408 [\s\S]*request header timeout$/);
  });

  test('request_headers_timeout counts for the second request, too, and not for the pause before it', async () => {
    const { port } = await serve({ limits: { requestHeadersTimeoutMs: 100 } });
    const { socket, all } = raw(port, `${HEAD}\r\n`);
    await once(socket, 'data');
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(socket.destroyed).toBe(false);
    socket.write('GET /second HTTP/1.1\r\n');
    expect(await all).toMatch(/^(HTTP\/1\.1 200[\s\S]*)?HTTP\/1\.1 408 [\s\S]*request header timeout$/);
  });

  test('idle_timeout closes a connection without a request, not one that has one', async () => {
    const { port } = await serve({ limits: { idleTimeoutMs: 100 } }, (_, response) =>
      setTimeout(() => response.end('slow'), 250),
    );
    const { socket, all } = raw(port, `${HEAD}\r\n`);
    expect(await all).toMatch(/^HTTP\/1\.1 200 [\s\S]*slow\r\n0\r\n\r\n$|^HTTP\/1\.1 200 [\s\S]*slow$/);
    expect(socket.destroyed || socket.readableEnded).toBe(true);
  });

  test('idle_timeout over HTTP/2', async () => {
    const { port } = await serve({ limits: { idleTimeoutMs: 100 } }, (_, response) =>
      setTimeout(() => response.end('slow'), 250),
    );
    const session = http2(port);
    expect(await ask(session)).toMatchObject({ status: 200, text: 'slow' });
    await once(session, 'close');
  });

  test('max_connection_duration lets the running request finish', async () => {
    const { port } = await serve({ limits: { maxConnectionDurationMs: 100 } }, (_, response) =>
      setTimeout(() => response.end('slow'), 250),
    );
    expect(await raw(port, `${HEAD}\r\n`).all).toMatch(/\r\nConnection: close\r\n[\s\S]*slow/);
    const session = http2(port);
    expect(await ask(session)).toMatchObject({ status: 200, text: 'slow' });
    await once(session, 'close');
  });

  test('drain_timeout: HTTP/2 clients hear twice that the connection ends', async () => {
    const { port } = await serve(
      { limits: { maxConnectionDurationMs: 100, drainTimeoutMs: 100 } },
      (_, response) => setTimeout(() => response.end('slow'), 400),
    );
    const session = http2(port);
    const lastIds: number[] = [];
    session.on('goaway', (_code, lastId) => lastIds.push(lastId));
    expect(await ask(session)).toMatchObject({ status: 200, text: 'slow' });
    await once(session, 'close');
    expect(lastIds.slice(0, 2)).toEqual([2 ** 31 - 1, 1]);
  });

  test('max_requests_per_connection', async () => {
    const { port } = await serve({ limits: { maxRequestsPerConnection: 2 } });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    closing.push(() => agent.destroy());
    const connections: (string | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      const outgoing = httpRequest({ port, agent });
      outgoing.end();
      const [response] = await once(outgoing, 'response');
      connections.push(response.headers.connection);
      response.resume();
      await once(response, 'end');
    }
    expect(connections).toEqual(['keep-alive', 'close', 'keep-alive', 'close']);
    const session = http2(port);
    await ask(session);
    await ask(session);
    await once(session, 'close');
  });

  test('delayed_close_timeout: the peer has time to close', async () => {
    const { port } = await serve({ limits: { maxRequestsPerConnection: 1, delayedCloseTimeoutMs: 200 } });
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    closing.push(() => socket.destroy());
    socket.write(`${HEAD}\r\n`);
    const startMs = performance.now();
    socket.resume();
    await once(socket, 'end');
    // Still there: what is written is taken, and not answered by a reset.
    const writing = setInterval(() => socket.write('more'), 20);
    socket.on('error', () => {});
    // `once` of node:events would throw the reset that comes in the end.
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(writing);
    expect(performance.now() - startMs).toBeGreaterThan(150);
  });
});

describe('heads', () => {
  const lines = (count: number) => Array.from({ length: count }, (_, i) => `x-${i}: y\r\n`).join('');

  test('max_headers_count: 431, and the connection ends', async () => {
    const { port, ends } = await serve({ limits: { maxHeadersCount: 10 } });
    expect(await raw(port, `${HEAD}${lines(9)}connection: close\r\n\r\n`).all).toMatch(/^HTTP\/1\.1 431 /);
    expect(await raw(port, `${HEAD}${lines(8)}connection: close\r\n\r\n`).all).toMatch(/^HTTP\/1\.1 200 /);
    const refused = await raw(port, `${HEAD}${lines(20)}\r\n`).all;
    expect(refused).toMatch(/\r\nConnection: close\r\n[\s\S]*Request Header Fields Too Large$/);
    expect(ends.at(-1)).toMatchObject({ context: { flags: ['DPE'], details: 'http1.too_many_headers' } });
  });

  test('max_request_headers_kb: smaller and larger than Node’s own limit', async () => {
    const { port } = await serve({ limits: { maxRequestHeadersKb: 1 } });
    const large = (kb: number) => `${HEAD}x: ${'y'.repeat(kb * 1024)}\r\nconnection: close\r\n\r\n`;
    expect(await raw(port, large(2)).all).toMatch(/^HTTP\/1\.1 431 /);
    const { port: generous } = await serve({ limits: { maxRequestHeadersKb: 64 } });
    expect(await raw(generous, large(40)).all).toMatch(/^HTTP\/1\.1 200 /);
    expect(await raw(generous, large(80)).all).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('headers_with_underscores_action', async () => {
    const seen: object[] = [];
    const listener: RequestListener = (incoming, response) => {
      seen.push(incoming.headers, { raw: incoming.rawHeaders.filter((one) => one.includes('_')) });
      response.end();
    };
    const { port: rejects } = await serve({ limits: { underscores: 'reject' } }, listener);
    const request = `${HEAD}x_a: b\r\nx-value: a_b\r\nconnection: close\r\n\r\n`;
    expect(await raw(rejects, request).all).toMatch(/^HTTP\/1\.1 400 [\s\S]*Bad Request$/);
    expect(seen).toEqual([]);
    const { port: drops } = await serve({ limits: { underscores: 'drop' } }, listener);
    expect(await raw(drops, request).all).toMatch(/^HTTP\/1\.1 200 /);
    expect(seen).toEqual([{ host: 'a', 'x-value': 'a_b', connection: 'close' }, { raw: ['a_b'] }]);
  });

  test('over HTTP/2 the stream is reset', async () => {
    const { port } = await serve({ limits: { underscores: 'reject', maxHeadersCount: 10 } });
    const session = http2(port);
    expect(await ask(session, { x_a: 'b' })).toMatchObject({ status: undefined, rstCode: 8 });
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x-${i}`, 'y']));
    expect(await ask(session, many)).toMatchObject({ status: undefined, rstCode: 8 });
    expect(await ask(session)).toMatchObject({ status: 200 });
  });
});

test('a server without limits has none', () => {
  expect(policyOf('disable').plaintext).toMatchObject({ limits: undefined, times: undefined });
});
