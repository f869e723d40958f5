import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import axios, { AxiosError } from 'axios';
import { got, RequestError } from 'got';
import nodeFetch, { FetchError } from 'node-fetch';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explain } from '../../../src/service/explanation.js';
import { startWorld, type World } from './support.js';

let world: World;
let base: string;
let gone: string;

beforeAll(async () => {
  world = await startWorld((incoming, response) => {
    const { pathname } = new URL(incoming.url ?? '/', 'http://x');
    if (pathname === '/never') return;
    if (pathname === '/redirect') {
      response.writeHead(302, { location: '/echo' }).end();
      return;
    }
    if (pathname === '/busy') {
      response.writeHead(503, { 'content-type': 'text/plain' }).end('busy');
      return;
    }
    response.setHeader('content-type', incoming.headers['content-type'] ?? 'text/plain');
    response.setHeader('x-host', incoming.headers.host ?? '');
    incoming.pipe(response);
  });
  base = `http://app:${world.port}`;
  gone = `http://gone:${world.port}`;
});

afterAll(() => world.close());

describe('http.get', () => {
  test('by URL and agent', async () => {
    const [response] = (await once(get(`${base}/echo`, { agent: world.agent }), 'response')) as [
      IncomingMessage,
    ];
    response.resume();
    expect([response.statusCode, response.headers['x-host']]).toEqual([200, `app:${world.port}`]);
    await once(response, 'end');
    expect(explain(response)?.attempts).toMatchObject([{ host: `127.0.0.1:${world.port}`, status: 200 }]);
  });
});

describe('axios', () => {
  const client = () => axios.create({ baseURL: base, httpAgent: world.agent, proxy: false });

  test('sends and reads JSON', async () => {
    const response = await client().post('/echo', { a: 1 });
    expect([response.status, response.data]).toEqual([200, { a: 1 }]);
    expect(explain(response)?.cluster).toBe('app');
  });

  test('follows redirects, reads streams, sends streams', async () => {
    expect((await client().get('/redirect')).status).toBe(200);
    const response = await client().post<Readable>('/echo', Readable.from(['a', 'b']), {
      responseType: 'stream',
    });
    const chunks: Buffer[] = [];
    for await (const chunk of response.data) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe('ab');
  });

  test('errors are axios’s own', async () => {
    const refused: unknown = await client()
      .get(`${gone}/x`)
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(AxiosError);
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
    expect(explain(refused)?.cluster).toBe('gone');
    const slow: unknown = await client()
      .get('/never', { timeout: 50 })
      .catch((error: unknown) => error);
    expect(slow).toMatchObject({ name: 'AxiosError', code: 'ECONNABORTED' });
    const busy: unknown = await client()
      .get('/busy')
      .catch((error: unknown) => error);
    expect(busy).toMatchObject({ response: { status: 503, data: 'busy' } });
    const controller = new AbortController();
    const pending = client().get('/never', { signal: controller.signal });
    controller.abort();
    await expect(pending).rejects.toMatchObject({ code: 'ERR_CANCELED' });
  });
});

describe('got', () => {
  const client = () => got.extend({ prefixUrl: base, agent: { http: world.agent }, retry: { limit: 0 } });

  test('sends and reads JSON, with timings and the address', async () => {
    const response = await client().post('echo', { json: { a: 1 }, responseType: 'json' });
    expect([response.statusCode, response.body, response.ip]).toEqual([200, { a: 1 }, '127.0.0.1']);
    expect(response.timings.phases.total).toBeGreaterThanOrEqual(0);
  });

  test('streams both ways', async () => {
    const stream = client().stream.post('echo', { body: Readable.from(['a', 'b']) });
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe('ab');
  });

  test('errors are got’s own', async () => {
    const refused: unknown = await client()
      .get(`${gone}/x`, { prefixUrl: '' })
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RequestError);
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
    expect(explain(refused)?.cluster).toBe('gone');
    const slow: unknown = await client()
      .get('never', { timeout: { request: 50 } })
      .catch((error: unknown) => error);
    expect(slow).toMatchObject({ name: 'TimeoutError', code: 'ETIMEDOUT', event: 'request' });
    const late: unknown = await client()
      .get('never', { timeout: { response: 50 } })
      .catch((error: unknown) => error);
    expect(late).toMatchObject({ name: 'TimeoutError', code: 'ETIMEDOUT', event: 'response' });
    const busy: unknown = await client()
      .get('busy')
      .catch((error: unknown) => error);
    expect(busy).toMatchObject({ name: 'HTTPError', response: { statusCode: 503, body: 'busy' } });
  });
});

describe('node-fetch', () => {
  test('sends and reads', async () => {
    const response = await nodeFetch(`${base}/redirect`, { agent: world.agent });
    expect([response.status, response.url]).toEqual([200, `${base}/echo`]);
    const echoed = await nodeFetch(`${base}/echo`, {
      method: 'POST',
      body: Readable.from(['a', 'b']),
      agent: world.agent,
    });
    expect(await echoed.text()).toBe('ab');
  });

  test('errors are its own', async () => {
    const refused: unknown = await nodeFetch(gone, { agent: world.agent }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(FetchError);
    expect(refused).toMatchObject({ type: 'system', code: 'ECONNREFUSED', errno: 'ECONNREFUSED' });
    const controller = new AbortController();
    const pending = nodeFetch(`${base}/never`, { agent: world.agent, signal: controller.signal });
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
  });
});
