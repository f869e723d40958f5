import { EventEmitter } from 'node:events';
import { Request, type RequestInit, type Response } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeError, readAll, sameAsUndici, settle } from './support/observe.js';
import { openWorlds, type World, type Worlds } from './support/world.js';

let worlds: Worlds;

/** Resolves when the server lost the connection of the request to `/never` or `/endless`. */
let lost: Promise<void>;

beforeAll(async () => {
  worlds = await openWorlds();
  const { origin } = worlds;
  let gone: () => void = () => {};
  const begin = () => {
    lost = new Promise((resolve) => {
      gone = resolve;
    });
  };
  begin();
  origin.on('/text', (_request, response) => response.end('hello'));
  origin.on('/never', (_request, response) => {
    begin();
    response.on('close', gone);
  });
  origin.on('/endless', (_request, response) => {
    begin();
    response.on('close', gone);
    response.write('x'.repeat(100));
  });
  origin.on('/redirected', (_request, response) => response.writeHead(302, { location: '/never' }).end());
});
afterAll(() => worlds.close());

const REASONS: [string, () => unknown][] = [
  ['nothing', () => undefined],
  ['an Error', () => new RangeError('mine')],
  ['an AbortError', () => new DOMException('mine', 'AbortError')],
  ['a TimeoutError', () => new DOMException('mine', 'TimeoutError')],
  ['text', () => 'mine'],
  ['empty text', () => ''],
  ['null', () => null],
  ['zero', () => 0],
  ['an object', () => ({ mine: true })],
];

/** What came out, and whether it is the very reason of the signal. */
async function outcome(promise: Promise<unknown>, signal: AbortSignal): Promise<unknown> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error: describeError(error), isReason: error === signal.reason };
  }
}

describe('a signal that is aborted for', () => {
  describe.each(REASONS)('%s', (_name, reason) => {
    test('before', async () => {
      const { wire } = await sameAsUndici(worlds, async ({ fetch, base }) => {
        const signal = AbortSignal.abort(reason());
        return outcome(fetch(`${base}/text`, { signal }), signal);
      });
      expect(wire).toEqual([]);
    });

    test('in the same tick', async () => {
      await sameAsUndici(worlds, ({ fetch, base }) => {
        const controller = new AbortController();
        const promise = fetch(`${base}/never?unordered`, { signal: controller.signal });
        controller.abort(reason());
        return outcome(promise, controller.signal);
      });
    });

    test('while the answer is awaited', async () => {
      await sameAsUndici(worlds, async ({ fetch, base, origin }) => {
        const controller = new AbortController();
        const promise = fetch(`${base}/never`, { signal: controller.signal });
        await origin.sawRequests(1);
        controller.abort(reason());
        const result = await outcome(promise, controller.signal);
        return [result, await lost];
      });
    });

    test('while a redirect is followed', async () => {
      await sameAsUndici(worlds, async ({ fetch, base, origin }) => {
        const controller = new AbortController();
        const promise = fetch(`${base}/redirected`, { signal: controller.signal });
        await origin.sawRequests(2);
        controller.abort(reason());
        return outcome(promise, controller.signal);
      });
    });

    const reads: Record<string, (response: Response) => Promise<unknown>> = {
      text: (response) => response.text(),
      json: (response) => response.json(),
      arrayBuffer: (response) => response.arrayBuffer(),
      bytes: (response) => response.bytes(),
      blob: (response) => response.blob(),
      formData: (response) => response.formData(),
      iteration: async (response) => {
        for await (const _chunk of response.body ?? []);
      },
      reader: async (response) => {
        const reader = response.body?.getReader();
        const results = [await settle(reader?.read() ?? Promise.resolve())];
        results.push(
          await settle(reader?.read() ?? Promise.resolve()),
          await settle(reader?.closed ?? Promise.resolve()),
        );
        return results;
      },
      clone: (response) => Promise.all([response.clone(), response].map((one) => settle(one.text()))),
    };
    test.each(Object.keys(reads))('while the body is read by %s', async (name) => {
      await sameAsUndici(worlds, async ({ fetch, base }) => {
        const controller = new AbortController();
        const { signal } = controller;
        const response = await fetch(`${base}/endless`, { signal });
        const read = reads[name]?.(response) ?? Promise.resolve();
        const before = response.bodyUsed;
        controller.abort(reason());
        const result = await outcome(read, signal);
        await lost;
        return [before, result, response.bodyUsed, await outcome(response.text(), signal)];
      });
    });

    test('before the body is read', async () => {
      await sameAsUndici(worlds, async ({ fetch, base }) => {
        const controller = new AbortController();
        const { signal } = controller;
        const response = await fetch(`${base}/endless`, { signal });
        controller.abort(reason());
        const used = response.bodyUsed;
        return [used, await outcome(response.text(), signal), response.bodyUsed, response.status];
      });
    });

    test('when all has come but nothing was read', async () => {
      await sameAsUndici(worlds, async ({ fetch, base }) => {
        const controller = new AbortController();
        const { signal } = controller;
        const response = await fetch(`${base}/text`, { signal });
        await new Promise((resolve) => setTimeout(resolve, 5));
        controller.abort(reason());
        return outcome(response.text(), signal);
      });
    });

    test('when all is over', async () => {
      await sameAsUndici(worlds, async ({ fetch, base }) => {
        const controller = new AbortController();
        const { signal } = controller;
        const response = await fetch(`${base}/text`, { signal });
        const text = await response.text();
        controller.abort(reason());
        return [text, response.bodyUsed, response.body?.locked, await outcome(response.text(), signal)];
      });
    });

    test('when there is no body', async () => {
      worlds.origin.on('/204', (_request, response) => response.writeHead(204).end());
      await sameAsUndici(worlds, async ({ fetch, base }) => {
        const controller = new AbortController();
        const response = await fetch(`${base}/204`, { signal: controller.signal });
        controller.abort(reason());
        return readAll(response);
      });
    });
  });
});

describe('the signal comes', () => {
  const never = ({ base }: World) => `${base}/never`;

  test('with a Request', async () => {
    await sameAsUndici(worlds, async (world) => {
      const controller = new AbortController();
      const request = new Request(never(world), { signal: controller.signal });
      const promise = world.fetch(request);
      await world.origin.sawRequests(1);
      controller.abort('why');
      return [await outcome(promise, controller.signal), request.signal.aborted, request.signal.reason];
    });
  });

  test('with a Request that was aborted before', async () => {
    await sameAsUndici(worlds, async (world) => {
      const controller = new AbortController();
      const request = new Request(never(world), { signal: controller.signal });
      controller.abort('why');
      return outcome(world.fetch(request), controller.signal);
    });
  });

  test('with the clone of a Request', async () => {
    await sameAsUndici(worlds, async (world) => {
      const controller = new AbortController();
      const request = new Request(never(world), { signal: controller.signal }).clone();
      const promise = world.fetch(request);
      await world.origin.sawRequests(1);
      controller.abort('why');
      return outcome(promise, controller.signal);
    });
  });

  test('in init and replaces that of the Request', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const request = new Request(`${base}/text`, { signal: AbortSignal.abort() });
      return [
        await outcome(fetch(request, { signal: new AbortController().signal }), AbortSignal.abort()),
        await outcome(fetch(request, { signal: null }), AbortSignal.abort()),
      ];
    });
  });

  test('for several requests', async () => {
    await sameAsUndici(worlds, async (world) => {
      const controller = new AbortController();
      const init: RequestInit = { signal: controller.signal };
      const promises = [1, 2, 3].map(() => world.fetch(never(world), init));
      await world.origin.sawRequests(3);
      controller.abort('why');
      return Promise.all(promises.map((one) => outcome(one, controller.signal)));
    });
  });

  test('from a time-out', async () => {
    await sameAsUndici(worlds, (world) => {
      const signal = AbortSignal.timeout(30);
      return outcome(world.fetch(never(world), { signal }), signal);
    });
  });

  test('from several others', async () => {
    await sameAsUndici(worlds, async (world) => {
      const controller = new AbortController();
      const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(60_000)]);
      const promise = world.fetch(never(world), { signal });
      await world.origin.sawRequests(1);
      controller.abort('why');
      return outcome(promise, signal);
    });
  });

  test('for a port where nobody is, or for what is no request at all', async () => {
    await sameAsUndici(worlds, async ({ fetch }) => {
      const signal = AbortSignal.abort('why');
      const inputs = ['http://127.0.0.1:2/', 'data:,a', 'about:blank', 'odd:x', 'http://127.0.0.1:25/'];
      return Promise.all(inputs.map((input) => outcome(fetch(input, { signal }), signal)));
    });
  });
});

describe('aborting a request with a body', () => {
  test('cancels its stream when it was aborted before', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      let cancelled: unknown = 'not';
      const body = new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array([42])),
        cancel: (reason) => {
          cancelled = reason;
        },
      });
      const signal = AbortSignal.abort(new RangeError('mine'));
      const promise = fetch(`${base}/text`, { method: 'POST', body: body as never, duplex: 'half', signal });
      const atOnce = cancelled === signal.reason;
      return [atOnce, await outcome(promise, signal)];
    });
  });

  /** Sends a stream that never ends, and aborts when the server saw it. */
  async function abortUpload(
    { fetch, base, origin }: World,
    cancel: (reason: unknown) => void,
  ): Promise<unknown> {
    const controller = new AbortController();
    const { signal } = controller;
    const body = new ReadableStream({
      async pull(sink) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        // undici never cancels the stream: let it end with the test.
        if (signal.aborted) sink.close();
        else sink.enqueue(new Uint8Array(10));
      },
      cancel,
    });
    const promise = fetch(`${base}/upload`, { method: 'POST', body: body as never, duplex: 'half', signal });
    await origin.sawRequests(1);
    const { locked } = body;
    controller.abort('enough');
    return [locked, await outcome(promise, signal)];
  }

  test('rejects while a stream is sent', async () => {
    await sameAsUndici(worlds, (world) => abortUpload(world, () => {}));
  });

  test('cancels the stream that is sent, which undici forgets', async () => {
    worlds.origin.forget();
    const cancelled = new Promise((resolve) => void abortUpload(worlds.mesh, resolve));
    expect(await cancelled).toBe('enough');
  });

  test('a stream that fails with an AbortError aborts the fetch', async () => {
    await sameAsUndici(worlds, async ({ fetch, base }) => {
      const body = new ReadableStream({
        pull() {
          throw new DOMException('mine', 'AbortError');
        },
      });
      return fetch(`${base}/text`, { method: 'POST', body: body as never, duplex: 'half' });
    });
  });
});

test('a signal that outlives its requests keeps no listener of them', async () => {
  // undici's fetch leaves one for each request until it is collected.
  const { fetch, base } = worlds.mesh;
  const { signal } = new AbortController();
  for (let i = 0; i < 20; i++) await (await fetch(`${base}/text`, { signal })).text();
  await fetch(`${base}/204`, { signal });
  await settle(fetch('http://127.0.0.1:25/', { signal }));
  expect(EventEmitter.getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('a thousand requests with one signal are no leak', async () => {
  const warnings: Error[] = [];
  const listener = (warning: Error) => void warnings.push(warning);
  process.on('warning', listener);
  const { fetch, base } = worlds.mesh;
  const controller = new AbortController();
  const pending = Array.from({ length: 1000 }, () =>
    settle(fetch(`${base}/never?unordered`, { signal: controller.signal })),
  );
  controller.abort('enough');
  expect(new Set(await Promise.all(pending)).size).toBe(1000);
  process.off('warning', listener);
  expect(warnings).toEqual([]);
});
