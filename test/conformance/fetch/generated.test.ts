import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { RequestInit } from 'undici';
import { afterAll, beforeAll, test } from 'vitest';
import { readAll, sameAsUndici, settle } from './support/observe.js';
import { openWorlds, type Worlds } from './support/world.js';

type Reader = ReadableStreamDefaultReader<unknown>;

let worlds: Worlds;

beforeAll(async () => {
  worlds = await openWorlds();
});
afterAll(() => worlds.close());

/** Each run is several requests over real sockets. */
const RUNS = { numRuns: 60 };

const token = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}$/);
/** Names that mean nothing to HTTP itself. */
const headerName = token.map((name) => `x${name}`);
const headerValue = fc.stringMatching(/^[\t -~\x80-\xff]{0,30}$/);
const headerList = fc.array(fc.tuple(headerName, headerValue), { maxLength: 12 });
const method = fc.constantFrom(
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'post',
  'PROPFIND',
);
const bytes = fc.uint8Array({ maxLength: 400 });

test('requests with any headers, method and body', async () => {
  worlds.origin.on('/any', (_request, response, body) => {
    response.end(createHash('md5').update(body).digest('hex'));
  });
  const body = fc.oneof(
    fc.constant(undefined),
    fc.string({ unit: 'binary', maxLength: 200 }),
    bytes,
    fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 5 }).map((pairs) => new URLSearchParams(pairs)),
    fc.array(bytes, { maxLength: 5 }).map((chunks) => new Blob(chunks)),
  );
  const property = fc.asyncProperty(method, headerList, body, async (verb, headers, content) => {
    const init = { method: verb, headers, body: content } as RequestInit;
    await sameAsUndici(worlds, async ({ fetch, base }) => readAll(await fetch(`${base}/any`, init)));
  });
  await fc.assert(property, RUNS);
});

test('header names and values of any text', async () => {
  const property = fc.asyncProperty(
    fc.array(fc.tuple(fc.string({ maxLength: 4 }), fc.string({ maxLength: 6 })), { maxLength: 3 }),
    async (headers) => {
      await sameAsUndici(worlds, async ({ fetch, base }) => (await fetch(`${base}/any`, { headers })).status);
    },
  );
  await fc.assert(property, RUNS);
});

test('URLs of any path, query and fragment', async () => {
  const part = fc.string({ unit: 'grapheme', maxLength: 20 });
  const property = fc.asyncProperty(part, part, part, async (path, query, fragment) => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const response = await fetch(`${base}/${path}?${query}#${fragment}`);
      await response.text();
      return response.url;
    });
  });
  await fc.assert(property, RUNS);
});

test('responses of any status, headers and chunks', async () => {
  const property = fc.asyncProperty(
    fc.integer({ min: 200, max: 599 }).filter((status) => status !== 407 && status !== 421),
    fc.string({ unit: fc.stringMatching(/^[ -~\x80-\xff]$/), maxLength: 10 }),
    headerList,
    fc.array(bytes, { maxLength: 5 }),
    fc.boolean(),
    method,
    async (status, phrase, headers, chunks, isCoded, verb) => {
      worlds.origin.on('/made', (_request, response) => {
        const coding: [string, string][] = isCoded ? [['content-encoding', 'gzip']] : [];
        const whole = isCoded ? [gzipSync(Buffer.concat(chunks))] : chunks;
        response.writeHead(status, phrase, [...headers, ...coding] as never);
        for (const chunk of whole) if (status !== 204 && status !== 304) response.write(chunk);
        response.end();
      });
      await sameAsUndici(worlds, async ({ fetch, base }) =>
        readAll(await fetch(`${base}/made`, { method: verb, redirect: 'manual' })),
      );
    },
  );
  await fc.assert(property, RUNS);
});

test('chains of redirects', async () => {
  const hop = fc.record({
    status: fc.constantFrom(301, 302, 303, 307, 308),
    elsewhere: fc.boolean(),
    fragment: fc.constantFrom('', '#a', '#b'),
  });
  const property = fc.asyncProperty(
    fc.array(hop, { maxLength: 6 }),
    method,
    fc.option(fc.string({ maxLength: 20 }), { nil: undefined }),
    fc.constantFrom('cors', 'no-cors', 'same-origin'),
    async (hops, verb, body, mode) => {
      worlds.origin.on('/hop', (request, response) => {
        const at = Number(new URL(request.url ?? '', 'http://x').searchParams.get('at'));
        const next = hops[at];
        if (next === undefined) {
          response.end('there');
          return;
        }
        const { base, other } = worlds.plain;
        const location = `${next.elsewhere ? other : base}/hop?at=${at + 1}${next.fragment}`;
        response.writeHead(next.status, { location }).end();
      });
      const init = { method: verb, body, mode, headers: { authorization: 'a', 'x-b': 'c' } } as RequestInit;
      await sameAsUndici(worlds, async ({ fetch, base }) =>
        readAll(await fetch(`${base}/hop?at=0#start`, init)),
      );
    },
  );
  await fc.assert(property, RUNS);
});

test('aborts at any point of a body', async () => {
  const chunks = 8;
  worlds.origin.on('/drip', (_request, response) => {
    const drip = (left: number): void => {
      if (left === 0) response.end();
      else response.write('chunk', () => drip(left - 1));
    };
    drip(chunks);
  });
  /** Reads until so many bytes came. */
  const readSome = async (reader: Reader, bytes: number): Promise<number> => {
    let read = 0;
    while (read < bytes) {
      const next = await reader.read();
      if (next.done) break;
      read += (next.value as Uint8Array).byteLength;
    }
    return read;
  };
  const property = fc.asyncProperty(fc.nat(chunks * 5 - 1), fc.boolean(), async (after, isAbort) => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const controller = new AbortController();
      const response = await fetch(`${base}/drip`, { signal: controller.signal });
      // There is a body.
      const reader = response.body?.getReader() as Reader;
      const read = await readSome(reader, after);
      if (isAbort) controller.abort('enough');
      else await reader.cancel('enough');
      const rest = await settle(reader.read());
      reader.releaseLock();
      // How much comes at a time is the network's choice.
      return [read >= after, rest, response.bodyUsed, response.body?.locked];
    });
  });
  await fc.assert(property, RUNS);
});
