import { FormData, Request, type RequestInit } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeResponse, readAll, sameAsUndici } from './support/observe.js';
import { openWorlds, type Worlds } from './support/world.js';

let worlds: Worlds;

beforeAll(async () => {
  worlds = await openWorlds();
  const { origin } = worlds;
  origin.on('/end', (request, response, body) => {
    response.writeHead(200, { 'x-method': request.method ?? '' }).end(`end ${body}`);
  });
  // ?status&to: answers with that status and place.
  origin.on('/to', (request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://x');
    const location = searchParams.get('to');
    response.writeHead(Number(searchParams.get('status')), location === null ? {} : { location });
    response.end('moved');
  });
  // ?left: counts down, one redirect at a time.
  origin.on('/count', (request, response) => {
    const left = Number(new URL(request.url ?? '/', 'http://x').searchParams.get('left'));
    if (left === 0) response.end('there');
    else response.writeHead(302, { location: `/count?left=${left - 1}` }).end();
  });
  origin.on('/loop', (_request, response) => response.writeHead(302, { location: '/loop' }).end());
});
afterAll(() => worlds.close());

const STATUSES = [300, 301, 302, 303, 304, 305, 306, 307, 308];
const to = (status: number, place: string) => `/to?status=${status}&to=${encodeURIComponent(place)}`;

describe('a redirect of status', () => {
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND'];
  const cases = STATUSES.flatMap((status) => methods.map((method) => [status, method] as const));
  test.each(cases)('%i after %s', async (status, method) => {
    for (const redirect of ['follow', 'manual', 'error'] as const) {
      await sameAsUndici(worlds, async ({ fetch, base }) =>
        readAll(await fetch(base + to(status, '/end'), { method, redirect })),
      );
    }
  });

  const bodies: Record<string, () => RequestInit> = {
    text: () => ({ body: 'text' }),
    'empty text': () => ({ body: '' }),
    bytes: () => ({ body: new Uint8Array([97, 98]) }),
    Blob: () => ({ body: new Blob(['blob'], { type: 'x/y' }) }),
    URLSearchParams: () => ({ body: new URLSearchParams({ a: 'b' }) }),
    stream: () => ({ body: new Blob(['stream']).stream() as never, duplex: 'half' }),
    'a type of its own': () => ({
      body: 'text',
      headers: {
        'Content-Type': 'x/y',
        'Content-Language': 'de',
        'content-location': '/x',
        'Content-Encoding': 'odd',
        'content-length': '4',
        'x-other': 'stays',
      },
    }),
  };
  const withBodies = [301, 302, 303, 307, 308].flatMap((status) =>
    ['POST', 'PUT', 'DELETE'].flatMap((method) =>
      Object.keys(bodies).map((body) => [status, method, body] as const),
    ),
  );
  test.each(withBodies)('%i after %s with %s', async (status, method, body) => {
    const init = () => ({ method, ...bodies[body]?.() });
    await sameAsUndici(worlds, async ({ fetch, base }) =>
      readAll(await fetch(base + to(status, '/end'), init())),
    );
    await sameAsUndici(worlds, async ({ fetch, base }) =>
      readAll(await fetch(new Request(base + to(status, '/end'), init()))),
    );
  });

  test.each([307, 308])('%i sends a form again', async (status) => {
    worlds.origin.on('/form', (request, response, body) => {
      response.writeHead(200, { 'content-type': request.headers['content-type'] ?? '' }).end(body);
    });
    const form = new FormData();
    form.append('a', 'b');
    form.append('f', new File(['in it'], 'n'));
    // undici's own sends the type of the first boundary with the second, which no server can read.
    const { fetch, base } = worlds.mesh;
    const response = await fetch(base + to(status, '/form'), { method: 'POST', body: form });
    const received = [...(await response.formData())];
    expect(received.map(([name]) => name)).toEqual(['a', 'f']);
  });
});

describe('a redirect to', () => {
  test.each<[string, (places: { base: string; other: string }) => string | undefined]>([
    ['a path', () => '/end'],
    ['a relative path', () => 'end'],
    ['a query', () => '?status=200'],
    ['a URL', ({ base }) => `${base}/end`],
    ['a URL without a scheme', ({ base }) => `${base.slice(5)}/end`],
    ['another origin', ({ other }) => `${other}/end`],
    ['nothing', () => undefined],
    ['an empty place', () => ''],
    ['a fragment', () => '/end#new'],
    ['spaces', () => '/end?a b'],
    ['text beyond ASCII', () => Buffer.from('/end?ä').toString('latin1')],
    ['bytes that are no UTF-8', () => '/end?\xe4'],
    ['escapes', () => '/end?%C3%A4%zz'],
    ['no URL', () => 'http://a b'],
    ['a bad port number', () => 'http://127.0.0.1:99999/'],
    ['a blocked port', () => 'http://127.0.0.1:25/'],
    ['credentials', ({ base }) => `${base.replace('//', '//u:p@')}/end`],
    ['credentials elsewhere', ({ other }) => `${other.replace('//', '//u:p@')}/end`],
    ['data', () => 'data:text/plain,hello'],
    ['a blob', () => 'blob:http://a/b'],
    ['about:blank', () => 'about:blank'],
    ['a file', () => 'file:///etc/hostname'],
    ['an unknown scheme', () => 'odd:x'],
    ['javascript', () => 'javascript:1'],
    ['a port where nobody is', () => 'http://127.0.0.1:2/'],
    ['a name that does not exist', () => 'http://nobody.invalid/'],
    ['backslashes', () => '\\end'],
  ])('%s', async (_name, place) => {
    const location = (world: { base: string; other: string }) => place(world);
    for (const redirect of ['follow', 'manual', 'error'] as const) {
      for (const mode of ['cors', 'no-cors', 'same-origin'] as const) {
        worlds.origin.on('/here', (_request, response) => {
          const value = location(worlds.plain);
          response.writeHead(302, value === undefined ? {} : { location: value }).end('moved');
        });
        await sameAsUndici(worlds, async ({ fetch, base }) =>
          readAll(await fetch(`${base}/here#old`, { redirect, mode })),
        );
      }
    }
  });

  test('two places at once', async () => {
    worlds.origin.on('/two', (_request, response) => {
      response.writeHead(302, [
        ['location', '/end'],
        ['location', '/other'],
      ]);
      response.end();
    });
    await sameAsUndici(worlds, async ({ fetch, base }) => readAll(await fetch(`${base}/two`)));
  });
});

describe('what the caller sends to another origin', () => {
  const headers = {
    Authorization: 'Bearer x',
    Cookie: 'a=b',
    'Proxy-Authorization': 'Basic x',
    Host: 'own.test',
    'X-Api-Key': 'stays',
    Origin: 'http://o.test',
    Referer: 'http://r.test',
  };
  test.each([
    ['the same origin', ['base', 'base']],
    ['another origin', ['base', 'other']],
    ['another and back', ['base', 'other', 'base']],
    ['another twice', ['base', 'other', 'other']],
  ] as const)('%s', async (_name, hops) => {
    for (const method of ['GET', 'POST']) {
      await sameAsUndici(worlds, async (world) => {
        const last = `${world[hops.at(-1) ?? 'base']}/end`;
        const path = hops.slice(1, -1).reduceRight((next, hop) => `${world[hop]}${to(307, next)}`, last);
        const response = await world.fetch(world.base + to(307, path), {
          method,
          headers,
          ...(method === 'POST' && { body: 'secret' }),
        });
        return readAll(response);
      });
    }
  });

  test.each(['omit', 'same-origin', 'include'] as const)('with credentials %s', async (credentials) => {
    await sameAsUndici(worlds, async ({ fetch, base, other }) =>
      readAll(await fetch(base + to(302, `${other}/end`), { credentials, headers })),
    );
  });
});

describe('a chain of redirects', () => {
  test.each([0, 1, 2, 19, 20, 21])('of %i', async (left) => {
    await sameAsUndici(worlds, async ({ fetch, base }) => readAll(await fetch(`${base}/count?left=${left}`)));
  });

  test('without an end', async () => {
    const { wire } = await sameAsUndici(worlds, ({ fetch, base }) => fetch(`${base}/loop`));
    expect(wire).toHaveLength(21);
  });

  test('keeps the fragment of the first until one names its own', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const one = await fetch(`${base}${to(302, '/end')}#mine`);
      const two = await fetch(`${base}${to(302, '/end#theirs')}#mine`);
      return [one.url, two.url, (await one.text()) + (await two.text())];
    });
  });

  test('of mixed statuses', async () => {
    const chain = [308, 302, 307].reduceRight((next, status) => to(status, next), '/end');
    await sameAsUndici(worlds, async ({ fetch, base }) =>
      readAll(await fetch(base + chain, { method: 'POST', body: 'a' })),
    );
  });

  test('leaves the Request as it was', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const request = new Request(base + to(302, '/end'), {
        method: 'POST',
        body: 'a',
        headers: { 'X-A': 'b' },
      });
      const response = await fetch(request);
      await response.text();
      return [request.method, request.url.slice(base.length), [...request.headers], response.redirected];
    });
  });

  test('gives a response that can be copied', async () => {
    await sameAsUndici(worlds, async ({ fetch, base, other }) => {
      const response = await fetch(base + to(302, `${other}/end`));
      const copy = response.clone();
      return [describeResponse(copy), await copy.text(), await response.text()];
    });
  });
});

test('redirects with large bodies free their connections', async () => {
  worlds.origin.on('/large', (_request, response) =>
    response.writeHead(302, { location: '/end' }).end(Buffer.alloc(5_000_000)),
  );
  const { fetch, base } = worlds.mesh;
  for (let round = 0; round < 20; round++) expect((await fetch(`${base}/large`)).status).toBe(200);
  await expect.poll(() => worlds.origin.connections).toBeLessThan(10);
});
