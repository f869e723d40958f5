import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { peerOf } from '../../../src/bindings/http/connection.js';
import { attachInbound } from '../../../src/bindings/http/server.js';
import { staticSource } from '../../../src/identity/source.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { createSignal } from '../../../src/runtime/signal.js';
import { localReply } from '../../../src/service/local-reply.js';
import type { ExchangeEnd } from '../../../src/service/observer.js';
import type { Filter, Request } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import {
  accepted,
  digest,
  type Inbound,
  type InboundSetup,
  openSocket,
  policyOf,
  readAll,
  sha256,
  startInbound,
  whenClosed,
} from './support.js';

const open: Inbound[] = [];

async function start(...args: Parameters<typeof startInbound>): Promise<Inbound> {
  const inbound = await startInbound(...args);
  open.push(inbound);
  return inbound;
}

afterEach(async () => {
  for (const inbound of open.splice(0)) await inbound.close();
});

const PERMISSIVE: InboundSetup = { mode: 'permissive' };

describe('plaintext on a permissive port', () => {
  test('a GET by fetch is answered', async () => {
    const { url } = await start((_, response) => response.end('hello'), PERMISSIVE);
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([200, 'hello']);
  });

  test('bodies of many sizes arrive unchanged', async () => {
    const { url } = await start(digest, PERMISSIVE);
    for (const size of [0, 1, 1000, 16_384, 65_535, 65_536, 300_000, 3_000_000]) {
      const body = randomBytes(size);
      const response = await fetch(url, { method: 'POST', body });
      expect(await response.text(), `${size} bytes`).toBe(sha256(body));
    }
  });

  test('a request that comes byte by byte arrives unchanged', async () => {
    const { port } = await start(digest, PERMISSIVE);
    const socket = await openSocket(port);
    socket.setNoDelay(true);
    const text = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc';
    for (const byte of text) await new Promise((resolve) => socket.write(byte, resolve));
    await whenClosed(socket);
    expect(socket.received()).toContain(sha256('abc'));
  });

  test('keep-alive reuses the connection', async () => {
    const { port } = await start((_, response) => response.end('ok'), PERMISSIVE);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    for (let i = 0; i < 5; i++) {
      const request = httpRequest({ port, agent }).end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      ports.add(response.socket.localPort);
      await readAll(response);
    }
    agent.destroy();
    expect(ports.size).toBe(1);
  });

  test('pipelined requests are answered in order', async () => {
    const { port } = await start((request, response) => response.end(request.url), PERMISSIVE);
    const socket = await openSocket(port);
    socket.write(
      'GET /one HTTP/1.1\r\nhost: a\r\n\r\nGET /two HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
    );
    await whenClosed(socket);
    expect(socket.received().indexOf('/one')).toBeGreaterThan(0);
    expect(socket.received().indexOf('/two')).toBeGreaterThan(socket.received().indexOf('/one'));
  });

  test('Expect: 100-continue is answered before the body', async () => {
    const { port } = await start(digest, PERMISSIVE);
    const request = httpRequest({ port, method: 'POST', headers: { expect: '100-continue' } });
    request.flushHeaders();
    await once(request, 'continue');
    request.end('body');
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect((await readAll(response)).toString()).toBe(sha256('body'));
  });

  test('an upgrade reaches the application with its first bytes', async () => {
    const { port } = await start(() => {}, {
      ...PERMISSIVE,
      attach: (server) =>
        server.on('upgrade', (_, socket, head) => {
          socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
          socket.write(head);
          socket.on('data', (chunk) => socket.end(chunk));
        }),
    });
    const socket = await openSocket(port);
    socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nfirst');
    await once(socket, 'data');
    socket.write('second');
    await whenClosed(socket);
    expect(socket.received()).toContain('101 Switching Protocols');
    expect(socket.received()).toMatch(/first.*second/s);
  });

  test('what is no HTTP reaches clientError', async () => {
    let seen: string | undefined;
    const { port } = await start(() => {}, {
      ...PERMISSIVE,
      attach: (server) =>
        server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
          seen = error.code;
          socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
        }),
    });
    const socket = await openSocket(port);
    socket.write('nonsense\r\n\r\n');
    await whenClosed(socket);
    expect(seen).toBe('HPE_INVALID_METHOD');
    expect(socket.received()).toContain('400 Bad Request');
  });

  test('a forged x-forwarded-client-cert never reaches the application', async () => {
    const seen: unknown[] = [];
    const { url } = await start((request, response) => {
      seen.push(
        request.headers['x-forwarded-client-cert'],
        request.headersDistinct['x-forwarded-client-cert'],
        request.rawHeaders.filter((line) => /forwarded|spiffe/i.test(line)),
        request.headersDistinct['x-other'],
      );
      seen.push(peerOf(request));
      response.end();
    }, PERMISSIVE);
    await fetch(url, { headers: { 'X-Forwarded-Client-Cert': 'URI=spiffe://a/ns/b/sa/c', 'x-other': '1' } });
    expect(seen).toEqual([undefined, undefined, [], ['1'], undefined]);
  });

  test('a listener added after the mesh sits behind it', async () => {
    const { url, server } = await start((_, response) => response.setHeader('first', '1'), PERMISSIVE);
    let forged: unknown = 'not called';
    server.on('request', (request, response) => {
      forged = request.headers['x-forwarded-client-cert'];
      response.end();
    });
    await fetch(url, { headers: { 'x-forwarded-client-cert': 'forged' } });
    expect(forged).toBeUndefined();
  });

  test('a TLS client is refused while there is no certificate', async () => {
    const { port, attachment, log } = await start(() => {}, PERMISSIVE);
    const socket = await openSocket(port);
    socket.write(Buffer.from([0x16, 3, 1, 0, 0]));
    await whenClosed(socket);
    expect(attachment.refusals.identity).toBe(1);
    expect(log[0]?.fields['code']).toBe('INMESH_IDENTITY_UNAVAILABLE');
  });
});

describe('a connection that says its first bytes one by one', () => {
  /** Each as a packet of its own. */
  async function trickle(socket: Socket, text: string): Promise<void> {
    for (const letter of text) {
      socket.write(letter);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  test('is HTTP/2 when it becomes its preface', async () => {
    const { port } = await start((request, response) => response.end(request.httpVersion), PERMISSIVE);
    const socket = await openSocket(port);
    socket.setNoDelay(true);
    await trickle(socket, 'PRI *');
    // The rest of the preface and an empty SETTINGS frame; the server answers with its own.
    socket.write(
      Buffer.concat([Buffer.from(' HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]),
    );
    const [frame] = (await once(socket, 'data')) as [Buffer];
    expect(frame[3]).toBe(4);
    socket.destroy();
  });

  test('is HTTP/1.1 when it becomes a PUT', async () => {
    const { port } = await start((request, response) => response.end(request.method), PERMISSIVE);
    const socket = await openSocket(port);
    socket.setNoDelay(true);
    await trickle(socket, 'PUT ');
    socket.write('/ HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    await whenClosed(socket);
    expect(socket.received()).toContain('200 OK');
    expect(socket.received()).toMatch(/PUT$/);
  });

  test('is as silent as one that never began when it stops where it could be both', async () => {
    const { port, attachment } = await start(() => {}, { ...PERMISSIVE, sniffTimeoutMs: 30 });
    const socket = await openSocket(port);
    socket.write('PR');
    await whenClosed(socket);
    expect(attachment.refusals.silent).toBe(1);
  });
});

describe('a connection that says nothing', () => {
  test('is closed after the first-byte timeout', async () => {
    const { port, attachment } = await start(() => {}, { ...PERMISSIVE, sniffTimeoutMs: 30 });
    const socket = await openSocket(port);
    await whenClosed(socket);
    expect(attachment.refusals.silent).toBe(1);
  });

  test('does not hold up server.close', async () => {
    const clock = createFakeClock();
    const { port, server } = await start(() => {}, { ...PERMISSIVE, clock });
    const socket = await openSocket(port);
    await accepted(server, 1);
    const gone = whenClosed(socket);
    const closed = once(server, 'close');
    server.close();
    await clock.advance(500);
    await Promise.all([closed, gone]);
    server.listen(port);
    await once(server, 'listening');
  });

  test('may end without a byte', async () => {
    const { port, server } = await start(() => {}, PERMISSIVE);
    const socket = await openSocket(port);
    const gone = whenClosed(socket);
    socket.end();
    await gone;
    const count = await new Promise((resolve) => server.getConnections((_, n) => resolve(n)));
    expect(count).toBe(0);
  });
});

describe('the policy', () => {
  test('strict resets plaintext and says what to do', async () => {
    const { port, attachment, log } = await start(() => {}, { mode: 'strict' });
    const socket = await openSocket(port);
    const gone = whenClosed(socket);
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    expect((await gone) as NodeJS.ErrnoException).toMatchObject({ code: 'ECONNRESET' });
    expect(socket.received()).toBe('');
    expect(attachment.refusals.plaintext).toBe(1);
    expect(log[0]?.fields).toMatchObject({ code: 'INMESH_PLAINTEXT_REFUSED' });
    expect(log[0]?.message).toContain('127.0.0.1:');
    expect(log[0]?.message).toContain('PERMISSIVE');
  });

  test('many refusals make one line of log', async () => {
    const { port, attachment, log } = await start(() => {}, { mode: 'strict' });
    for (let i = 0; i < 5; i++) {
      const socket = await openSocket(port);
      const gone = whenClosed(socket);
      socket.write('GET / HTTP/1.1\r\n\r\n');
      await gone;
    }
    expect(attachment.refusals.plaintext).toBe(5);
    expect(log).toHaveLength(1);
  });

  test('closed refuses everything', async () => {
    const { url, attachment } = await start(() => {}, { mode: 'closed' });
    await expect(fetch(url)).rejects.toThrow('fetch failed');
    expect(attachment.refusals.plaintext).toBe(1);
  });

  test('disable serves plaintext', async () => {
    const { url } = await start((_, response) => response.end('ok'), { mode: 'disable' });
    expect(await (await fetch(url)).text()).toBe('ok');
  });

  test('a change to strict lets the running request finish, then closes its connection', async () => {
    let finish: (() => void) | undefined;
    const { port, policy } = await start((_, response) => {
      finish = () => response.end('late');
    }, PERMISSIVE);
    const agent = new Agent({ keepAlive: true });
    const request = httpRequest({ port, agent });
    request.end();
    const [socket] = await once(request, 'socket');
    while (finish === undefined) await new Promise(setImmediate);
    policy.set(policyOf('strict'));
    const gone = once(socket, 'close');
    finish();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(response.headers.connection).toBe('close');
    expect((await readAll(response)).toString()).toBe('late');
    await gone;
    agent.destroy();
  });

  test('a change to strict closes idle plaintext connections and tunnels', async () => {
    const { port, policy } = await start((_, response) => response.end('ok'), {
      ...PERMISSIVE,
      attach: (server) => server.on('upgrade', (_, socket) => socket.write('HTTP/1.1 101 x\r\n\r\n')),
    });
    const idle = await openSocket(port);
    idle.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await once(idle, 'data');
    const tunnel = await openSocket(port);
    tunnel.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
    await once(tunnel, 'data');
    const gone = Promise.all([whenClosed(idle), whenClosed(tunnel)]);
    policy.set(policyOf('strict'));
    await gone;
  });
});

describe('filters', () => {
  const deny: Filter = async (request) =>
    localReply(request, {
      status: 403,
      body: 'RBAC: access denied',
      details: 'rbac_access_denied',
      reason: 'INMESH_RBAC_DENIED',
    });

  test('may answer in place of the application', async () => {
    let called = false;
    const { url } = await start(
      () => {
        called = true;
      },
      { ...PERMISSIVE, filters: [deny] },
    );
    const response = await fetch(url, { method: 'POST', body: 'x'.repeat(100_000) });
    expect([response.status, await response.text()]).toEqual([403, 'RBAC: access denied']);
    expect(response.headers.get('x-inmesh-reason')).toBe('INMESH_RBAC_DENIED');
    expect(called).toBe(false);
  });

  test.each([
    ['an upgrade', 'upgrade', 'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'],
    ['CONNECT', 'connect', 'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n'],
    [
      'checkContinue',
      'checkContinue',
      'POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\n',
    ],
    [
      'checkExpectation',
      'checkExpectation',
      'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: x\r\n\r\n',
    ],
  ])('can not be passed by with %s', async (_, event, text) => {
    let called = false;
    const { port } = await start(() => {}, {
      ...PERMISSIVE,
      filters: [deny],
      attach: (server) =>
        server.on(event, () => {
          called = true;
        }),
    });
    const socket = await openSocket(port);
    const gone = whenClosed(socket);
    socket.write(text);
    await gone;
    expect(socket.received()).toContain('403 Forbidden');
    expect(called).toBe(false);
  });

  test('that pass leave the body to the application, unchanged', async () => {
    const slow: Filter = async (request, next) => {
      await new Promise(setImmediate);
      return next(request);
    };
    const { url } = await start(digest, { ...PERMISSIVE, filters: [slow] });
    const body = randomBytes(300_000);
    expect(await (await fetch(url, { method: 'POST', body })).text()).toBe(sha256(body));
  });

  test('may change what the application sees', async () => {
    const rewrite: Filter = (request, next) => {
      request.path = '/other';
      request.headers.set('x-added', 'yes');
      request.headers.delete('x-removed');
      return next(request);
    };
    const { url } = await start(
      (request, response) => {
        const { headers, headersDistinct } = request;
        response.end(
          JSON.stringify([request.url, headers['x-added'], headers['x-removed'], headersDistinct['x-added']]),
        );
      },
      { ...PERMISSIVE, filters: [rewrite] },
    );
    const response = await fetch(url, { headers: { 'x-removed': 'x' } });
    expect(await response.json()).toEqual(['/other', 'yes', null, ['yes']]);
  });

  test('see the path within a target in absolute form', async () => {
    let seen: string[] = [];
    const watch: Filter = (request, next) => {
      seen = [request.authority, request.path];
      return next(request);
    };
    const { port } = await start((request, response) => response.end(request.headers.host), {
      ...PERMISSIVE,
      filters: [watch],
    });
    const socket = await openSocket(port);
    socket.write('GET http://u@reviews:9080/admin?a HTTP/1.1\r\nhost: other\r\nconnection: close\r\n\r\n');
    await whenClosed(socket);
    expect(seen).toEqual(['reviews:9080', '/admin?a']);
    expect(socket.received()).toMatch(/reviews:9080$/m);
  });

  test('see the status of the application', async () => {
    let status: number | undefined;
    const watch: Filter = async (request, next) => {
      const response = await next(request);
      status = response.status;
      return response;
    };
    const { url } = await start((_, response) => response.writeHead(418).end(), {
      ...PERMISSIVE,
      filters: [watch],
    });
    expect((await fetch(url)).status).toBe(418);
    expect(status).toBe(418);
  });

  test('that throw close the way to the application', async () => {
    const broken: Filter = () => Promise.reject(new Error('boom'));
    const { url, log } = await start((_, response) => response.end('reached'), {
      ...PERMISSIVE,
      filters: [broken],
    });
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([500, '']);
    expect(log.map(({ message }) => message)).toEqual(['an inbound filter failed']);
  });
});

describe('observers', () => {
  test('hear of each exchange when it is over', async () => {
    const seen: [Request, ExchangeEnd][] = [];
    const { url } = await start((_, response) => response.writeHead(201, { 'x-own': '1' }).end('ok'), {
      ...PERMISSIVE,
      observer: { exchange: (request, end) => seen.push([request, end]) },
    });
    await (await fetch(`${url}/a?b`, { method: 'PUT', body: 'x' })).text();
    expect(seen).toHaveLength(1);
    const [request, end] = seen[0]!;
    expect([request.method, request.path, request.context.direction]).toEqual(['PUT', '/a?b', 'inbound']);
    expect([end.status, end.error]).toEqual([201, undefined]);
  });

  test('hear of a caller that left', async () => {
    const ends: [readonly string[], number, boolean][] = [];
    const ended = new Promise<void>((resolve) => {
      void start((request) => request.socket.destroy(), {
        ...PERMISSIVE,
        observer: {
          exchange: (request, end) => {
            ends.push([request.context.flags, end.status, request.abort.aborted]);
            resolve();
          },
        },
      }).then(({ url }) => fetch(url).catch(() => {}));
    });
    await ended;
    expect(ends).toEqual([[['DC'], 0, true]]);
  });
});

describe('attaching', () => {
  const options = () => ({
    policy: createSignal(policyOf('permissive')),
    identity: staticSource(undefined, []),
    clock: systemClock,
    random: seededRandom(1),
    logger: silentLogger,
    observer: {},
  });

  test('refuses servers that do TLS or HTTP/2 themselves', () => {
    // A plain-JavaScript caller may pass anything.
    for (const server of [createHttpsServer({}), createHttp2Server()] as never[]) {
      expect(() => attachInbound(server, options())).toThrow('INMESH_UNSUPPORTED');
    }
  });

  test('refuses a second time', () => {
    const server = createServer();
    attachInbound(server, options());
    expect(() => attachInbound(server, options())).toThrow('INMESH_OPTION_INVALID');
  });

  test('judges connections from before as plaintext', async () => {
    const server = createServer((_, response) => response.end('reached'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = await openSocket((server.address() as AddressInfo).port);
    const gone = whenClosed(socket);
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await once(socket, 'data');
    const attachment = attachInbound(server, { ...options(), policy: createSignal(policyOf('strict')) });
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await gone;
    expect(socket.received().match(/reached/g)).toHaveLength(1);
    await attachment.close();
    server.close();
  });

  test('detach gives the server back', async () => {
    const inbound = await start((_, response) => response.end('plain'), { mode: 'closed' });
    inbound.attachment.detach();
    expect(Object.hasOwn(inbound.server, 'emit')).toBe(false);
    expect(await (await fetch(inbound.url)).text()).toBe('plain');
  });

  test('close waits for the running request and refuses new connections', async () => {
    let finish: (() => void) | undefined;
    const inbound = await start((_, response) => {
      finish = () => response.end('late');
    }, PERMISSIVE);
    const answer = fetch(inbound.url).then((response) => response.text());
    while (finish === undefined) await new Promise(setImmediate);
    const closed = inbound.attachment.close();
    await expect(fetch(inbound.url)).rejects.toThrow('fetch failed');
    finish();
    expect(await answer).toBe('late');
    await closed;
  });

  const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

  test('close answers the first request of a connection, and closes those that were used before at once', async () => {
    const clock = createFakeClock();
    const { port, server, attachment } = await start((_, response) => response.end('hello'), {
      ...PERMISSIVE,
      clock,
    });
    const used = await openSocket(port);
    used.write(GET);
    await once(used, 'data');
    const [fresh, begun, silent] = [await openSocket(port), await openSocket(port), await openSocket(port)];
    begun.write('GET / HT');
    await accepted(server, 4);
    const ends = [used, fresh, begun, silent].map(whenClosed);
    let isSilentOpen = true;
    void ends[3]?.then(() => {
      isSilentOpen = false;
    });
    const closed = attachment.close();
    await ends[0];
    fresh.write(GET);
    begun.write(GET.slice(8));
    await Promise.all([ends[1], ends[2]]);
    for (const socket of [fresh, begun]) {
      expect(socket.received()).toMatch(/^HTTP\/1.1 200 OK\r\n(.+\r\n)*connection: close\r\n/i);
      expect(socket.received()).toMatch(/hello/);
    }
    await clock.advance(499);
    expect(isSilentOpen).toBe(true);
    await clock.advance(1);
    await ends[3];
    await closed;
    expect(clock.pending).toBe(0);
  });

  test('close waits for a first request no longer than for others', async () => {
    const clock = createFakeClock();
    const { port, server, attachment } = await start(() => {}, { ...PERMISSIVE, clock, drainTimeoutMs: 100 });
    const begun = await openSocket(port);
    begun.write('GET / HT');
    await accepted(server, 1);
    const gone = whenClosed(begun);
    const closed = attachment.close();
    await clock.advance(100);
    await Promise.all([gone, closed]);
  });
});
