import { AsyncLocalStorage } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeError, readAll, sameAsUndici, settle } from './support/observe.js';
import { DEAD_PORT, openWorlds, type World, type Worlds } from './support/world.js';

let worlds: Worlds;

beforeAll(async () => {
  worlds = await openWorlds();
  const { origin } = worlds;
  origin.on('/text', (_request, response) => response.writeHead(200, { 'content-length': '5' }).end('hello'));
  origin.on('/204', (_request, response) => response.writeHead(204).end());
  origin.on('/to', (_request, response) => response.writeHead(302, { location: '/text' }).end());
  origin.on('/reset', (request) => request.socket.resetAndDestroy());
  origin.on('/close', (request) => request.socket.destroy());
  origin.onHead('/early', (_request, response) => response.writeHead(413).end('too much'));
});
afterAll(() => worlds.close());

describe('a failed connection', () => {
  test.each(['/reset', '/close'])('that the server ended: %s', async (path) => {
    for (const method of ['GET', 'POST']) {
      await sameAsUndici(worlds, ({ fetch, base }) => fetch(base + path, { method }));
    }
  });

  test('of a mesh host has the shape of any other', async () => {
    const url = `http://127.0.0.1:${DEAD_PORT}/`;
    const [plain, mesh] = await Promise.all(
      [worlds.plain, worlds.mesh].map(({ fetch }) => fetch(url).catch(describeError)),
    );
    expect(mesh).toEqual(plain);
    expect(mesh).toMatchObject({ message: 'fetch failed', cause: { code: 'ECONNREFUSED' } });
  });

  test('keeps the mesh’s account below the native error', async () => {
    const error: unknown = await worlds.mesh
      .fetch(`http://127.0.0.1:${DEAD_PORT}/`)
      .catch((one: unknown) => one);
    expect(error).toMatchObject({ cause: { cause: { code: 'INMESH_UPSTREAM_CONNECT' } } });
  });

  test('is told with a stack that knows who asked', async () => {
    const asker = async () => worlds.mesh.fetch('http://a b');
    const error = (await asker().catch((one: unknown) => one)) as Error;
    expect(error.stack).toContain('asker');
  });
});

describe('an answer before the request was sent whole', () => {
  test('is the answer', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      let left = 3;
      const body = new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          if (left-- > 0) controller.enqueue(new Uint8Array(10));
          else controller.close();
        },
      });
      const response = await fetch(`${base}/early?unordered`, {
        method: 'POST',
        body: body as never,
        duplex: 'half',
      });
      return [response.status, await response.text()];
    });
  });
});

describe('connections', () => {
  test('are used again once a body was read', async () => {
    const seen = new Set<number | undefined>();
    worlds.origin.on('/port', (request, response) => {
      seen.add(request.socket.remotePort);
      response.end('x');
    });
    for (let i = 0; i < 20; i++) await (await worlds.mesh.fetch(`${worlds.mesh.base}/port`)).text();
    expect(seen.size).toBe(1);
  });

  test('serve many requests at once', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const all = Array.from({ length: 100 }, async (_, at) =>
        (await fetch(`${base}/text?unordered${at}`)).text(),
      );
      return new Set(await Promise.all(all)).size;
    });
  });

  test('of responses that nobody holds are freed', async () => {
    const { gc } = globalThis as { gc?: () => void };
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    setFlagsFromString('--expose-gc');
    const collect = gc ?? (runInNewContext('gc') as () => void);
    let open = 0;
    worlds.origin.on('/held', (_request, response) => {
      open++;
      response.on('close', () => open--);
      response.write('x'.repeat(100));
    });
    await (async () => {
      for (let i = 0; i < 3; i++) await worlds.mesh.fetch(`${worlds.mesh.base}/held`);
    })();
    await expect
      .poll(
        () => {
          collect();
          return open;
        },
        { timeout: 10_000 },
      )
      .toBe(0);
  });

  test('are not freed while only the body is held', async () => {
    let finish: () => void = () => {};
    worlds.origin.on('/slow', (_request, response) => {
      response.write('one');
      finish = () => response.end('two');
    });
    const { body } = await worlds.mesh.fetch(`${worlds.mesh.base}/slow`);
    const text = new Response(body as never).text();
    finish();
    expect(await text).toBe('onetwo');
  });
});

type Entry = Record<string, unknown>;

/** The types know the members of every kind of entry, not those of a resource. */
const entriesOf = (entries: readonly object[]) => entries as Entry[];

/** What does not change from run to run. */
const STABLE = [
  'name',
  'entryType',
  'initiatorType',
  'responseStatus',
  'encodedBodySize',
  'decodedBodySize',
  'transferSize',
];

describe('the performance timeline', () => {
  /** The resources that a scenario left. */
  const resources =
    (scenario: (world: World) => Promise<unknown>) =>
    async (world: World): Promise<unknown> => {
      const records: Entry[] = [];
      const observer = new PerformanceObserver((list) => void records.push(...entriesOf(list.getEntries())));
      observer.observe({ type: 'resource' });
      const result = await settle(scenario(world));
      // What ends with the body is told in the turn after.
      await new Promise((resolve) => setImmediate(resolve));
      records.push(...entriesOf(observer.takeRecords()));
      observer.disconnect();
      const entries = records.map((entry) => {
        const { startTime, fetchStart, requestStart, responseStart, responseEnd, redirectStart } = entry;
        return {
          ...Object.fromEntries(STABLE.map((key) => [key, entry[key]])),
          ordered: Number(startTime) <= Number(fetchStart) && Number(requestStart) <= Number(responseEnd),
          started: [requestStart, responseStart, redirectStart].map((time) => Number(time) > 0),
        };
      });
      return [result, entries];
    };

  test.each<[string, (world: World) => Promise<unknown>]>([
    ['a body that is read', async ({ fetch, base }) => (await fetch(`${base}/text`)).text()],
    ['a body that is not read', async ({ fetch, base }) => (await fetch(`${base}/text`)).status],
    ['a body that is cancelled', async ({ fetch, base }) => (await fetch(`${base}/text`)).body?.cancel()],
    ['no body', async ({ fetch, base }) => (await fetch(`${base}/204`)).status],
    ['HEAD', async ({ fetch, base }) => (await fetch(`${base}/text`, { method: 'HEAD' })).status],
    ['a redirect', async ({ fetch, base }) => (await fetch(`${base}/to`)).text()],
    // A GET would be sent once more when its connection had carried something before.
    ['a failure', async ({ fetch, base }) => fetch(`${base}/close`, { method: 'POST' })],
    ['a blocked port', async ({ fetch }) => fetch('http://127.0.0.1:25/')],
    ['an abort before', async ({ fetch, base }) => fetch(`${base}/text`, { signal: AbortSignal.abort() })],
  ])('has %s', async (_name, scenario) => {
    await sameAsUndici(worlds, resources(scenario));
  });
});

test('diagnostics channels hear of every request', async () => {
  const names = [
    'request:create',
    'request:headers',
    'request:trailers',
    'request:bodySent',
    'request:error',
  ];
  await sameAsUndici(worlds, async ({ fetch, base }) => {
    const heard: string[] = [];
    const listeners = names.map((name) => {
      const listener = () => void heard.push(name);
      channel(`undici:${name}`).subscribe(listener);
      return () => channel(`undici:${name}`).unsubscribe(listener);
    });
    await (await fetch(`${base}/text`)).text();
    await (await fetch(`${base}/text`, { method: 'POST', body: 'a' })).text();
    for (const stop of listeners) stop();
    return heard;
  });
});

test('what follows a fetch runs in the context of its caller', async () => {
  const storage = new AsyncLocalStorage<string>();
  await sameAsUndici(worlds, ({ fetch, base }) =>
    storage.run('caller', async () => {
      const response = await fetch(`${base}/text`);
      const before = storage.getStore();
      return [before, await readAll(response), storage.getStore()];
    }),
  );
});
