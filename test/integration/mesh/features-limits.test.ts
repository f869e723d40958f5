import { EventEmitter, once } from 'node:events';
import type { RequestListener, ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { Mesh } from '../../../src/index.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { answerOf, bodiesOf, istio, recordExchanges, World } from './features-world.js';
import { eventually } from './support.js';

let world: World;

afterEach(() => world.close());

const policy = (fields: string) =>
  istio('DestinationRule', 'echo', `host: echo\ntrafficPolicy:\n${fields.replace(/^/gm, '  ')}`);

/** A handler that answers when the test says so. */
function gate(): { readonly handler: RequestListener; readonly waiting: ServerResponse[]; open(): void } {
  const waiting: ServerResponse[] = [];
  let isOpen = false;
  return {
    waiting,
    handler: (_request, response) => void (isOpen ? response.end('ok') : waiting.push(response)),
    open() {
      isOpen = true;
      for (const response of waiting.splice(0)) response.end('ok');
    },
  };
}

describe('circuit breakers', () => {
  test.each([
    ['http2MaxRequests', 'connectionPool: { http: { http2MaxRequests: 3 } }'],
    [
      'maxConnections and http1MaxPendingRequests',
      'connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 2 } }',
    ],
  ])('%s: what does not fit gets 503 with flag UO', async (_name, fields) => {
    world = await World.start(policy(fields));
    const { handler, open, waiting } = gate();
    await world.serve({ service: 'echo' }, handler);
    const { observer, exchanges } = recordExchanges();
    const client = await world.join({ observers: [observer] });
    const fitting = [1, 2, 3].map(() => answerOf(client.fetch('http://echo/')));
    await eventually('the service is busy', () => waiting.length > 0);
    const response = await client.fetch('http://echo/');
    expect([response.status, response.headers.get('x-envoy-overloaded')]).toEqual([503, 'true']);
    expect(response.headers.get('x-inmesh-reason')).toBe('INMESH_OVERFLOW');
    expect(await response.text()).toBe(
      'upstream connect error or disconnect/reset before headers. reset reason: overflow',
    );
    expect(exchanges).toEqual([{ status: 503, flags: 'UO', attempts: 0 }]);
    expect(client.status().clusters[0]?.breakers.default).toMatchObject({
      activeRequests: 3,
      requestOverflows: 1,
    });
    open();
    expect(await Promise.all(fitting)).toEqual([
      [200, 'ok'],
      [200, 'ok'],
      [200, 'ok'],
    ]);
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'ok']);
  });

  test('maxRetries: what would be one retry too many is not sent', async () => {
    world = await World.start(
      policy('connectionPool: { http: { maxRetries: 1 } }') +
        istio(
          'VirtualService',
          'echo',
          `hosts: [echo]
http: [{ retries: { attempts: 1, retryOn: 5xx, backoff: 1ms }, route: [{ destination: { host: echo } }] }]`,
        ),
    );
    const retried: ServerResponse[] = [];
    await world.serve({ service: 'echo' }, (request, response) => {
      if (request.headers['x-envoy-attempt-count'] === '1') response.writeHead(503).end('no');
      else retried.push(response);
    });
    const { observer, exchanges } = recordExchanges();
    const client = await world.join({ observers: [observer] });
    const first = answerOf(client.fetch('http://echo/'));
    await eventually('one retry runs', () => retried.length === 1);
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([503, 'no']);
    expect(exchanges).toEqual([{ status: 503, flags: 'UO', attempts: 1 }]);
    retried[0]?.end('late');
    expect(await first).toEqual([200, 'late']);
  });

  test('maxConnections limits the sockets that the server sees; the others wait their turn', async () => {
    world = await World.start(policy('connectionPool: { tcp: { maxConnections: 2 } }'));
    const { handler, open, waiting } = gate();
    const { server } = await world.serve({ service: 'echo' }, handler);
    let sockets = 0;
    server.prependListener('connection', () => sockets++);
    const client = await world.join();
    const all = Array.from({ length: 12 }, () => answerOf(client.fetch('http://echo/')));
    await eventually('two run', () => waiting.length === 2);
    open();
    expect(new Set((await Promise.all(all)).map(([status]) => status))).toEqual(new Set([200]));
    expect(sockets).toBe(2);
  });

  test('a request that waits for a connection goes on when the one it waits for breaks', async () => {
    world = await World.start(policy('connectionPool: { tcp: { maxConnections: 1 } }'));
    const { handler, open, waiting } = gate();
    await world.serve({ service: 'echo' }, handler);
    const client = await world.join();
    const first = client.fetch('http://echo/', { method: 'POST' }).catch((error: unknown) => error);
    await eventually('the connection is taken', () => waiting.length === 1);
    const second = answerOf(client.fetch('http://echo/'));
    waiting.splice(0)[0]?.destroy();
    expect(await first).toBeInstanceOf(TypeError);
    open();
    expect(await second).toEqual([200, 'ok']);
  });

  test.each([1, 2, 3])('maxRequestsPerConnection: a connection that carried %d is replaced', async (most) => {
    world = await World.start(policy(`connectionPool: { http: { maxRequestsPerConnection: ${most} } }`));
    const { server } = await world.serve({ service: 'echo' }, (request, response) =>
      response.end(String(request.socket.remotePort)),
    );
    let sockets = 0;
    server.prependListener('connection', () => sockets++);
    const client = await world.join();
    const bodies = await bodiesOf(client, 'http://echo/', 6);
    expect([...bodies.values()]).toEqual(Array.from({ length: 6 / most }, () => most));
    expect(sockets).toBe(6 / most);
  });

  test('idleTimeout closes a connection that nobody uses', async () => {
    world = await World.start(policy('connectionPool: { http: { idleTimeout: 100ms } }'));
    const closed: Promise<unknown>[] = [];
    const { server } = await world.serve({ service: 'echo' }, (request, response) => {
      closed.push(once(request.socket, 'close'));
      response.end('ok');
    });
    // What the server announces must not prolong it.
    server.keepAliveTimeout = 600_000;
    const client = await world.join();
    await answerOf(client.fetch('http://echo/'));
    await closed[0];
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'ok']);
    expect(closed).toHaveLength(2);
  });
});

describe('load balancing', () => {
  async function three(simple: string): Promise<{ client: Mesh; slow: Set<string>; hung: EventEmitter }> {
    world = await World.start(policy(`loadBalancer: { simple: ${simple} }`));
    const slow = new Set<string>();
    const hung = new EventEmitter().setMaxListeners(0);
    for (const name of ['a', 'b', 'c']) {
      await world.serve({ service: 'echo', version: name }, (_request, response) => {
        if (slow.has(name)) hung.emit('hung');
        else response.end(name);
      });
    }
    return { client: await world.join({ random: seededRandom(5) }), slow, hung };
  }

  test('ROUND_ROBIN: each instance gets its turn', async () => {
    const { client } = await three('ROUND_ROBIN');
    expect([...(await bodiesOf(client, 'http://echo/', 60)).values()]).toEqual([20, 20, 20]);
  });

  test('RANDOM: each instance gets about a third', async () => {
    const { client } = await three('RANDOM');
    const bodies = await bodiesOf(client, 'http://echo/', 300);
    expect(bodies.size).toBe(3);
    // Five standard deviations.
    for (const count of bodies.values())
      expect(Math.abs(count - 100)).toBeLessThan(5 * Math.sqrt(300 * (2 / 9)));
  });

  test('LEAST_REQUEST: each instance gets about a third; one that hangs gets hardly any', async () => {
    const { client, slow, hung } = await three('LEAST_REQUEST');
    const bodies = await bodiesOf(client, 'http://echo/', 300);
    expect(bodies.size).toBe(3);
    for (const count of bodies.values())
      expect(Math.abs(count - 100)).toBeLessThan(5 * Math.sqrt(300 * (2 / 9)));
    slow.add('a');
    const leaving = new AbortController();
    const all: Promise<unknown>[] = [];
    for (let i = 0; i < 60; i++) {
      const arrives = once(hung, 'hung');
      all.push(answerOf(client.fetch('http://echo/', { signal: leaving.signal })).catch(() => 'hung'));
      await Promise.race([all.at(-1), arrives]);
    }
    leaving.abort();
    const ends = await Promise.all(all);
    expect(ends.filter((end) => end === 'hung').length).toBeLessThan(15);
  });
});
