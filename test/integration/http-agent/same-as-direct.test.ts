import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Handler, send, startWorld, type Way, type World, waysTo } from './support.js';

const LARGE = randomBytes(3_000_000);
const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

const HANDLERS: Readonly<Record<string, Handler>> = {
  '/hello': (_, response) => response.end('hello'),
  '/chunks': (_, response) => {
    response.write('a');
    response.write('bc');
    response.end();
  },
  '/large': (_, response) => response.end(LARGE),
  '/large-chunked': (_, response) => void Readable.from([LARGE, LARGE]).pipe(response),
  '/seen': (incoming, response) => {
    const { method, url, headers } = incoming;
    const { host: _host, connection: _connection, 'transfer-encoding': _coding, ...rest } = headers;
    response.end(JSON.stringify({ method, url, headers: rest }));
  },
  '/digest': (incoming, response) => {
    const hash = createHash('sha256');
    incoming.on('data', (chunk: Buffer) => hash.update(chunk));
    incoming.on('end', () => response.end(hash.digest('hex')));
  },
  '/echo': (incoming, response) => void incoming.pipe(response),
  '/empty': (_, response) => response.writeHead(204).end(),
  '/not-modified': (_, response) => response.writeHead(304, { etag: '"x"' }).end(),
  '/headers': (_, response) =>
    response
      .writeHead(
        201,
        'Made',
        ['X-One', 'a', 'Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'x-ü', 'é'.normalize()].filter(isAscii),
      )
      .end('x'),
  '/trailers': (_, response) => {
    response.writeHead(200, { Trailer: 'X-End' });
    response.write('body');
    response.addTrailers({ 'X-End': 'yes' });
    response.end();
  },
  '/close': (_, response) => response.writeHead(200, { connection: 'close' }).end('bye'),
  '/continue-not': (_, response) => response.writeHead(403).end('no'),
  '/broken': (incoming, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half');
    setImmediate(() => incoming.socket.destroy());
  },
  '/hang-up': (incoming) => incoming.socket.destroy(),
  '/never': () => {},
  '/early': (_, response) => response.writeHead(413, { connection: 'close' }).end('too large'),
};

function isAscii(text: string): boolean {
  return /^[\u0020-\u007e]*$/.test(text);
}

let world: World;
let ways: readonly [Way, Way];

beforeAll(async () => {
  world = await startWorld((incoming, response) => {
    const handler = HANDLERS[new URL(incoming.url ?? '/', 'http://x').pathname];
    if (handler === undefined) response.writeHead(404).end();
    else handler(incoming, response);
  });
  world.server.on('checkContinue', (incoming: IncomingMessage, response) => {
    if (incoming.url === '/continue-not') HANDLERS['/continue-not']?.(incoming, response);
    else {
      response.writeContinue();
      world.server.emit('request', incoming, response);
    }
  });
  ways = waysTo(world);
});

afterAll(async () => {
  ways[0].agent.destroy();
  await world.close();
});

/** Runs a scenario both ways and demands that it saw the same. */
async function same<T>(
  scenario: (to: (path: string, more?: RequestOptions) => RequestOptions) => Promise<T>,
) {
  const seen: T[] = [];
  for (const { host, agent } of ways) {
    seen.push(await scenario((path, more) => ({ host, port: world.port, path, agent, ...more })));
  }
  expect(seen[1]).toEqual(seen[0]);
  return seen[1];
}

const plain = ({ response, body }: { response: IncomingMessage; body: Buffer }) => ({
  status: response.statusCode,
  message: response.statusMessage,
  version: response.httpVersion,
  headers: withoutHop(response.rawHeaders),
  distinct: response.headersDistinct['set-cookie'],
  trailers: response.rawTrailers,
  complete: response.complete,
  body: body.length < 1000 ? body.toString() : sha(body),
});

/** All but the lines that speak of one connection, and the time of day. */
function withoutHop(raw: readonly string[]): readonly string[] {
  return raw.filter((_, i) => !/^(date|connection|keep-alive)$/i.test(raw[i - (i % 2)] ?? ''));
}

describe('responses look as they do without the mesh', () => {
  test.each([
    '/hello',
    '/chunks',
    '/large',
    '/large-chunked',
    '/empty',
    '/not-modified',
    '/headers',
    '/trailers',
    '/close',
    '/nowhere',
  ])('GET %s', async (path) => {
    await same(async (to) => plain(await send(to(path))));
  });

  test.each(['/hello', '/chunks', '/headers'])('HEAD %s', async (path) => {
    await same(async (to) => plain(await send(to(path, { method: 'HEAD' }))));
  });

  test('a response that nobody reads is thrown away', async () => {
    await same(async (to) => {
      const outgoing = request(to('/large')).end();
      await once(outgoing, 'close');
      return outgoing.destroyed;
    });
  });

  test('events come in the same order', async () => {
    await same(async (to) => {
      const events: string[] = [];
      const outgoing = request(to('/hello', { method: 'POST' }));
      for (const name of ['socket', 'finish', 'response', 'close', 'error'] as const) {
        outgoing.on(name, (...args: unknown[]) => {
          events.push(name);
          if (name !== 'response') return;
          const incoming = args[0] as IncomingMessage;
          for (const inner of ['end', 'close', 'aborted', 'error'])
            incoming.on(inner, () => events.push(`response ${inner}`));
          incoming.resume();
        });
      }
      outgoing.end('body');
      await once(outgoing, 'close');
      return events;
    });
  });
});

describe('requests arrive as they do without the mesh', () => {
  const lines: [string, RequestOptions][] = [
    ['plain', {}],
    ['query', { path: '/seen?a=1&b=%20' }],
    ['custom headers', { headers: { 'X-Case': 'kept', cookie: 'a=1; b=2', 'x-many': ['1', '2'] } }],
    ['raw header lines', { headers: ['Host', 'x', 'X-Raw', '1', 'x-raw', '2'] }],
    ['auth', { auth: 'user:secret' }],
    ['DELETE', { method: 'DELETE' }],
    ['OPTIONS *', { method: 'OPTIONS', headers: { origin: 'http://x' } }],
    ['a trailing-encoding wish', { headers: { te: 'trailers' } }],
  ];
  test.each(lines)('%s', async (_name, more) => {
    await same(async (to) => {
      const { body } = await send(to('/seen', more));
      return JSON.parse(body.toString()) as unknown;
    });
  });

  const bodies: [string, (request: ClientRequest) => void][] = [
    ['text at the end', (one) => one.end('text')],
    ['bytes at the end', (one) => one.end(Buffer.from([0, 1, 255]))],
    [
      'two writes',
      (one) => {
        one.write('a');
        one.end('b');
      },
    ],
    [
      'writes over time',
      (one) => {
        one.write('a');
        setImmediate(() => {
          one.write('b');
          setImmediate(() => one.end());
        });
      },
    ],
    [
      'a known length',
      (one) => {
        one.setHeader('content-length', 6);
        one.write('abc');
        setImmediate(() => one.end('def'));
      },
    ],
    ['a large buffer', (one) => one.end(LARGE)],
    ['a stream', (one) => void pipeline(Readable.from([LARGE.subarray(0, 10), LARGE.subarray(10)]), one)],
    ['nothing', (one) => one.end()],
    [
      'trailers',
      (one) => {
        one.setHeader('trailer', 'x-sum');
        one.write('abc');
        one.addTrailers({ 'x-sum': '1' });
        one.end();
      },
    ],
  ];
  test.each(bodies)('a body of %s', async (_name, write) => {
    await same(async (to) => plain(await send(to('/digest', { method: 'POST' }), write)));
  });

  test('a body goes out while the response comes in', async () => {
    await same(async (to) => {
      const outgoing = request(to('/echo', { method: 'POST' }));
      outgoing.write('ping');
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      const got: string[] = [];
      for await (const chunk of response) {
        got.push(String(chunk));
        if (got.length === 1) outgoing.write('pong');
        else outgoing.end();
      }
      return got;
    });
  });

  test('Expect: 100-continue is answered, then the body follows', async () => {
    await same(async (to) => {
      const events: string[] = [];
      const result = await send(
        to('/digest', { method: 'POST', headers: { expect: '100-continue' } }),
        (one) => {
          one.on('continue', () => {
            events.push('continue');
            one.end('body');
          });
          one.flushHeaders();
        },
      );
      return { events, ...plain(result) };
    });
  });
});

describe('failures look as they do without the mesh', () => {
  const failure = (error: unknown) => {
    const { name, message, code, syscall, port } = error as NodeJS.ErrnoException & { port?: number };
    return { name, message, code, syscall, hasPort: port !== undefined };
  };

  test('a connection that is refused', async () => {
    const error: unknown = await send({ host: 'gone', port: world.port, agent: world.agent }).catch(
      (e: unknown) => e,
    );
    expect(failure(error)).toMatchObject({
      name: 'Error',
      message: expect.stringMatching(/^connect ECONNREFUSED 127\.0\.0\.1:\d+$/),
      code: 'ECONNREFUSED',
      syscall: 'connect',
      hasPort: true,
    });
    expect((error as Error).cause).toMatchObject({ code: 'INMESH_UPSTREAM_CONNECT' });
  });

  test.each(['/hang-up', '/broken'])('GET %s', async (path) => {
    await same(async (to) => failure(await send(to(path, { agent: pick(to) })).catch((e: unknown) => e)));
  });

  test('a request that is destroyed', async () => {
    await same(async (to) => {
      const outgoing = request(to('/never')).end();
      await once(outgoing, 'finish');
      outgoing.destroy();
      const [error] = (await once(outgoing, 'error')) as [Error];
      return failure(error);
    });
  });

  test('a request whose signal is aborted', async () => {
    await same(async (to) => {
      const controller = new AbortController();
      const outgoing = request(to('/never', { signal: controller.signal })).end();
      outgoing.once('finish', () => controller.abort());
      const [error] = (await once(outgoing, 'error')) as [Error];
      return failure(error);
    });
  });

  test('a response that is destroyed frees the connection of the server', async () => {
    await same(async (to) => {
      const outgoing = request(to('/large-chunked')).end();
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      response.once('data', () => response.destroy());
      await once(response, 'close');
      return [response.destroyed, response.complete];
    });
  });

  test('a timeout is an event, and what follows from it is up to the caller', async () => {
    await same(async (to) => {
      const outgoing = request(to('/never', { timeout: 30 })).end();
      await once(outgoing, 'timeout');
      outgoing.destroy(new Error('too slow'));
      const [error] = (await once(outgoing, 'error')) as [Error];
      return failure(error);
    });
  });

  test('an early answer to a body that is still being sent', async () => {
    await same(async (to) => {
      const outgoing = request(to('/early', { method: 'POST', headers: { 'content-length': 5_000_000 } }));
      outgoing.on('error', () => {});
      outgoing.write(Buffer.alloc(1000));
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      outgoing.destroy();
      return [response.statusCode, Buffer.concat(chunks).toString()];
    });
  });
});

/** The agent is the way's own. */
function pick(to: (path: string) => RequestOptions): RequestOptions['agent'] {
  return to('/').agent;
}
