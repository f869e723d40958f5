import { FormData as UndiciFormData, Request as UndiciRequest, Response as UndiciResponse } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPlatformFetch } from '../../../src/bindings/undici/fetch/platform-fetch.js';
import { openWorlds, type Worlds } from './support/world.js';

let worlds: Worlds;
let fetch: typeof globalThis.fetch;
let base: string;

beforeAll(async () => {
  worlds = await openWorlds();
  fetch = worlds.mesh.fetch as unknown as typeof globalThis.fetch;
  base = worlds.mesh.base;
  worlds.origin.on('/echo', (request, response, body) => {
    response.writeHead(200, {
      'content-type': request.headers['content-type'] ?? 'none',
      'x-method': request.method ?? '',
      'x-own': request.headers['x-own'] ?? 'none',
    });
    response.end(body);
  });
  worlds.origin.on('/never', () => {});
});
afterAll(() => worlds.close());

/** undici's fetch takes the platform's objects for text; the mesh's takes them for what they are. */
describe('the platform’s own', () => {
  test('FormData is a form', async () => {
    const form = new FormData();
    form.append('a', 'ä');
    form.append('f', new File(['in it'], 'n.txt', { type: 'text/x' }));
    const received = await (await fetch(`${base}/echo`, { method: 'POST', body: form })).formData();
    const file = received.get('f') as File;
    expect([received.get('a'), file.name, file.type, await file.text()]).toEqual([
      'ä',
      'n.txt',
      'text/x',
      'in it',
    ]);
  });

  test('Request is a request', async () => {
    const request = new Request(`${base}/echo`, { method: 'PUT', body: 'text', headers: { 'X-Own': 'b' } });
    const response = await fetch(request);
    expect([response.headers.get('x-method'), response.headers.get('x-own'), await response.text()]).toEqual([
      'PUT',
      'b',
      'text',
    ]);
    expect(request.bodyUsed).toBe(true);
    await expect(fetch(request)).rejects.toThrow('already been used');
  });

  test('Request without a body, changed by init', async () => {
    const request = new Request(`${base}/echo`, { headers: { 'x-own': 'a' } });
    const response = await fetch(request, { method: 'POST', body: 'b', headers: { 'x-own': 'c' } });
    expect([response.headers.get('x-method'), response.headers.get('x-own'), await response.text()]).toEqual([
      'POST',
      'c',
      'b',
    ]);
  });

  test('Request aborts what is under way', async () => {
    const controller = new AbortController();
    const request = new Request(`${base}/never`, { signal: controller.signal });
    worlds.origin.forget();
    const pending = fetch(request);
    await worlds.origin.sawRequests(1);
    controller.abort(new RangeError('mine'));
    await expect(pending).rejects.toThrow('mine');
  });

  test('Headers are headers', async () => {
    const response = await fetch(`${base}/echo`, { headers: new Headers({ 'X-Own': 'b' }) });
    expect(response.headers.get('x-own')).toBe('b');
  });

  test('Request may be what init is read from', async () => {
    const init = new Request('http://elsewhere.test', { method: 'DELETE', headers: { 'x-own': 'b' } });
    const response = await fetch(`${base}/echo`, init);
    expect([response.headers.get('x-method'), response.headers.get('x-own')]).toEqual(['DELETE', 'b']);
  });
});

test('undici’s objects go through', async () => {
  const form = new UndiciFormData();
  form.append('a', 'b');
  const request = new UndiciRequest(`${base}/echo`, { method: 'POST', body: form });
  const response = await worlds.mesh.fetch(request);
  expect(response).toBeInstanceOf(UndiciResponse);
  expect((await response.formData()).get('a')).toBe('b');
});

test('a fetch of the platform’s classes gives the platform’s responses', async () => {
  const response = await createPlatformFetch(worlds.dispatcher)(`${base}/echo`, {
    method: 'POST',
    body: 'a',
  });
  expect(response).toBeInstanceOf(Response);
  expect(await response.text()).toBe('a');
});
