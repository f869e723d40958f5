import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { changeResponse, readText, setBody, transformBody } from '../../../src/filters.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { localReply } from '../../../src/service/local-reply.js';
import type { Filter } from '../../../src/service/service.js';
import { digest, type Inbound, readAll, sha256, startInbound } from './support.js';

let inbound: Inbound;

afterEach(() => inbound.close());

const MEGABYTE = Buffer.alloc(1024 * 1024, 'abc');

/** Upper case, chunk by chunk. */
async function* upper(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Buffer.from(Buffer.from(chunk).toString().toUpperCase());
}

async function start(filter: Filter, listener: RequestListener): Promise<void> {
  inbound = await startInbound(listener, { mode: 'disable', filters: [filter] });
}

async function post(body: string | Uint8Array, init: RequestInit = {}): Promise<readonly [number, string]> {
  // What fetch takes as a body; its type wants a buffer that is not shared.
  const response = await fetch(inbound.url, {
    method: 'POST',
    body: body as NonNullable<RequestInit['body']>,
    ...init,
  });
  return [response.status, await response.text()];
}

const echo: RequestListener = (request, response) => {
  readAll(request).then(
    (body) => response.end(`${request.headers['content-length'] ?? 'chunked'}:${body.toString()}`),
    () => response.destroy(),
  );
};

describe('the body of a request', () => {
  test('can be read by a filter and still comes to the application', async () => {
    const seen: string[] = [];
    await start(async (request, next) => {
      seen.push(await readText(request, 10_000));
      return next(request);
    }, echo);
    expect(await post('hello')).toEqual([200, '5:hello']);
    expect(seen).toEqual(['hello']);
  });

  test('that is large passes a filter that reads it', async () => {
    await start(async (request, next) => {
      await readText(request, 10_000_000);
      return next(request);
    }, digest);
    expect(await post(MEGABYTE)).toEqual([200, sha256(MEGABYTE)]);
  });

  test('that is large passes filters that take their time and do not read it', async () => {
    await start(async (request, next) => {
      await new Promise((resolve) => setImmediate(resolve));
      return next(request);
    }, digest);
    expect(await post(MEGABYTE)).toEqual([200, sha256(MEGABYTE)]);
  });

  test('can be replaced, read or not', async () => {
    await start(async (request, next) => {
      if (request.headers.has('x-read')) await readText(request, 100);
      setBody(request, 'another');
      return next(request);
    }, echo);
    expect(await post('hello')).toEqual([200, '7:another']);
    expect(await post('hello', { headers: { 'x-read': '1' } })).toEqual([200, '7:another']);
    expect(await post(MEGABYTE)).toEqual([200, '7:another']);
  });

  test('can be changed as it streams, at the speed of the application', async () => {
    await start((request, next) => {
      request.body = transformBody(request.body, upper);
      return next(request);
    }, digest);
    expect(await post(MEGABYTE)).toEqual([200, sha256(MEGABYTE.toString().toUpperCase())]);
  });

  test('that a filter read and did not put back is an error, not an empty body', async () => {
    await start(async (request, next) => {
      const { body } = request;
      await readText(request, 100);
      request.body = body;
      return next(request);
    }, echo);
    const response = await fetch(inbound.url, { method: 'POST', body: 'hello' });
    expect([response.status, response.headers.get('x-inmesh-reason')]).toEqual([500, 'INMESH_BODY_USED']);
  });

  test('that is refused half-way leaves the connection usable', async () => {
    await start(async (request, next) => {
      try {
        await readText(request, 100);
      } catch (error) {
        if (!MeshError.is(error)) throw error;
        return localReply(request, { status: 413, body: 'no', details: 'd', reason: error.code });
      }
      return next(request);
    }, echo);
    expect(await post(MEGABYTE)).toEqual([413, 'no']);
    expect(await post('small')).toEqual([200, '5:small']);
  });

  test('of a caller that goes away ends the reading', async () => {
    let failure: unknown;
    await start(async (request, next) => {
      try {
        await readText(request, 100);
      } catch (error) {
        failure = error;
        throw error;
      }
      return next(request);
    }, echo);
    const request = httpRequest(inbound.url, { method: 'POST', headers: { 'content-length': '100' } });
    request.on('error', () => {});
    request.write('some');
    await once(request, 'socket');
    await new Promise((resolve) => setTimeout(resolve, 50));
    request.destroy();
    await expect.poll(() => MeshError.is(failure) && failure.code).toBe('INMESH_ABORTED');
  });
});

describe('the body of a response', () => {
  const shout: Filter = (request, next) =>
    changeResponse(request, next, (head) => {
      if (head.headers.get('x-as-it-is') !== undefined) return undefined;
      head.headers.delete('content-length');
      return (body) => transformBody(body, upper);
    });

  const get = async (path = '/', init: RequestInit = {}) => {
    const response = await fetch(inbound.url + path, init);
    return [response.headers.get('content-length'), await response.text()];
  };

  test.each<[string, RequestListener, string]>([
    ['end', (_request, response) => response.end('hello'), 'HELLO'],
    [
      'write and end',
      (_request, response) => {
        response.write('hel');
        response.write(Buffer.from('lo'), () => response.end('!'));
      },
      'HELLO!',
    ],
    [
      'a head with a length',
      (_request, response) => response.writeHead(200, { 'content-length': 5 }).end('hello'),
      'HELLO',
    ],
    [
      'a pipe',
      (_request, response) => void pipeline(Readable.from([MEGABYTE, MEGABYTE]), response),
      `${MEGABYTE}${MEGABYTE}`.toUpperCase(),
    ],
    ['nothing', (_request, response) => response.end(), ''],
  ])('written by %s is changed', async (_name, listener, body) => {
    await start(shout, listener);
    const [length, text] = await get();
    expect(text).toBe(body);
    expect(length).toBeNull();
  });

  test('stays as it is when the filter says so, with its length', async () => {
    await start(shout, (_request, response) => {
      response.setHeader('x-as-it-is', '1');
      response.end('hello');
    });
    expect(await get()).toEqual(['5', 'hello']);
  });

  test('there is none to change for HEAD and 204', async () => {
    await start(shout, (request, response) => {
      response.statusCode = request.url === '/204' ? 204 : 200;
      response.end('hello');
    });
    expect(await get('/', { method: 'HEAD' })).toEqual([null, '']);
    expect(await get('/204')).toEqual([null, '']);
  });

  test('tells the application when it has ended, and when it is through', async () => {
    const seen: unknown[] = [];
    await start(shout, (_request, response) => {
      response.on('finish', () => seen.push('finish'));
      response.end('hello', () => seen.push('callback'));
      seen.push(response.writableEnded, response.headersSent);
    });
    expect(await get()).toEqual([null, 'HELLO']);
    await expect.poll(() => seen).toEqual([true, true, 'finish', 'callback']);
  });

  test('that breaks off breaks off', async () => {
    let onArrival!: () => void;
    const arrived = new Promise<void>((resolve) => {
      onArrival = resolve;
    });
    const failing: Filter = (request, next) =>
      changeResponse(request, next, () => (body) => transformBody(body, broken));
    async function* broken(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        yield chunk;
        await arrived;
        throw new Error('broken');
      }
    }
    await start(failing, (_request, response) => {
      response.write('hello');
    });
    const request = httpRequest(inbound.url).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    onArrival();
    await expect(readAll(response)).rejects.toThrow('aborted');
  });

  test('of local answers further down is changed, too', async () => {
    const refuse: Filter = async (request) =>
      localReply(request, { status: 403, body: 'no entry', details: 'd', reason: 'R' });
    inbound = await startInbound(echo, { mode: 'disable', filters: [shout, refuse] });
    const response = await fetch(inbound.url);
    expect([response.status, await response.text()]).toEqual([403, 'NO ENTRY']);
  });
});
