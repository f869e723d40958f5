import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readAll, sameAsUndici } from './support/observe.js';
import { openWorlds, type Worlds } from './support/world.js';

let worlds: Worlds;

beforeAll(async () => {
  worlds = await openWorlds();
});
afterAll(() => worlds.close());

/** An answer written byte by byte, for what node:http would not send. */
function raw(response: ServerResponse, ...lines: string[]): void {
  response.socket?.end(Buffer.from(lines.join('\r\n'), 'latin1'));
}

const STATUSES = [
  200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 299, 300, 304, 305, 306, 309, 400, 401, 402, 403, 404,
  405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 422, 423, 424, 425, 426, 428, 429, 431,
  451, 499, 500, 501, 502, 503, 504, 505, 511, 599, 600, 799, 999,
];

describe('a response of status', () => {
  test.each(STATUSES)('%i', async (status) => {
    worlds.origin.on('/status', (_request, response) => {
      const hasBody = status !== 204 && status !== 304 && status !== 205;
      response.writeHead(status, 'Some Words', { 'x-a': 'b' });
      response.end(hasBody ? 'body' : undefined);
    });
    for (const method of ['GET', 'HEAD', 'POST']) {
      await sameAsUndici(worlds, async ({ fetch, base }) =>
        readAll(await fetch(`${base}/status`, { method })),
      );
    }
  });

  test('407 is an error, as there is nobody to ask', async () => {
    worlds.origin.on('/407', (_request, response) => response.writeHead(407).end('ask'));
    const { outcome } = await sameAsUndici(worlds, ({ fetch, base }) => fetch(`${base}/407`));
    expect(outcome).toMatchObject({ error: { message: 'fetch failed' } });
  });

  test('421 is asked once more', async () => {
    worlds.origin.on('/421', (_request, response) => response.writeHead(421).end('elsewhere'));
    const { wire } = await sameAsUndici(
      worlds,
      async ({ fetch, base }) => (await fetch(`${base}/421`)).status,
    );
    expect(wire).toHaveLength(2);
  });

  test.each([
    ['no reason phrase', 'HTTP/1.1 200 '],
    ['no space after the status', 'HTTP/1.1 200'],
    ['a phrase beyond ASCII', 'HTTP/1.1 200 \xc3\xa4\xff'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK'],
    ['an unknown version', 'HTTP/1.2 200 OK'],
    ['a status of two digits', 'HTTP/1.1 20 OK'],
    ['no HTTP at all', 'SSH-2.0-OpenSSH'],
  ])('line with %s', async (_name, line) => {
    worlds.origin.on('/line', (_request, response) =>
      raw(response, line, 'content-length: 2', 'connection: close', '', 'ok'),
    );
    await sameAsUndici(worlds, async ({ fetch, base }) => readAll(await fetch(`${base}/line`)));
  });
});

describe('response headers with', () => {
  test.each<[string, string[]]>([
    ['one name twice', ['x-a: 1', 'x-a: 2']],
    ['names in capitals', ['X-UPPER: 1', 'x-Upper: 2', 'Content-Type: text/PLAIN']],
    ['several cookies', ['set-cookie: a=1', 'Set-Cookie: b=2; Path=/, c=3', 'set-cookie: a=1']],
    ['one cookie', ['set-cookie: only=1']],
    ['an empty value', ['x-empty:', 'x-also: ']],
    ['empty values of one name', ['x-e:', 'x-e: 1', 'x-e:']],
    ['spaces around values', ['x-space:   a b  ', 'x-tab:\ta\t']],
    ['bytes beyond ASCII', ['x-latin: \xe4\xf6', 'x-utf8: \xc3\xa4']],
    ['names like those of objects', ['__proto__: a', 'constructor: b', 'toString: c', 'hasownproperty: d']],
    ['numbers as names', ['2: two', '1: one', '10: ten']],
    ['every token character', ["!#$%&'*+-.^_`|~09az: v"]],
    ['a folded line', ['x-fold: a', ' b']],
    ['many names', Array.from({ length: 80 }, (_, at) => `x-${(at * 37) % 80}: ${at}`)],
    ['a long value', [`x-long: ${'v'.repeat(12_000)}`]],
    ['too long a value', [`x-long: ${'v'.repeat(40_000)}`]],
    ['a space in a name', ['x a: b']],
    ['no colon', ['nonsense']],
    ['a NUL in a value', ['x-nul: a\0b']],
    ['content types twice', ['content-type: text/html', 'content-type: text/plain;charset=utf-8']],
  ])('%s', async (_name, lines) => {
    worlds.origin.on('/headers', (_request, response) =>
      raw(response, 'HTTP/1.1 200 OK', ...lines, 'content-length: 2', 'connection: close', '', 'ok'),
    );
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const response = await fetch(`${base}/headers`);
      const { headers } = response;
      return {
        all: await readAll(response),
        keys: [...headers.keys()],
        values: [...headers.values()],
        entries: [...headers.entries()],
        get: ['x-a', 'X-A', 'set-cookie', 'x-empty', 'none'].map((name) => [
          headers.get(name),
          headers.has(name),
        ]),
      };
    });
  });
});

describe('the framing of a response is', () => {
  const head = 'HTTP/1.1 200 OK';
  test.each<[string, string[]]>([
    ['a length of nothing', [head, 'content-length: 0', '', '']],
    ['a length', [head, 'content-length: 5', '', 'hello']],
    ['a length that is too short', [head, 'content-length: 3', '', 'hello']],
    ['a length that is too long', [head, 'content-length: 50', '', 'hello']],
    ['two equal lengths', [head, 'content-length: 5', 'content-length: 5', '', 'hello']],
    ['two different lengths', [head, 'content-length: 5', 'content-length: 6', '', 'hello']],
    ['no number', [head, 'content-length: five', '', 'hello']],
    ['a negative length', [head, 'content-length: -5', '', 'hello']],
    ['the end of the connection', [head, '', 'hello']],
    ['chunks', [head, 'transfer-encoding: chunked', '', '2', 'he', '3', 'llo', '0', '', '']],
    ['no chunks', [head, 'transfer-encoding: chunked', '', '0', '', '']],
    ['chunks with trailers', [head, 'transfer-encoding: chunked', '', '5', 'hello', '0', 'x-t: 1', '', '']],
    ['chunks with extensions', [head, 'transfer-encoding: chunked', '', '5;a=b', 'hello', '0', '', '']],
    ['a bad chunk size', [head, 'transfer-encoding: chunked', '', 'zz', 'hello', '0', '', '']],
    ['chunks that break off', [head, 'transfer-encoding: chunked', '', '5', 'hel']],
    [
      'chunks and a length',
      [head, 'transfer-encoding: chunked', 'content-length: 5', '', '5', 'hello', '0', '', ''],
    ],
    ['an unknown transfer coding', [head, 'transfer-encoding: odd', '', 'hello']],
    ['nothing at all', []],
    ['half a head', [head, 'x-a: b']],
  ])('%s', async (_name, lines) => {
    worlds.origin.on('/framing', (_request, response) => raw(response, ...lines));
    await sameAsUndici(worlds, async ({ fetch, base }) => readAll(await fetch(`${base}/framing`)));
  });

  test.each(['GET', 'HEAD'])('told by %s alone', async (method) => {
    worlds.origin.on('/told', (_request, response) =>
      response.writeHead(200, { 'content-length': '5' }).end('hello'),
    );
    await sameAsUndici(worlds, async ({ fetch, base }) => readAll(await fetch(`${base}/told`, { method })));
  });
});

describe('informational responses before the answer', () => {
  test.each<[string, string[]]>([
    ['100', ['HTTP/1.1 100 Continue', '']],
    ['102', ['HTTP/1.1 102 Processing', '']],
    ['103 with headers', ['HTTP/1.1 103 Early Hints', 'link: </a>; rel=preload', '']],
    ['several', ['HTTP/1.1 102 Processing', '', 'HTTP/1.1 103 Early Hints', 'link: </a>', '']],
    ['101 unasked', ['HTTP/1.1 101 Switching Protocols', 'upgrade: odd', 'connection: upgrade', '']],
  ])('%s', async (_name, lines) => {
    worlds.origin.on('/info', (_request, response) =>
      raw(response, ...lines, 'HTTP/1.1 200 OK', 'content-length: 2', 'connection: close', '', 'ok'),
    );
    await sameAsUndici(worlds, async ({ fetch, base }) => readAll(await fetch(`${base}/info`)));
  });
});
