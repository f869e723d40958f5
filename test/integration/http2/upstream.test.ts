import { createServer as createHttp1Server, type Server as Http1Server } from 'node:http';
import {
  constants,
  createServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { request } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { createDispatchingFetch } from '../../../src/bindings/undici/fetch/create-fetch.js';
import type { Cluster } from '../../../src/model/cluster.js';
import { DEFAULT_THRESHOLDS } from '../../../src/model/cluster.js';
import { DEFAULT_HTTP2_OPTIONS, type Http2Options } from '../../../src/model/upstream-protocol.js';
import type { Exchange } from '../../../src/service/context.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

type Handler = (request: Http2ServerRequest, response: Http2ServerResponse) => void | Promise<void>;

const closing: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Served {
  readonly port: number;
  readonly server: Http2Server;
  readonly sessions: ServerHttp2Session[];
}

async function serve(handler: Handler, settings: { maxConcurrentStreams?: number } = {}): Promise<Served> {
  const server = createServer({ settings }, (incoming, response) => void handler(incoming, response));
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  const port = await listen(server);
  closing.push(() => {
    for (const session of sessions) session.destroy();
  });
  return { port, server, sessions };
}

async function listen(server: Http2Server | Http1Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  // A TCP server has this form of address.
  return (server.address() as AddressInfo).port;
}

function http2(change: Partial<Http2Options> = {}): Partial<Cluster> {
  return { protocol: { kind: 'http2', http2: { ...DEFAULT_HTTP2_OPTIONS, ...change } } };
}

function join(port: number, change: Partial<Cluster> = http2()) {
  const exchanges: Exchange[] = [];
  const mesh = createStaticMesh(
    snapshotOf([host('reviews:80', [forward('reviews')])], [cluster('reviews', [endpoint(port)], change)]),
    { exchange: ({ context }) => exchanges.push(context) },
  );
  const dispatcher = new MeshDispatcher(mesh);
  closing.push(() => mesh.close());
  closing.push(() => dispatcher.destroy());
  return { dispatcher, fetch: createDispatchingFetch(dispatcher), exchanges, mesh };
}

/** A switch that tests wait for, and what opens it. */
function gate<T = void>() {
  let open: (value: T) => void = () => {};
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open: (value: T) => open(value) };
}

describe('an HTTP/2 cluster', () => {
  test('gets the request with its headers, and none that concern a connection', async () => {
    const { port } = await serve((incoming, response) => {
      response.setHeader('set-cookie', ['a=1', 'b=2']);
      response.end(JSON.stringify({ ...incoming.headers, version: incoming.httpVersion }));
    });
    const { dispatcher } = join(port);
    const answer = await request('http://reviews/path?a=b', {
      dispatcher,
      method: 'POST',
      headers: {
        connection: 'keep-alive, x-gone',
        'x-gone': '1',
        'keep-alive': '5',
        te: 'gzip, trailers',
        'X-Kept': 'ä',
      },
      body: 'text',
    });
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(await answer.body.json()).toEqual({
      ':method': 'POST',
      ':path': '/path?a=b',
      ':scheme': 'http',
      ':authority': 'reviews',
      'content-length': '4',
      te: 'trailers',
      'x-kept': 'ä',
      version: '2.0',
    });
  });

  test('carries many requests on one connection at once', async () => {
    const { opened, open } = gate();
    let running = 0;
    const { port, sessions } = await serve(async (_incoming, response) => {
      if (++running === 50) open();
      await opened;
      response.end('ok');
    });
    const { fetch } = join(port);
    const answers = await Promise.all(Array.from({ length: 50 }, () => fetch('http://reviews/')));
    expect(new Set(await Promise.all(answers.map((answer) => answer.text())))).toEqual(new Set(['ok']));
    expect(sessions).toHaveLength(1);
  });

  test.each([
    ['the server’s setting', { maxConcurrentStreams: 2 }, {}],
    ['the configuration', {}, { maxConcurrentStreams: 2 }],
  ])(
    'opens more connections when streams run out by %s; no request is refused',
    async (_by, settings, options) => {
      const { opened, open } = gate();
      let running = 0;
      const { port, sessions } = await serve(async (_incoming, response) => {
        if (++running === 6) open();
        await opened;
        response.end('ok');
      }, settings);
      const { fetch } = join(port, http2(options));
      const answers = await Promise.all(Array.from({ length: 6 }, () => fetch('http://reviews/')));
      expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(200));
      expect(sessions.length).toBeGreaterThanOrEqual(3);
    },
  );

  test('opens no more connections than allowed: the others wait their turn', async () => {
    let running = 0;
    let most = 0;
    const { port, sessions } = await serve(
      (_incoming, response) => {
        most = Math.max(most, ++running);
        setImmediate(() => {
          running--;
          response.end('ok');
        });
      },
      { maxConcurrentStreams: 2 },
    );
    const limited = { ...DEFAULT_THRESHOLDS, maxConnections: 1 };
    const { fetch } = join(port, { ...http2(), circuitBreakers: { default: limited, high: limited } });
    const answers = await Promise.all(Array.from({ length: 9 }, () => fetch('http://reviews/')));
    expect(answers.map(({ status }) => status)).toEqual(Array(9).fill(200));
    expect([sessions.length, most]).toEqual([1, 2]);
  });

  test('streams bodies both ways, with back-pressure', async () => {
    const { port } = await serve((incoming, response) => void incoming.pipe(response));
    const { dispatcher, exchanges } = join(port);
    const chunk = Buffer.alloc(64 * 1024, 'x');
    let made = 0;
    function* chunks() {
      for (; made < 100; made++) yield chunk;
    }
    const { body } = await request('http://reviews/', {
      dispatcher,
      method: 'POST',
      body: Readable.from(chunks()),
    });
    let length = 0;
    for await (const piece of body) length += (piece as Buffer).length;
    expect(length).toBe(100 * chunk.length);
    expect(exchanges).toMatchObject([{ requestBytes: length, responseBytes: length }]);
  });

  test('a body that nobody reads holds the server back', async () => {
    const written = gate<number>();
    const { port } = await serve((_incoming, response) => {
      let count = 0;
      while (response.write(Buffer.alloc(16 * 1024)) && count < 1000) count++;
      const more = () => {
        count++;
        if (count > 1000) response.end();
        else if (response.write(Buffer.alloc(16 * 1024))) more();
        else response.once('drain', more);
      };
      response.once('drain', more);
      setTimeout(() => written.open(count), 300);
    });
    const { dispatcher } = join(port, http2({ initialStreamWindow: 65_535 }));
    const { body } = await request('http://reviews/', { dispatcher });
    // The window, our queue and that of the caller's stream.
    expect(await written.opened).toBeLessThan(40);
    let length = 0;
    for await (const piece of body) length += (piece as Buffer).length;
    expect(length).toBeGreaterThan(1000 * 16 * 1024);
  });

  test('trailers arrive', async () => {
    const { port } = await serve((_incoming, response) => {
      response.write('body');
      response.addTrailers({ 'x-end': 'yes' });
      response.end();
    });
    const { dispatcher } = join(port);
    const { body, trailers } = await request('http://reviews/', { dispatcher });
    expect(await body.text()).toBe('body');
    expect(trailers).toEqual({ 'x-end': 'yes' });
  });

  test('a stream that the server refuses is told apart from one that it resets', async () => {
    const { port } = await serve((incoming, response) => {
      const { stream } = response;
      stream.on('error', () => {});
      stream.close(
        incoming.url === '/refuse' ? constants.NGHTTP2_REFUSED_STREAM : constants.NGHTTP2_INTERNAL_ERROR,
      );
    });
    const { fetch, exchanges } = join(port);
    await expect(fetch('http://reviews/refuse')).rejects.toBeInstanceOf(TypeError);
    await expect(fetch('http://reviews/reset')).rejects.toBeInstanceOf(TypeError);
    expect(exchanges.map(({ attempts }) => attempts?.[0]?.error)).toMatchObject([
      { failure: 'refused', requestSent: true },
      { failure: 'remote-reset', requestSent: true },
    ]);
    expect(exchanges.map(({ flags }) => flags[0])).toEqual(['UR', 'UR']);
    expect(exchanges[0]?.upstreamProtocol).toBe('HTTP/2');
  });

  test('a body that breaks off rejects while it is read', async () => {
    const { port } = await serve((incoming, response) => {
      const { stream } = response;
      stream.on('error', () => {});
      response.write('half', () => {
        if (incoming.url === '/cut') stream.session?.destroy();
        else stream.close(constants.NGHTTP2_CANCEL);
      });
    });
    const { fetch } = join(port);
    for (const path of ['reset', 'cut']) {
      const response = await fetch(`http://reviews/${path}`);
      await expect(response.text()).rejects.toBeInstanceOf(TypeError);
    }
  });

  test('an abort of the caller resets the stream with CANCEL; the connection goes on', async () => {
    const started = gate<ServerHttp2Stream>();
    const { port, sessions } = await serve((incoming, response) => {
      if (incoming.url === '/never') started.open(response.stream);
      else response.end('ok');
    });
    const { fetch } = join(port);
    const controller = new AbortController();
    const pending = fetch('http://reviews/never', { signal: controller.signal });
    const stream = await started.opened;
    const closed = new Promise((resolve) => stream.once('close', () => resolve(stream.rstCode)));
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
    expect(await closed).toBe(constants.NGHTTP2_CANCEL);
    expect(await (await fetch('http://reviews/')).text()).toBe('ok');
    expect(sessions).toHaveLength(1);
  });

  test('after a GOAWAY what runs goes on, and the next request has a new connection', async () => {
    const { opened, open } = gate();
    const { port, sessions } = await serve(async (incoming, response) => {
      if (incoming.url === '/slow') {
        incoming.stream.session?.goaway(constants.NGHTTP2_NO_ERROR, incoming.stream.id);
        await opened;
      }
      response.end(incoming.url);
    });
    const { fetch } = join(port);
    const slow = fetch('http://reviews/slow');
    await expect.poll(() => sessions.length).toBe(1);
    await expect
      .poll(async () => (await (await fetch('http://reviews/next')).text()) && sessions.length)
      .toBe(2);
    open();
    expect(await (await slow).text()).toBe('/slow');
  });

  test('a GOAWAY with an error: what the server did not look at counts as refused', async () => {
    const { port } = await serve((incoming) => {
      const { stream } = incoming;
      stream.on('error', () => {});
      // The first request has the stream 1.
      if (incoming.url === '/second') stream.session?.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 1);
    });
    const { fetch, exchanges } = join(port);
    const answers = await Promise.allSettled([fetch('http://reviews/first'), fetch('http://reviews/second')]);
    expect(answers).toMatchObject([
      { reason: { message: 'fetch failed' } },
      { reason: { message: 'fetch failed' } },
    ]);
    const failures = exchanges.map(({ attempts }) => attempts?.[0]?.error);
    expect(failures).toMatchObject([{ failure: 'reset' }, { failure: 'refused' }]);
  });

  test.each([1, 3])('a connection that carried %d requests is replaced', async (most) => {
    const { port, sessions } = await serve((_incoming, response) => void response.end('ok'));
    const { fetch } = join(port, { ...http2(), maxRequestsPerConnection: most });
    for (let i = 0; i < 6; i++) await (await fetch('http://reviews/')).text();
    expect(sessions).toHaveLength(6 / most);
  });

  test('a connection that nobody uses is closed after the idle time', async () => {
    const { port, sessions } = await serve((_incoming, response) => void response.end('ok'));
    const { fetch } = join(port, { ...http2(), idleTimeoutMs: 20 });
    await (await fetch('http://reviews/')).text();
    await expect.poll(() => sessions[0]?.closed).toBe(true);
    expect((await fetch('http://reviews/')).status).toBe(200);
    expect(sessions).toHaveLength(2);
  });

  test('a connection whose server answers no PING is given up', async () => {
    const { port, sessions } = await serve((incoming, response) => {
      if (incoming.url === '/ok') response.end('ok');
    });
    const keepalive = { intervalMs: 20, timeoutMs: 30, jitterPercent: 15, idleIntervalMs: 0 };
    const { fetch, exchanges } = join(port, http2({ keepalive }));
    await (await fetch('http://reviews/ok')).text();
    const pings = gate();
    sessions[0]?.once('ping', () => pings.open());
    await pings.opened;
    const pending = fetch('http://reviews/never');
    // A server that reads nothing any more.
    pauseBelow(sessions[0]);
    await expect(pending).rejects.toBeInstanceOf(TypeError);
    expect(exchanges.at(-1)?.transportFailure).toMatch(/PING/);
  });

  test('a server that does not speak HTTP/2 is a failure of the protocol', async () => {
    const server = createHttp1Server((_incoming, response) => response.end('one'));
    const { fetch, exchanges } = join(await listen(server));
    await expect(fetch('http://reviews/')).rejects.toBeInstanceOf(TypeError);
    expect(exchanges[0]?.attempts?.[0]?.error).toMatchObject({ failure: 'protocol', requestSent: false });
  });

  test('a port where nobody listens fails as it does for HTTP/1.1', async () => {
    const { dispatcher } = join(1);
    await expect(request('http://reviews/', { dispatcher })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('time-outs of the caller’s library are kept', async () => {
    const { port } = await serve((incoming, response) => {
      if (incoming.url === '/half') response.write('half');
    });
    const { dispatcher } = join(port);
    await expect(request('http://reviews/', { dispatcher, headersTimeout: 30 })).rejects.toMatchObject({
      code: 'UND_ERR_HEADERS_TIMEOUT',
    });
    const { body } = await request('http://reviews/half', { dispatcher, bodyTimeout: 30 });
    await expect(body.text()).rejects.toMatchObject({ code: 'UND_ERR_BODY_TIMEOUT' });
  });

  test('a head that can’t be sent is the caller’s fault', async () => {
    const { port } = await serve((_incoming, response) => void response.end('ok'));
    const { dispatcher, exchanges } = join(port);
    const headers = ['content-type', 'a', 'content-type', 'b'];
    await expect(request('http://reviews/', { dispatcher, headers })).rejects.toThrow();
    expect(exchanges[0]?.attempts?.[0]?.error).toMatchObject({ failure: 'aborted' });
  });
});

/** Stops a server's session from reading: node:http2 forbids the direct way. */
function pauseBelow(session: ServerHttp2Session | undefined): void {
  const key =
    session && Object.getOwnPropertySymbols(session).find((one) => String(one) === 'Symbol(socket)');
  // The property that node:http2 keeps its socket in.
  const socket = key && (session as unknown as Record<symbol, { _handle: { readStop(): void } }>)[key];
  socket?._handle.readStop();
}
