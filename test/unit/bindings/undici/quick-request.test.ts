import { Headers, Request } from 'undici';
import { describe, expect, test } from 'vitest';
import {
  type FetchInternals,
  type InnerRequest,
  loadFetchInternals,
} from '../../../../src/bindings/undici/fetch/internals.js';
import { quickRequest } from '../../../../src/bindings/undici/fetch/quick-request.js';

function internals(): FetchInternals {
  const found = loadFetchInternals();
  if (found === null) throw new Error('this undici has no internals');
  return found;
}

const quick = (input: unknown, init?: unknown) => quickRequest(input, init, internals());

const URL_TEXT = 'http://a.test/b?c';

describe('a plain call needs no Request', () => {
  test.each<[string, unknown, unknown]>([
    ['a URL alone', URL_TEXT, undefined],
    ['a URL object', new URL(URL_TEXT), null],
    ['headers', URL_TEXT, { headers: { 'X-A': 'b', 'content-type': 'c' } }],
    ['text', URL_TEXT, { method: 'post', body: 'ä' }],
    ['bytes', URL_TEXT, { method: 'PUT', body: new Uint8Array(3) }],
    ['a signal', URL_TEXT, { signal: new AbortController().signal }],
    ['no signal', URL_TEXT, { signal: null }],
    ['a redirect mode', URL_TEXT, { redirect: 'manual' }],
  ])('%s', (_name, input, init) => {
    // undici's own reading of the same.
    const own = internals().requestState(new Request(input as string, init as object));
    const shown = ({ method, url, redirect, headersList, body }: InnerRequest) => ({
      method,
      redirect,
      url: url.href,
      headers: headersList.entries,
      body: body && [body.source, body.length],
    });
    // It was read.
    expect(shown(quick(input, init)?.request as InnerRequest)).toEqual(shown(own));
  });
});

describe('undici reads what is not plain', () => {
  test.each<[string, unknown, unknown]>([
    ['a Request', new Request(URL_TEXT), undefined],
    ['a relative URL', '/a', undefined],
    ['another scheme', 'data:,a', undefined],
    ['credentials', 'http://u:p@a.test/', undefined],
    ['a number', 1, undefined],
    ['an init that is no object', URL_TEXT, 1],
    ['an init of a class', URL_TEXT, new Map()],
    ['a proxy', URL_TEXT, new Proxy({}, {})],
    ['inherited members', URL_TEXT, Object.create({ method: 'PUT' })],
    ['another option', URL_TEXT, { mode: 'no-cors' }],
    [
      'a getter',
      URL_TEXT,
      {
        get method() {
          return 'GET';
        },
      },
    ],
    ['an odd method', URL_TEXT, { method: 'PROPFIND' }],
    ['a method that is kept as it is', URL_TEXT, { method: 'patch' }],
    ['an unknown redirect mode', URL_TEXT, { redirect: 'odd' }],
    ['what is no signal', URL_TEXT, { signal: {} }],
    ['Headers', URL_TEXT, { headers: new Headers() }],
    ['a list of headers', URL_TEXT, { headers: [['a', 'b']] }],
    ['a value that is no text', URL_TEXT, { headers: { a: 1 } }],
    ['a value with spaces around', URL_TEXT, { headers: { a: ' b' } }],
    ['a line break', URL_TEXT, { headers: { a: 'b\nc' } }],
    ['text beyond bytes', URL_TEXT, { headers: { a: 'ā' } }],
    ['a bad name', URL_TEXT, { headers: { 'a b': 'c' } }],
    ['a number as a name', URL_TEXT, { headers: { 1: 'a' } }],
    ['a symbol as a name', URL_TEXT, { headers: { [Symbol('s')]: 'a' } }],
    ['a length of its own', URL_TEXT, { method: 'POST', body: 'a', headers: { 'Content-Length': '1' } }],
    ['a body of GET', URL_TEXT, { body: 'a' }],
    ['a stream', URL_TEXT, { method: 'POST', body: new ReadableStream(), duplex: 'half' }],
    ['a Blob', URL_TEXT, { method: 'POST', body: new Blob(['a']) }],
    ['shared memory', URL_TEXT, { method: 'POST', body: new Uint8Array(new SharedArrayBuffer(1)) }],
  ])('%s', (_name, input, init) => {
    expect(quick(input, init)).toBeUndefined();
  });
});

test('bytes are copied when they are given', () => {
  const body = new Uint8Array([1]);
  const { request } = quick(URL_TEXT, { method: 'POST', body }) ?? {};
  body[0] = 2;
  expect(request?.body?.source).toEqual(new Uint8Array([1]));
});
