import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import { type BodyInit, FormData, Headers, Request, type RequestInit, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeError, sameAsUndici, settle } from './support/observe.js';
import { openWorlds, type World, type Worlds } from './support/world.js';

let worlds: Worlds;

beforeAll(async () => {
  worlds = await openWorlds();
  worlds.origin.on('/echo', (request, response, body) => {
    response.writeHead(200, { 'content-type': request.headers['content-type'] ?? 'none' }).end(body);
  });
});
afterAll(() => worlds.close());

/** Sends and gives what came back; the wire is compared by the harness. */
const send =
  (init: () => RequestInit, path = '/echo') =>
  async ({ fetch, base }: World): Promise<unknown> => {
    const response = await fetch(base + path, init());
    return [response.status, response.url, await response.text()];
  };

/** What a caller's mistake is: values that no type allows. */
const wrong = (value: unknown): never => value as never;

const stream = (...chunks: unknown[]) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });

function form(): FormData {
  const data = new FormData();
  data.append('a', '1');
  data.append('a', 'two\nlines\r\n"quoted"');
  data.append('ä"\r\n', 'name');
  data.append('file', new File(['in it'], 'n"a\nme.txt', { type: 'text/x' }));
  data.append('blob', new Blob(['blob']));
  return data;
}

const bodies: Record<string, () => unknown> = {
  none: () => undefined,
  null: () => null,
  'empty text': () => '',
  text: () => 'text ä 🙂',
  'a lone surrogate': () => 'a\ud800b',
  'a String object': () => new String('object'),
  number: () => 42,
  boolean: () => false,
  'plain object': () => ({ a: 1 }),
  array: () => [1, 2],
  date: () => ({ toString: () => 'own text' }),
  function: () => () => 1,
  ArrayBuffer: () => new Uint8Array([1, 2, 255]).buffer,
  'empty ArrayBuffer': () => new ArrayBuffer(0),
  Uint8Array: () => new Uint8Array([1, 2, 255]),
  'part of a buffer': () => new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 3),
  Uint16Array: () => new Uint16Array([1, 513]),
  Float64Array: () => new Float64Array([1.5]),
  DataView: () => new DataView(new Uint8Array([9, 8, 7]).buffer, 1),
  Buffer: () => Buffer.from('buffer'),
  'shared memory': () => new Uint8Array(new SharedArrayBuffer(2)),
  Blob: () => new Blob(['blob ', 'parts'], { type: 'Text/Blob' }),
  'Blob without a type': () => new Blob(['blob']),
  'empty Blob': () => new Blob([]),
  File: () => new File(['file'], 'name.txt', { type: 'text/file' }),
  URLSearchParams: () =>
    new URLSearchParams([
      ['a', '1 ä'],
      ['a', '2&3'],
    ]),
  'empty URLSearchParams': () => new URLSearchParams(),
  FormData: form,
  'empty FormData': () => new FormData(),
  'async generator': () =>
    (async function* () {
      yield Buffer.from('one');
      await Promise.resolve();
      yield Buffer.from('two');
    })(),
  'async generator of text': () =>
    (async function* () {
      yield 'one';
    })(),
  'stream of bytes': () => stream(new Uint8Array([97]), new Uint8Array([98, 99])),
  'empty stream': () => stream(),
  'stream of text': () => stream('a', 'b'),
  'stream of numbers': () => stream(1),
  'stream of empty chunks': () => stream(new Uint8Array(0), new Uint8Array([97]), new Uint8Array(0)),
  'byte stream': () => new Blob(['byte stream']).stream(),
  Readable: () => Readable.from([Buffer.from('node '), Buffer.from('stream')]),
  'failing stream': () =>
    new ReadableStream({
      pull() {
        throw new RangeError('no more');
      },
    }),
  'stream that fails later': () => {
    let count = 0;
    return new ReadableStream({
      pull(controller) {
        if (count++ < 2) controller.enqueue(new Uint8Array([97]));
        else controller.error(new RangeError('no more'));
      },
    });
  },
  'stream that fails with no error': () =>
    new ReadableStream({ pull: (controller) => controller.error('text') }),
  'locked stream': () => {
    const locked = stream();
    locked.getReader();
    return locked;
  },
  'large text': () => 'x'.repeat(300_000),
  'large stream': () => stream(...Array.from({ length: 50 }, () => new Uint8Array(10_000).fill(98))),
};

describe('a body of', () => {
  test.each(Object.keys(bodies))('%s', async (name) => {
    const body = () => wrong(bodies[name]?.()) as BodyInit;
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'GET']) {
      await sameAsUndici(
        worlds,
        send(() => ({ method, body: body() })),
      );
      await sameAsUndici(
        worlds,
        send(() => ({ method, body: body(), duplex: 'half' })),
      );
    }
    await sameAsUndici(
      worlds,
      send(() => ({ method: 'POST', body: body(), duplex: 'half', headers: { 'Content-Type': 'own/type' } })),
    );
    await sameAsUndici(
      worlds,
      send(() => ({ method: 'POST', body: body(), duplex: 'half', keepalive: true })),
    );
  });

  test.each(Object.keys(bodies))('a Request with %s', async (name) => {
    const make = (base: string) =>
      new Request(`${base}/echo`, { method: 'POST', body: wrong(bodies[name]?.()), duplex: 'half' });
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const request = make(base);
      const response = await fetch(request);
      return [request.bodyUsed, response.status, await response.text()];
    });
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const request = make(base);
      const again = request.clone();
      return [await (await fetch(request)).text(), await (await fetch(again)).text(), again.bodyUsed];
    });
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const request = make(base);
      await (await fetch(request)).text();
      return settle(fetch(request));
    });
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const response = await fetch(make(base), { method: 'PUT', body: 'instead', headers: { 'x-a': 'b' } });
      return response.text();
    });
  });

  test.each([
    ['longer', '20'],
    ['equal', '4'],
    ['no number', 'four'],
    ['negative', '-4'],
  ])('a length of its own that is %s', async (_name, length) => {
    for (const body of ['text', () => stream(Buffer.from('text')), () => new Blob(['text']), undefined]) {
      const give = () => (typeof body === 'function' ? body() : body) as BodyInit;
      await sameAsUndici(
        worlds,
        send(() => ({ method: 'POST', body: give(), duplex: 'half', headers: { 'Content-Length': length } })),
      );
    }
  });
});

describe('request headers given as', () => {
  test.each<[string, () => unknown]>([
    ['nothing', () => undefined],
    ['null', () => null],
    ['a record', () => ({ 'X-B': '1', 'x-a': '2', 'X-b': '3' })],
    [
      'a list',
      () => [
        ['x-b', '1'],
        ['X-A', '2'],
        ['x-b', '3'],
      ],
    ],
    [
      'a Map',
      () =>
        new Map([
          ['X-A', '1'],
          ['x-b', '2'],
        ]),
    ],
    [
      'Headers',
      () =>
        new Headers([
          ['X-A', '1'],
          ['x-a', '2'],
          ['b', '3'],
        ]),
    ],
    [
      'the platform’s Headers',
      () =>
        new globalThis.Headers([
          ['X-A', '1'],
          ['set-cookie', 'a'],
          ['set-cookie', 'b'],
        ]),
    ],
    [
      'a generator',
      () =>
        (function* () {
          yield ['a', 'b'];
          yield ['A', 'c'];
        })(),
    ],
    ['numbers as names', () => ({ 2: 'b', 1: 'a', 'x-a': 'c' })],
    ['values that are no text', () => ({ a: 1, b: null, c: undefined, d: true, e: [1, 2] })],
    [
      'cookies',
      () => [
        ['cookie', 'a=1'],
        ['Cookie', 'b=2'],
      ],
    ],
    [
      'an instance of a class',
      () =>
        new (class {
          a = '1';
          get b() {
            return '2';
          }
        })(),
    ],
    [
      'names of object members',
      () =>
        Object.fromEntries([
          ['__proto__', 'a'],
          ['constructor', 'b'],
          ['toString', 'c'],
        ]),
    ],
    ['a proxy', () => new Proxy({ a: '1' }, {})],
    ['spaces around values', () => ({ a: ' \t b \n', c: 'd e' })],
    ['an empty value', () => ({ a: '', b: ' ' })],
    ['bytes', () => ({ a: 'ä\xff' })],
    ['text beyond bytes', () => ({ a: 'ā' })],
    ['a name beyond bytes', () => ({ ā: 'a' })],
    ['a line break inside', () => ({ a: 'b\r\nc: d' })],
    ['a NUL inside', () => ({ a: 'b\0c' })],
    ['a control character', () => ({ a: 'b\u0001\u007fc' })],
    ['an empty name', () => ({ '': 'a' })],
    ['a name with a space', () => ({ 'a b': 'c' })],
    ['a name with a colon', () => ({ 'a:b': 'c' })],
    ['a pseudo header', () => ({ ':path': '/x' })],
    ['a symbol as a value', () => ({ a: Symbol('s') })],
    ['a symbol as a name', () => ({ [Symbol('s')]: 'a' })],
    ['pairs of one', () => [['a']]],
    ['pairs of three', () => [['a', 'b', 'c']]],
    ['text', () => 'a: b'],
    ['a number', () => 1],
    ['a list of text', () => ['ab', 'cd']],
    ['pairs of no list', () => [1, 2]],
  ])('%s', async (_name, headers) => {
    await sameAsUndici(
      worlds,
      send(() => ({ headers: wrong(headers()) })),
    );
    await sameAsUndici(
      worlds,
      send(() => ({ method: 'POST', body: 'a', headers: wrong(headers()) })),
    );
  });

  test.each([
    ['accept', 'text/html'],
    ['Accept-Language', 'de'],
    ['Accept-Encoding', 'br'],
    ['User-Agent', 'mine/1'],
    ['sec-fetch-mode', 'navigate'],
    ['Sec-Fetch-Site', 'none'],
    ['Host', 'elsewhere.test'],
    ['Connection', 'close'],
    ['connection', 'keep-alive'],
    ['Connection', 'odd'],
    ['Connection', 'close, x-a'],
    ['Keep-Alive', 'timeout=5'],
    ['Transfer-Encoding', 'chunked'],
    ['Upgrade', 'websocket'],
    ['Expect', '100-continue'],
    ['TE', 'trailers'],
    ['Trailer', 'x'],
    ['Content-Type', 'text/x'],
    ['Content-Encoding', 'gzip'],
    ['Origin', 'http://o.test'],
    ['Referer', 'http://r.test'],
    ['Cookie', 'a=b'],
    ['Authorization', 'Bearer x'],
    ['Proxy-Authorization', 'Basic x'],
    ['Date', 'today'],
    ['Via', '1.1 x'],
    ['Range', 'bytes=0-1'],
    ['If-None-Match', '"a"'],
    ['If-Modified-Since', 'DATE'],
    ['If-Match', '*'],
    ['If-Range', '"a"'],
    ['If-Unmodified-Since', 'DATE'],
    ['Cache-Control', 'max-age=5'],
    ['Pragma', 'x'],
    ['Set-Cookie', 'a=b'],
    ['X-HTTP-Method-Override', 'TRACE'],
  ])('%s: %s of the caller’s own', async (name, value) => {
    for (const cache of ['default', 'no-cache', 'reload'] as const) {
      await sameAsUndici(
        worlds,
        send(() => ({ cache, headers: { 'X-First': '1', [name]: value, 'x-last': '2' } })),
      );
    }
    await sameAsUndici(
      worlds,
      send(() => ({ method: 'POST', body: 'a', headers: { [name]: value } })),
    );
  });

  test('Range and Accept-Encoding together', async () => {
    await sameAsUndici(
      worlds,
      send(() => ({ headers: { 'Accept-Encoding': 'gzip', range: 'bytes=0-1', z: '1' } })),
    );
  });
});

describe('the method', () => {
  test.each<unknown>([
    'get',
    'Get',
    'head',
    'post',
    'put',
    'delete',
    'options',
    'patch',
    'PATCH',
    'Patch',
    'PROPFIND',
    'QUERY',
    'foo',
    'FOO',
    'M-SEARCH',
    'CONNECT',
    'connect',
    'TRACE',
    'track',
    '',
    ' ',
    'GE T',
    'GÄT',
    'a\nb',
    null,
    undefined,
    1,
    {},
    Symbol('s'),
  ])('%o', async (method) => {
    await sameAsUndici(
      worlds,
      send(() => ({ method: wrong(method) })),
    );
  });
});

describe('the option', () => {
  const values: Record<string, unknown[]> = {
    mode: ['cors', 'no-cors', 'same-origin', 'navigate', 'websocket', 'odd', '', null],
    credentials: ['omit', 'same-origin', 'include', 'odd', null],
    cache: ['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached', 'odd'],
    redirect: ['follow', 'error', 'manual', 'odd', null],
    referrer: ['', 'about:client', 'http://r.test/p?q#f', 'not a url', 'relative', 1],
    referrerPolicy: ['', 'no-referrer', 'origin', 'unsafe-url', 'same-origin', 'odd'],
    integrity: ['', 'sha256-odd', 'nonsense', null, 1],
    keepalive: [true, false, 1, 'yes'],
    signal: [null, undefined, {}, 'odd', new EventTarget()],
    window: [null, undefined, 1, {}],
    duplex: ['half', 'full', null],
    priority: ['high', 'low', 'auto', 'odd'],
    odd: [1],
  };
  const cases = Object.entries(values).flatMap(([name, list]) => list.map((value) => [name, value] as const));
  test.each(cases)('%s: %o', async (name, value) => {
    await sameAsUndici(
      worlds,
      send(() => ({ [name]: value })),
    );
    await sameAsUndici(
      worlds,
      send(() => ({ [name]: value, method: 'POST', body: 'a' })),
    );
    await sameAsUndici(
      worlds,
      async ({ fetch, base }) =>
        (await fetch(new Request(`${base}/echo`, { [name]: value } as RequestInit))).status,
    );
  });

  const policies = [
    '',
    'no-referrer',
    'no-referrer-when-downgrade',
    'same-origin',
    'origin',
    'strict-origin',
    'origin-when-cross-origin',
    'strict-origin-when-cross-origin',
    'unsafe-url',
  ] as const;
  test.each(policies)('referrerPolicy %o with a referrer', async (referrerPolicy) => {
    await sameAsUndici(
      worlds,
      async ({ fetch, base }) =>
        (await fetch(`${base}/echo`, { referrer: `${base}/page?q#f`, referrerPolicy })).status,
    );
    await sameAsUndici(
      worlds,
      send(() => ({ referrer: 'https://r.test/page?q#f', referrerPolicy })),
    );
  });

  test.each(['force-cache', 'only-if-cached'] as const)('cache %s of the same origin', async (cache) => {
    await sameAsUndici(
      worlds,
      send(() => ({ cache, mode: 'same-origin' })),
    );
  });

  test.each<unknown>([
    null,
    undefined,
    {},
    [],
    1,
    'text',
    true,
    Symbol('s'),
    () => 1,
    Object.create({ method: 'PUT' }),
    new Map(),
  ])('init is %o', async (init) => {
    await sameAsUndici(
      worlds,
      send(() => wrong(init)),
    );
  });

  test('init is a Request', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const init = new Request('http://elsewhere.test', {
        method: 'PUT',
        headers: { 'X-A': 'b' },
        body: 'text',
      });
      return settle(fetch(`${base}/echo`, init as RequestInit));
    });
  });

  test('its members are read in one order', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const read: string[] = [];
      const init = {
        get method() {
          read.push('method');
          throw new RangeError('no method');
        },
      };
      return [await settle(fetch(`${base}/echo`, wrong(init))), read];
    });
  });
});

describe('the integrity of a body', () => {
  const good = 'sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=';
  test.each([good, 'sha256-AAAA', `sha256-AAAA ${good}`, `sha384-AAAA ${good}`, 'md5-x', 'sha512-'])(
    '%s',
    async (integrity) => {
      await sameAsUndici(
        worlds,
        send(() => ({ method: 'POST', body: 'hello', integrity })),
      );
    },
  );
});

describe('the input', () => {
  test.each<[string, (base: string) => unknown]>([
    ['a URL object', (base) => new URL(`${base}/echo?a=b#c`)],
    ['a String object', (base) => new String(`${base}/echo`)],
    ['something with a text', (base) => ({ toString: () => `${base}/echo` })],
    ['a Request', (base) => new Request(`${base}/echo?x#frag`)],
    ['spaces around', (base) => `  ${base}/echo \n`],
    ['capitals', (base) => `${base.replace('http', 'HTTP')}/echo`],
    ['a path that is no path', (base) => `${base}/a/../b/./c//d`],
    ['characters to encode', (base) => `${base}/ä b"<>\`{}|^?q=ä b'"<>#ä`],
    ['escapes', (base) => `${base}/%2f%zz%`],
    ['a question mark alone', (base) => `${base}/echo?`],
    ['a question mark and a fragment', (base) => `${base}/echo?#a`],
    ['a fragment', (base) => `${base}/echo#a?b`],
    ['no path', (base) => base],
    ['backslashes', (base) => base.replace('//', '\\\\')],
    ['tabs and line breaks', (base) => base.replace('http', 'ht\ttp\n')],
    ['credentials', (base) => base.replace('//', '//user:pass@')],
    ['a user', (base) => base.replace('//', '//user@')],
    ['empty credentials', (base) => base.replace('//', '//:@')],
    ['a long URL', (base) => `${base}/${'x'.repeat(10_000)}`],
    ['nothing', () => undefined],
    ['null', () => null],
    ['empty text', () => ''],
    ['a relative URL', () => '/echo'],
    ['a number', () => 1],
    ['a symbol', () => Symbol('s')],
    ['an object', () => ({})],
    ['no host', () => 'http://'],
    ['a bad host', () => 'http://a b/'],
    ['a bad port', () => 'http://127.0.0.1:99999/'],
    ['a blocked port', () => 'http://127.0.0.1:25/'],
    ['another blocked port', () => 'https://127.0.0.1:6667/'],
    ['a port where nobody is', () => 'http://127.0.0.1:2/'],
    ['a name that does not exist', () => 'http://nobody.invalid/'],
    ['data', () => 'data:text/plain;charset=x,hello%20there'],
    ['data in base64', () => 'data:text/x;base64,aGVsbG8='],
    ['bad data', () => 'data:text/x;base64,%%%'],
    ['data without a comma', () => 'data:nothing'],
    ['about:blank', () => 'about:blank'],
    ['a file', () => 'file:///etc/hostname'],
    ['an unknown scheme', () => 'odd://a/b'],
    ['ftp', () => 'ftp://127.0.0.1/'],
    ['ws', (base) => base.replace('http', 'ws')],
    ['mailto', () => 'mailto:a@b'],
    ['javascript', () => 'javascript:1'],
  ])('%s', async (_name, input) => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const response = await fetch(wrong(input(base)));
      return [response.status, response.url, response.type, [...response.headers], await response.text()];
    });
    await sameAsUndici(
      worlds,
      async ({ fetch, base }) => (await fetch(wrong(input(base)), { method: 'POST', body: 'x' })).url,
    );
  });

  test('a blob', async () => {
    const url = URL.createObjectURL(new Blob(['blobbed'], { type: 'text/blob' }));
    for (const init of [{}, { method: 'HEAD' }, { method: 'POST' }, { headers: { range: 'bytes=1-3' } }]) {
      await sameAsUndici(worlds, async ({ fetch }) => {
        const response = await fetch(url, init);
        return [response.status, response.url, [...response.headers], await response.text()];
      });
    }
    URL.revokeObjectURL(url);
    await sameAsUndici(worlds, ({ fetch }) => fetch(url));
  });

  test('a Request stays as it is', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const request = new Request(`${base}/echo`, { method: 'POST', body: 'a', headers: { 'X-A': 'b' } });
      const before = [...request.headers];
      await fetch(request);
      return [
        before,
        [...request.headers],
        request.method,
        request.url,
        request.bodyUsed,
        inspect(request.body),
      ];
    });
  });
});

test('fetch is a function like undici’s', async () => {
  await sameAsUndici(worlds, async ({ fetch, base }) => {
    const promise = fetch(`${base}/echo`);
    await promise;
    return [promise.constructor === Promise, (await fetch.call(null, `${base}/echo`)).status];
  });
  const { fetch } = worlds.mesh;
  const shape = [fetch.name, fetch.length, Object.prototype.toString.call(fetch)];
  expect(shape).toEqual([undiciFetch.name, undiciFetch.length, Object.prototype.toString.call(undiciFetch)]);
});

test('every failure is a rejection', async () => {
  const { fetch, base } = worlds.mesh;
  const results = [fetch(wrong(Symbol('s'))), fetch('http://a b'), fetch(base, wrong(1))];
  expect(await Promise.all(results.map((one) => one.catch(describeError)))).toHaveLength(3);
});
