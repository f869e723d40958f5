import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Dispatcher } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  ConnectionPool,
  type ConnectionPoolOptions,
  type PooledExchange,
} from '../../../../src/bindings/undici/connection-pool.js';
import { ConnectionCount } from '../../../../src/cluster/connection-permits.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

let server: Server;
let waiting: ServerResponse[];
let sockets: number;
let pools: ConnectionPool[];
/** Settles `arrived` waits. */
let notify: () => void;

beforeEach(async () => {
  [waiting, sockets, pools, notify] = [[], 0, [], () => {}];
  server = createServer((request, response) => {
    if (request.url === '/now') response.end('ok');
    else {
      waiting.push(response);
      notify();
    }
  });
  server.on('connection', () => sockets++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  for (const pool of pools) pool.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function pool(options: Partial<ConnectionPoolOptions> = {}): ConnectionPool {
  const { port } = server.address() as AddressInfo;
  const made = new ConnectionPool({
    origin: `http://127.0.0.1:${port}`,
    client: { pipelining: 1 },
    maxConnections: Number.POSITIVE_INFINITY,
    ...options,
  });
  pools.push(made);
  return made;
}

/** Until the server holds so many requests. */
function arrived(count: number): Promise<void> {
  return new Promise((resolve) => {
    notify = () => {
      if (waiting.length >= count) resolve();
    };
    notify();
  });
}

interface Sent extends PooledExchange {
  /** Status, or the failure's code. */
  readonly result: Promise<number | string>;
  isOver: boolean;
}

function exchange(path = '/wait'): Sent {
  let settle = (_result: number | string): void => {};
  const result = new Promise<number | string>((resolve) => {
    settle = resolve;
  });
  let status = 0;
  const handler: Dispatcher.DispatchHandler = {
    onConnect() {},
    onHeaders(code) {
      status = code;
      return true;
    },
    onData: () => true,
    onComplete() {
      sent.isOver = true;
      sent.lease?.release();
      settle(status);
    },
    onError(error) {
      sent.isOver = true;
      sent.lease?.release();
      settle('code' in error ? String(error.code) : error.message);
    },
  };
  const sent: Sent = {
    options: () => ({ method: 'GET', path }),
    handler,
    isOver: false,
    lease: undefined,
    failed(error) {
      sent.isOver = true;
      settle('code' in error ? String(error.code) : error.message);
    },
    result,
  };
  return sent;
}

function sendAll(to: ConnectionPool, count: number, path?: string): Sent[] {
  const sent = Array.from({ length: count }, () => exchange(path));
  for (const one of sent) to.send(one);
  return sent;
}

const endAll = () => {
  for (const response of waiting.splice(0)) response.end('ok');
};

const resultsOf = (sent: readonly Sent[]) => Promise.all(sent.map(({ result }) => result));

describe('the connections to one endpoint', () => {
  test('a connection that is free is used again', async () => {
    const to = pool();
    for (let i = 0; i < 5; i++) {
      const [one] = sendAll(to, 1, '/now');
      expect(await one?.result).toBe(200);
    }
    expect(sockets).toBe(1);
  });

  test('no connection carries two exchanges at once', async () => {
    const to = pool();
    const sent = sendAll(to, 5);
    await arrived(5);
    expect(sockets).toBe(5);
    endAll();
    expect(await resultsOf(sent)).toEqual([200, 200, 200, 200, 200]);
  });

  test('at most maxConnections are open; the others wait and are served in order', async () => {
    const to = pool({ maxConnections: 2 });
    const sent = sendAll(to, 6);
    const order: number[] = [];
    sent.forEach((one, index) => void one.result.then(() => order.push(index)));
    for (let round = 0; round < 3; round++) {
      await arrived(2);
      endAll();
    }
    expect(await resultsOf(sent)).toEqual([200, 200, 200, 200, 200, 200]);
    expect([sockets, order.slice(0, 2).sort(), order.slice(4).sort()]).toEqual([2, [0, 1], [4, 5]]);
  });

  test('a burst opens a few connections at first, more as they stand, and serves all', async () => {
    const to = pool();
    const sent = sendAll(to, 60);
    await arrived(60);
    endAll();
    expect(new Set(await resultsOf(sent))).toEqual(new Set([200]));
  });

  test('one that is given up while it waits is skipped', async () => {
    const to = pool({ maxConnections: 1 });
    const [first, second, third] = sendAll(to, 3) as [Sent, Sent, Sent];
    await arrived(1);
    second.isOver = true;
    endAll();
    expect(await first.result).toBe(200);
    await arrived(1);
    endAll();
    expect(await third.result).toBe(200);
    expect(second.lease).toBeUndefined();
  });

  test('an endpoint that refuses fails what runs and all that waits', async () => {
    const to = pool({ origin: 'http://127.0.0.1:1', maxConnections: 2 });
    expect(new Set(await resultsOf(sendAll(to, 10)))).toEqual(new Set(['ECONNREFUSED']));
    // And it is asked anew afterwards.
    expect(await resultsOf(sendAll(to, 1))).toEqual(['ECONNREFUSED']);
  });

  test('when the connection in use breaks, the one that waits gets a new one', async () => {
    const to = pool({ maxConnections: 1 });
    const [first, second] = sendAll(to, 2) as [Sent, Sent];
    await arrived(1);
    waiting.splice(0)[0]?.destroy();
    expect(await first.result).toBe('UND_ERR_SOCKET');
    await arrived(1);
    endAll();
    expect(await second.result).toBe(200);
    expect(sockets).toBe(2);
  });

  test('a server that closes after each answer costs a connection each, and no request', async () => {
    server.prependListener('request', (_request, response: ServerResponse) =>
      response.setHeader('connection', 'close'),
    );
    const to = pool({ maxConnections: 2 });
    expect(new Set(await resultsOf(sendAll(to, 8, '/now')))).toEqual(new Set([200]));
    expect(sockets).toBe(8);
  });

  test('close lets what runs and what waits finish, then settles; closing again is the same', async () => {
    const to = pool({ maxConnections: 1 });
    const sent = sendAll(to, 2);
    await arrived(1);
    let isClosed = false;
    const closing = to.close().then(() => {
      isClosed = true;
    });
    endAll();
    await arrived(1);
    expect(isClosed).toBe(false);
    endAll();
    expect(await resultsOf(sent)).toEqual([200, 200]);
    await Promise.all([closing, to.close()]);
  });

  test('close closes free connections at once', async () => {
    const to = pool();
    await resultsOf(sendAll(to, 3, '/now'));
    await to.close();
    await expect
      .poll(() => new Promise((resolve) => server.getConnections((_error, count) => resolve(count))))
      .toBe(0);
  });

  test('destroy cuts what runs', async () => {
    const to = pool();
    const sent = sendAll(to, 2);
    await arrived(2);
    to.destroy();
    expect(await resultsOf(sent)).toEqual(['UND_ERR_DESTROYED', 'UND_ERR_DESTROYED']);
  });

  test('the limit of the whole cluster keeps other endpoints from their second connection, not from their first', async () => {
    const permits = new ConnectionCount(2);
    const [one, other] = [pool({ permits }), pool({ permits })];
    const sent = Array.from({ length: 4 }, () => exchange());
    const [a, b, c, d] = sent as [Sent, Sent, Sent, Sent];
    one.send(a);
    one.send(b);
    other.send(c);
    other.send(d);
    await arrived(3);
    expect([sockets, permits.active]).toEqual([3, 3]);
    // The fourth waits for the connection of its own endpoint.
    for (const response of waiting.splice(0)) response.end();
    await arrived(1);
    waiting[0]?.end();
    expect(await Promise.all(sent.map(({ result }) => result))).toEqual([200, 200, 200, 200]);
    expect(sockets).toBe(3);
    await Promise.all([one.close(), other.close()]);
    expect(permits.active).toBe(0);
  });

  test('a connection that lived long enough finishes what it carries and is replaced', async () => {
    const clock = createFakeClock();
    const made = pool({ life: { durationMs: 1000, clock } });
    const first = exchange();
    made.send(first);
    await arrived(1);
    await clock.advance(1000);
    waiting.splice(0)[0]?.end();
    expect(await first.result).toBe(200);
    for (const path of ['/now', '/now']) {
      const next = exchange(path);
      made.send(next);
      expect(await next.result).toBe(200);
    }
    expect(sockets).toBe(2);
    // While it is idle it just closes.
    await clock.advance(1000);
    const last = exchange('/now');
    made.send(last);
    expect(await last.result).toBe(200);
    expect(sockets).toBe(3);
    await made.close();
    expect(clock.pending).toBe(0);
  });
});
