import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { Agent, request, Response as UndiciResponse } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { createDispatchingFetch } from '../../../src/bindings/undici/fetch/create-fetch.js';
import { MeshError } from '../../../src/runtime/errors.js';
import {
  cluster,
  createStaticMesh,
  endpoint,
  forward,
  host,
  type StaticMesh,
  snapshotOf,
} from '../support/static-mesh.js';

const LARGE = Buffer.alloc(3_000_000, 'abcdefgh');

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const HANDLERS: Record<string, Handler> = {
  '/hello': (incoming, response) => {
    response.setHeader('x-host', incoming.headers.host ?? '');
    response.end('hello');
  },
  '/echo': (incoming, response) => {
    response.setHeader('content-type', incoming.headers['content-type'] ?? 'none');
    incoming.pipe(response);
  },
  '/large': (_incoming, response) => response.end(LARGE),
  '/cookies': (_incoming, response) => {
    response.writeHead(200, [
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ]);
    response.end();
  },
  '/redirect': (_incoming, response) => response.writeHead(302, { location: '/hello' }).end(),
  '/gzip': (_incoming, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('zipped')),
  '/trailers': (_incoming, response) => {
    response.writeHead(200, { trailer: 'x-end' });
    response.write('body');
    response.addTrailers({ 'x-end': 'yes' });
    response.end();
  },
  '/empty': (_incoming, response) => response.writeHead(204).end(),
  '/never': () => {},
  '/broken': (incoming, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half');
    setImmediate(() => incoming.socket.destroy());
  },
};

/** What came in: target and headers. */
const requests: string[] = [];
let server: Server;
let mesh: StaticMesh;
let dispatcher: MeshDispatcher;
let meshFetch: typeof fetch;
let port: number;

beforeAll(async () => {
  server = createServer((incoming, response) => {
    requests.push(`${incoming.url} ${incoming.rawHeaders}`);
    const handler = HANDLERS[new URL(incoming.url ?? '/', 'http://x').pathname];
    if (handler === undefined) response.writeHead(404).end();
    else handler(incoming, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
  mesh = createStaticMesh(
    snapshotOf(
      [host('reviews:9080', [forward('reviews')]), host('nobody:80', [forward('gone')])],
      [cluster('reviews', [endpoint(port)]), cluster('gone', [endpoint(1)])],
    ),
  );
  dispatcher = new MeshDispatcher(mesh);
  meshFetch = createDispatchingFetch(dispatcher);
});

afterAll(async () => {
  await dispatcher.destroy();
  await mesh.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('fetch through the mesh', () => {
  test('a logical name is reached; the server sees it as its host', async () => {
    const response = await meshFetch('http://reviews:9080/hello?x=1');
    expect([response.status, await response.text(), response.headers.get('x-host')]).toEqual([
      200,
      'hello',
      'reviews:9080',
    ]);
    expect(response.url).toBe('http://reviews:9080/hello?x=1');
    expect(response).toBeInstanceOf(UndiciResponse);
  });

  test('repeated Set-Cookie lines stay apart', async () => {
    const response = await meshFetch('http://reviews:9080/cookies');
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
  });

  test('redirects, content encodings and empty answers are the platform’s', async () => {
    expect(await (await meshFetch('http://reviews:9080/redirect')).text()).toBe('hello');
    expect(await (await meshFetch('http://reviews:9080/gzip')).text()).toBe('zipped');
    expect((await meshFetch('http://reviews:9080/empty')).status).toBe(204);
    expect((await meshFetch('http://reviews:9080/hello', { method: 'HEAD' })).headers.get('x-host')).toBe(
      'reviews:9080',
    );
  });

  test('a large body arrives whole', async () => {
    const body: Buffer = Buffer.from(await (await meshFetch('http://reviews:9080/large')).arrayBuffer());
    expect(body.equals(LARGE)).toBe(true);
  });

  test('a body that is read slowly holds the server back and arrives whole', async () => {
    const response = await meshFetch('http://reviews:9080/large');
    let length = 0;
    const stream: AsyncIterable<Uint8Array> | undefined = response.body ?? undefined;
    for await (const chunk of stream ?? []) {
      length += chunk.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(length).toBe(LARGE.length);
  });

  test.each([
    ['text', (): string => 'text', 'text/plain;charset=UTF-8'],
    ['bytes', () => Buffer.from('text'), 'none'],
    [
      'URLSearchParams',
      () => new URLSearchParams({ a: 'b' }),
      'application/x-www-form-urlencoded;charset=UTF-8',
    ],
  ] as const)('a body of %s is sent', async (_name, body, type) => {
    const response = await meshFetch('http://reviews:9080/echo', { method: 'POST', body: body() });
    expect([response.headers.get('content-type'), await response.text()]).toEqual([
      type,
      String(body()) === 'a=b' ? 'a=b' : 'text',
    ]);
  });

  test('FormData is sent', async () => {
    const form = new FormData();
    form.set('a', 'b');
    const response = await meshFetch('http://reviews:9080/echo', { method: 'POST', body: form });
    expect((await response.formData()).get('a')).toBe('b');
  });

  test('a streamed body is sent', async () => {
    const stream = new Blob(['one', 'two']).stream();
    const init = { method: 'POST', body: stream, duplex: 'half' } as RequestInit;
    expect(await (await meshFetch('http://reviews:9080/echo', init)).text()).toBe('onetwo');
  });

  test('aborting before the answer rejects as the platform does', async () => {
    const controller = new AbortController();
    const pending = meshFetch('http://reviews:9080/never', { signal: controller.signal });
    setImmediate(() => controller.abort());
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('a time-out signal rejects with TimeoutError', async () => {
    const signal = AbortSignal.timeout(20);
    await expect(meshFetch('http://reviews:9080/never', { signal })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  test('aborting while the body arrives ends it', async () => {
    const controller = new AbortController();
    const response = await meshFetch('http://reviews:9080/large', { signal: controller.signal });
    controller.abort();
    await expect(response.arrayBuffer()).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('a body that breaks off rejects while it is read', async () => {
    const response = await meshFetch('http://reviews:9080/broken');
    await expect(response.text()).rejects.toBeInstanceOf(TypeError);
  });

  test('a refused connection keeps the platform’s shape, with the mesh’s account below', async () => {
    const error: unknown = await meshFetch('http://nobody/hello').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TypeError);
    const { cause } = error as TypeError & { cause: Error & { code: string } };
    expect(cause.code).toBe('ECONNREFUSED');
    expect(MeshError.is(cause.cause) && cause.cause.code).toBe('INMESH_UPSTREAM_CONNECT');
  });

  test('hosts outside the mesh are reached as ever', async () => {
    const response = await meshFetch(`http://127.0.0.1:${port}/hello`);
    expect(response.headers.get('x-host')).toBe(`127.0.0.1:${port}`);
  });

  test('a dispatcher of the caller’s own wins', async () => {
    const own = new Agent();
    const init = { dispatcher: own } as unknown as RequestInit;
    await expect(meshFetch('http://reviews.invalid/hello', init)).rejects.toBeInstanceOf(TypeError);
    await own.close();
  });
});

describe('undici.request through the mesh', () => {
  test('bodies, query and trailers work', async () => {
    const { body, headers } = await request('http://reviews:9080/echo', {
      dispatcher,
      method: 'POST',
      query: { a: 'b' },
      headers: { 'Content-Type': 'text/x' },
      body: Readable.from(['one', 'two']),
    });
    expect([await body.text(), headers['content-type']]).toEqual(['onetwo', 'text/x']);
    const answer = await request('http://reviews:9080/trailers', { dispatcher });
    expect(await answer.body.text()).toBe('body');
    expect(answer.trailers).toEqual({ 'x-end': 'yes' });
  });

  test('a refused connection rejects with undici’s own error', async () => {
    await expect(request('http://nobody/', { dispatcher })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('an abort ends it', async () => {
    const controller = new AbortController();
    const pending = request('http://reviews:9080/never', { dispatcher, signal: controller.signal });
    setImmediate(() => controller.abort());
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('a header time-out of the caller is kept', async () => {
    const pending = request('http://reviews:9080/never', { dispatcher, headersTimeout: 50 });
    await expect(pending).rejects.toMatchObject({ code: 'UND_ERR_HEADERS_TIMEOUT' });
  });

  test.each<[string, string[]]>([
    ['two lengths', ['Content-Length', '5', 'content-length', '60']],
    ['a length that is not the body’s', ['content-length', '500']],
    ['a coding and a length', ['Transfer-Encoding', 'chunked', 'content-length', '5']],
    ['a line break in a value', ['x-a', 'b\r\nx-evil: 1']],
    ['a line break in a name', ['x-a: b\r\nx-evil', '1']],
  ])('%s never becomes two requests', async (_what, headers) => {
    const before = requests.length;
    const sent = request('http://reviews:9080/echo', {
      dispatcher,
      method: 'POST',
      headers,
      body: 'hello',
    });
    const outcome = await sent.then(
      async ({ statusCode, body }) => `${statusCode} ${await body.text()}`,
      () => 'refused',
    );
    expect(['refused', '200 hello']).toContain(outcome);
    expect(requests.slice(before).filter((one) => one.includes('evil'))).toEqual([]);
    expect(requests.length - before).toBeLessThanOrEqual(1);
  });

  test('a handler of undici’s second generation is served', async () => {
    const events: unknown[] = [];
    await new Promise<void>((resolve, reject) => {
      dispatcher.dispatch(
        { origin: 'http://reviews:9080', path: '/hello', method: 'GET' },
        {
          onRequestStart: () => events.push('start'),
          onResponseStart: (controller, status, headers) => {
            controller.pause();
            events.push(status, headers['x-host']);
            setImmediate(() => {
              events.push('resumed');
              controller.resume();
            });
          },
          onResponseData: (_controller, chunk) => events.push(String(chunk)),
          onResponseEnd: () => resolve(),
          onResponseError: (_controller, error) => reject(error),
        },
      );
    });
    expect(events).toEqual(['start', 200, 'reviews:9080', 'resumed', 'hello']);
  });
});
