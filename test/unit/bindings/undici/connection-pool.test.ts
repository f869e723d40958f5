import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UndiciAttempt } from '../../../../src/bindings/undici/attempt.js';
import {
  ConnectionPool,
  type ConnectionPoolOptions,
} from '../../../../src/bindings/undici/connection-pool.js';
import type { PooledExchange } from '../../../../src/bindings/undici/pooled-exchange.js';
import { fromUndiciBody } from '../../../../src/bindings/undici/request-body.js';
import { ConnectionCount } from '../../../../src/cluster/connection-permits.js';
import { Abort } from '../../../../src/runtime/abort.js';
import { type Body, bytesBody, EMPTY_BODY, readBody } from '../../../../src/service/body.js';
import { createExchange } from '../../../../src/service/context.js';
import { HeaderMap } from '../../../../src/service/headers.js';
import type { Response } from '../../../../src/service/service.js';
import { TransportError } from '../../../../src/service/transport-error.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

let server: Server;
let waiting: ServerResponse[];
let sockets: number;
let pools: { destroy(): void }[];
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

/** Opens real connections; a call of `done` lets one in that was `held` back. */
function dialing(port: number, held?: (() => void)[]): ConnectionPoolOptions['dial'] {
  return (callback) => {
    const socket = connect(port, '127.0.0.1');
    const tell = () => callback(null, socket);
    const fail = (error: Error) => callback(error);
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.off('error', fail);
      if (held === undefined) tell();
      else held.push(tell);
    });
    return () => socket.destroy();
  };
}

const portOfServer = () => (server.address() as AddressInfo).port;

function pool<Exchange extends PooledExchange = Sent>(
  options: Partial<ConnectionPoolOptions> = {},
): ConnectionPool<Exchange> {
  const made = new ConnectionPool<Exchange>({
    origin: `http://127.0.0.1:${portOfServer()}`,
    client: { pipelining: 1 },
    dial: dialing(portOfServer()),
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
    refusal: () => undefined,
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

function sendAll(to: ConnectionPool<Sent>, count: number, path?: string): Sent[] {
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
    const to = pool({ dial: dialing(1), maxConnections: 2 });
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

describe('connections that are being made', () => {
  test('are no more than requests wait, and serve whichever waits', async () => {
    const held: (() => void)[] = [];
    const to = pool({ dial: dialing(portOfServer(), held) });
    const [first, second, third] = sendAll(to, 3, '/now') as [Sent, Sent, Sent];
    await expect.poll(() => held.length).toBe(3);
    // One connection serves them all while the others have not come.
    held[0]?.();
    expect(await Promise.all([first.result, second.result, third.result])).toEqual([200, 200, 200]);
    // The others are there for the next ones.
    held[1]?.();
    held[2]?.();
    const sent = sendAll(to, 3);
    await arrived(3);
    endAll();
    expect(await resultsOf(sent)).toEqual([200, 200, 200]);
    expect([sockets, held.length]).toEqual([3, 3]);
  });

  test('are eight before any stands, and one more for each that does', async () => {
    const held: (() => void)[] = [];
    const to = pool({ dial: dialing(portOfServer(), held) });
    const sent = sendAll(to, 40);
    await expect.poll(() => held.length).toBe(8);
    held[0]?.();
    await expect.poll(() => held.length).toBe(10);
    for (let done = 1; done < 40; done++) {
      await expect.poll(() => held.length).toBeGreaterThan(done);
      held[done]?.();
    }
    await arrived(40);
    endAll();
    expect(new Set(await resultsOf(sent))).toEqual(new Set([200]));
    expect([sockets, held.length]).toEqual([40, 40]);
  });

  test('are one for eight that stand, where the event loop has no time left', async () => {
    const held: (() => void)[] = [];
    let isBusy = true;
    const to = pool({ dial: dialing(portOfServer(), held), isBusy: () => isBusy });
    const sent = sendAll(to, 40);
    // So many are under way or stand when so many do.
    const most = [8, 8, 8, 8, 8, 8, 8, 8, 9, 11, 12];
    for (const [stand, count] of most.entries()) {
      await expect.poll(() => held.length).toBe(count);
      held[stand]?.();
      await arrived(stand + 1);
    }
    await expect.poll(() => held.length).toBe(13);
    isBusy = false;
    held[11]?.();
    await expect.poll(() => held.length).toBe(12 + 8 + 12);
    for (const tell of held.slice(12)) tell();
    await arrived(32);
    endAll();
    await arrived(8);
    endAll();
    expect(new Set(await resultsOf(sent))).toEqual(new Set([200]));
  });

  test.each([
    [20, 20],
    [500, 32],
    [1, 8],
  ])('are as many at first as the pool had that is replaced: %d', async (expected, count) => {
    const held: (() => void)[] = [];
    const to = pool({ dial: dialing(portOfServer(), held), isBusy: () => true, expected });
    sendAll(to, 50);
    await expect.poll(() => held.length).toBe(count);
    held[0]?.();
    await arrived(1);
    expect(held).toHaveLength(count);
  });

  test('one that fails while another stands costs one of those that wait', async () => {
    let isUp = true;
    const dial = dialing(portOfServer());
    const to = pool({
      dial: (callback) => {
        if (isUp) return dial(callback);
        queueMicrotask(() => callback(new Error('refused')));
        return () => {};
      },
    });
    const [first] = sendAll(to, 1) as [Sent];
    await arrived(1);
    isUp = false;
    const [second] = sendAll(to, 1) as [Sent];
    expect(await second.result).toBe('refused');
    endAll();
    expect(await first.result).toBe(200);
    expect(await sendAll(to, 1, '/now')[0]?.result).toBe(200);
  });

  test('that nothing is sent on are watched: what is closed, idle or talks out of turn is not used', async () => {
    const accepted: Socket[] = [];
    const other = createTcpServer((socket) => {
      accepted.push(socket.on('error', () => {}));
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const held: (() => void)[] = [];
    const permits = new ConnectionCount(100);
    const { port } = other.address() as AddressInfo;
    const to = pool({ dial: dialing(port, held), permits, client: { keepAliveTimeout: 60_000 } });
    const sent = sendAll(to, 4, '/');
    await expect.poll(() => [held.length, accepted.length]).toEqual([4, 4]);
    held[0]?.();
    expect(new Set(await resultsOf(sent))).toEqual(new Set([200]));
    for (const tell of held.slice(1)) tell();
    expect(permits.active).toBe(4);
    const carried = accepted.findIndex(({ bytesRead }) => bytesRead > 0);
    const [closes, resets, talks] = accepted.filter((_, index) => index !== carried);
    closes?.end();
    resets?.resetAndDestroy();
    talks?.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    await expect.poll(() => permits.active).toBe(1);
    expect(await sendAll(to, 1, '/')[0]?.result).toBe(200);
    to.destroy();
    for (const socket of accepted) socket.destroy();
    other.close();
  });
});

describe('a pool that is replaced', () => {
  test('finishes what runs; what waits moves, and nothing new is sent or opened', async () => {
    const held: (() => void)[] = [];
    const permits = new ConnectionCount(100);
    const old = pool({ dial: dialing(portOfServer(), held), permits });
    const sent = sendAll(old, 12);
    await expect.poll(() => held.length).toBe(8);
    held[0]?.();
    held[1]?.();
    await arrived(2);
    const given = sent.at(-1);
    if (given !== undefined) given.isOver = true;
    const moved: Sent[] = [];
    const retired = old.retire((exchange) => moved.push(exchange));
    expect(moved).toEqual(sent.slice(2, -1));
    expect(permits.active).toBe(2);
    // Connections that were under way come too late.
    for (const tell of held.slice(2)) tell();
    endAll();
    await retired;
    expect(await resultsOf(sent.slice(0, 2))).toEqual([200, 200]);
    expect([waiting.length, permits.active]).toEqual([0, 0]);

    const successor = pool({ permits });
    for (const exchange of moved) successor.send(exchange);
    await arrived(9);
    endAll();
    expect(new Set(await resultsOf(moved))).toEqual(new Set([200]));
  });

  test('between two exchanges of a connection, the second moves', async () => {
    const old = pool({ maxConnections: 1 });
    const [first, second] = sendAll(old, 2, '/now') as [Sent, Sent];
    const moved: Sent[] = [];
    const release = { at: first.handler.onComplete?.bind(first.handler) };
    // As soon as the first is complete: the second holds its connection already.
    first.handler.onComplete = (trailers) => {
      release.at?.(trailers);
      void old.retire((exchange) => moved.push(exchange));
    };
    expect(await first.result).toBe(200);
    await old.close();
    expect(moved).toEqual([second]);
    expect(sockets).toBe(1);
  });
});

/** A server that answers so many requests of a connection and ends the connection when it gets the next. */
async function forgetful(answers = 1, end: (socket: Socket) => void = (socket) => void socket.destroy()) {
  const seen: string[] = [];
  const open = new Set<Socket>();
  const forgets = createTcpServer((socket) => {
    open.add(socket.on('error', () => {}));
    let count = 0;
    socket.on('data', (bytes) => {
      seen.push(String(bytes).split(' ', 1)[0] ?? '');
      if (++count > answers) end(socket);
      else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    });
  });
  await new Promise<void>((resolve) => forgets.listen(0, '127.0.0.1', resolve));
  const { port } = forgets.address() as AddressInfo;
  const dial = dialing(port);
  let newest: Socket | undefined;
  const to = pool<UndiciAttempt>({
    dial: (callback) =>
      dial((error, socket) => {
        newest = socket;
        callback(error, socket);
      }),
  });
  const ask = async (method: string, body: Body = EMPTY_BODY) => {
    const answer = new Promise<Response>((resolve, reject) => {
      const request = {
        method,
        scheme: 'http',
        authority: 'app',
        path: '/',
        headers: HeaderMap.empty(),
        body,
        abort: new Abort(),
        context: createExchange('outbound', 0, 0),
      } as const;
      to.send(new UndiciAttempt(request, { peerId: undefined, tunnelled() {} }, resolve, reject));
    });
    return answer.then(
      async ({ body: answered, status }) => {
        await readBody(answered);
        return status;
      },
      (error: unknown) => (TransportError.is(error) ? [error.failure, error.requestSent] : error),
    );
  };
  const close = () => {
    for (const socket of open) socket.destroy();
    forgets.close();
  };
  /** Ends the newest connection from here. */
  const cut = () => newest?.destroy();
  return { ask, seen, cut, close };
}

describe('a server that ends a connection just when the next request comes', () => {
  test('a request that changes nothing is sent once more, on a new connection', async () => {
    const { ask, seen, close } = await forgetful();
    for (const method of ['GET', 'GET', 'OPTIONS', 'HEAD']) expect(await ask(method)).toBe(200);
    expect(seen).toEqual(['GET', 'GET', 'GET', 'OPTIONS', 'OPTIONS', 'HEAD', 'HEAD']);
    expect(await ask('GET', bytesBody('text'))).toBe(200);
    close();
  });

  test('one that may have changed something fails, as does one whose body is gone', async () => {
    const { ask, seen, close } = await forgetful();
    await ask('GET');
    expect(await ask('POST')).toEqual(['reset', true]);
    await ask('GET');
    expect(await ask('GET', fromUndiciBody(Readable.from(['text']), undefined))).toEqual(['reset', true]);
    expect(seen.filter((method) => method === 'POST')).toHaveLength(1);
    close();
  });

  test('a new connection that breaks at once is no such case', async () => {
    const { ask, seen, close } = await forgetful(0);
    expect(await ask('GET')).toEqual(['reset', true]);
    expect(seen).toEqual(['GET']);
    close();
  });

  test('after something of an answer came, it fails', async () => {
    const { ask, seen, close } = await forgetful(1, (socket) => {
      socket.end('HTTP/1.1 103 Early Hints\r\n\r\n');
    });
    await ask('GET');
    expect(await ask('GET')).toEqual(['reset', true]);
    expect(seen).toEqual(['GET', 'GET']);
    close();
  });

  test('what was not written yet is sent on another connection, whatever it is', async () => {
    const { ask, seen, cut, close } = await forgetful(2);
    await ask('GET');
    const answer = ask('POST', fromUndiciBody(Readable.from(['text']), undefined));
    cut();
    expect(await answer).toBe(200);
    expect(seen[0]).toBe('GET');
    expect(seen.filter((method) => method === 'POST')).toHaveLength(1);
    close();
  });
});
