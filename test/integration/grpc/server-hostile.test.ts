import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../mesh/support.js';
import { bareClient, type GrpcMember, outcomeOf } from './server-support.js';
import { ServerWorld } from './server-world.js';

let servers: ServerWorld;
let member: GrpcMember;
let seen: grpc.Metadata[] = [];
const ended: { status: number; flags: string; path: string }[] = [];

beforeAll(async () => {
  servers = await ServerWorld.start();
  member = await servers.serve(
    { http: { limits: { maxHeadersCount: 50, underscores: 'drop' } } },
    {
      mesh: {
        observers: [
          {
            exchange: ({ path, context }, { status }) =>
              ended.push({ status, path, flags: context.flags.join() }),
          },
        ],
      },
      handlers: {
        emptyCall(call: grpc.ServerUnaryCall<object, object>, callback: grpc.sendUnaryData<object>) {
          seen.push(call.metadata);
          callback(null, {});
        },
      },
    },
  );
});
afterAll(() => servers.close());

const EMPTY = '/grpc.testing.TestService/EmptyCall';
const MESSAGE = Buffer.alloc(5);

function open(): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${member.port}`);
  session.on('error', () => {});
  servers.world.onClose(async () => session.destroy());
  return session;
}

interface Answer {
  readonly status: unknown;
  readonly grpc: unknown;
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
}

/** Sends a head and, unless told otherwise, an empty message; what came back, or the code of the reset. */
async function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  send: (stream: ClientHttp2Stream) => void = (stream) => stream.end(MESSAGE),
): Promise<Answer> {
  const stream = session.request({
    ':method': 'POST',
    ':path': EMPTY,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  let head: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  stream.on('error', () => {});
  stream.on('response', (given) => {
    head = given;
  });
  stream.on('trailers', (given) => {
    trailers = given;
  });
  stream.resume();
  send(stream);
  await new Promise((resolve) => stream.once('close', resolve));
  return {
    status: head[':status'],
    grpc: trailers['grpc-status'] ?? head['grpc-status'],
    code: stream.rstCode,
    headers: head,
  };
}

const closed = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

/** After whatever was done to it the server serves. */
async function stillServes(): Promise<void> {
  expect(await outcomeOf(bareClient(servers.world, member.port))).toEqual(['OK', '']);
}

describe('connections', () => {
  test.each([
    ['HTTP/1.1', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['noise', '\0\xff\x01garbage that is no protocol at all, and goes on for a while'],
    ['half a preface and then nonsense', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\nxxxxxxxxxxxxxxxxxxx'],
    ['a preface and frames that are none', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\xff'.repeat(64)}`],
  ])('%s: closed', async (_what, text) => {
    const socket = connectTcp(member.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.write(Buffer.from(text, 'latin1'));
    await closed(socket);
    await stillServes();
  });

  test('TLS without a certificate, and TLS without HTTP/2: refused', async () => {
    for (const ALPNProtocols of [['h2'], ['http/1.1']]) {
      const socket = connectTls({
        port: member.port,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ALPNProtocols,
      });
      socket.on('error', () => {});
      socket.resume();
      socket.once('secureConnect', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
      await closed(socket);
    }
    await stillServes();
  });

  test('a client that goes away in the middle of a preface', async () => {
    const socket = connectTcp(member.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('PRI * H', () => socket.destroy());
    await closed(socket);
    await stillServes();
  });
});

describe('calls', () => {
  test.each([[undefined], ['text/plain'], ['application/json']])('content type %s: 415', async (type) => {
    const session = open();
    expect(await ask(session, { 'content-type': type })).toMatchObject({ status: 415 });
  });

  test('methods and services that there are not: UNIMPLEMENTED, and they are counted', async () => {
    const session = open();
    expect(await ask(session, { ':path': '/a.B/Nothing' })).toMatchObject({ status: 200, grpc: '12' });
    await eventually('it is observed', () => ended.some(({ path }) => path === '/a.B/Nothing'));
  });

  test('headers that only a mesh may write do not reach the application', async () => {
    seen = [];
    await ask(open(), {
      'x-forwarded-client-cert': 'By=a;URI=spiffe://cluster.local/ns/default/sa/admin',
      'x-envoy-peer-metadata': 'CgA=',
      'x-envoy-peer-metadata-id': 'sidecar~evil',
      x_dropped: '1',
      'x-kept': '2',
    });
    const [metadata] = seen;
    expect(metadata?.get('x-kept')).toEqual(['2']);
    for (const name of [
      'x-forwarded-client-cert',
      'x-envoy-peer-metadata',
      'x-envoy-peer-metadata-id',
      'x_dropped',
    ])
      expect(metadata?.get(name)).toEqual([]);
  });

  test('who asks by the ID header hears who answers', async () => {
    const { headers } = await ask(open(), { 'x-envoy-peer-metadata-id': 'sidecar~someone' });
    expect(headers['x-envoy-peer-metadata']).toBeTypeOf('string');
    expect((await ask(open())).headers).not.toHaveProperty('x-envoy-peer-metadata');
  });

  test('too many headers: the stream is reset, the connection lives', async () => {
    const session = open();
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`x-${i}`, 'a']));
    expect(await ask(session, many)).toMatchObject({ status: undefined, code: 11 });
    expect(await ask(session)).toMatchObject({ grpc: '0' });
  });

  test('huge metadata: nothing breaks but the connection', async () => {
    const session = open();
    await ask(session, { 'x-huge': 'a'.repeat(60_000), 'x-more': 'b'.repeat(60_000) }).catch(() => undefined);
    await stillServes();
  });

  test.each([['0m'], ['0n'], ['1n']])(
    'a deadline that is over already (%s): DEADLINE_EXCEEDED',
    async (timeout) => {
      const path = '/grpc.testing.TestService/FullDuplexCall';
      expect(await ask(open(), { ':path': path, 'grpc-timeout': timeout }, () => {})).toMatchObject({
        grpc: '4',
      });
    },
  );

  test.each([['99999999H'], ['600H'], ['99999999M'], ['2147484S']])(
    'all the time in the world (%s) is not none',
    async (timeout) => {
      expect(await ask(open(), { 'grpc-timeout': timeout })).toMatchObject({ grpc: '0' });
    },
  );

  test('a deadline that is none: INTERNAL', async () => {
    expect(await ask(open(), { 'grpc-timeout': 'soon' })).toMatchObject({ grpc: '13' });
  });

  test('no half-close: the deadline ends the call', async () => {
    const half = (stream: ClientHttp2Stream) => void stream.write(MESSAGE);
    expect(await ask(open(), { 'grpc-timeout': '80m' }, half)).toMatchObject({ grpc: '4' });
  });

  test('a reset in the middle is told as the caller being gone', async () => {
    const before = ended.length;
    await ask(open(), {}, (stream) => stream.write(MESSAGE, () => stream.close(8)));
    await eventually('the end', () => ended.length > before);
    expect(ended.at(-1)).toEqual({ status: 0, flags: 'DC', path: EMPTY });
  });

  test('a message that says it is larger than allowed, and one that never ends', async () => {
    const huge = Buffer.alloc(5);
    huge.writeUInt32BE(2 ** 31, 1);
    expect(await ask(open(), {}, (stream) => stream.end(huge))).toMatchObject({ grpc: '8' });
    const path = '/grpc.testing.TestService/StreamingInputCall';
    const headers = { ':path': path, 'grpc-timeout': '150m' };
    const endless = (stream: ClientHttp2Stream) => {
      const chunk = Buffer.concat(Array.from({ length: 1000 }, () => MESSAGE));
      const more = () => {
        if (stream.destroyed || stream.closed) return;
        stream.write(chunk, more);
      };
      more();
    };
    expect(await ask(open(), headers, endless)).toMatchObject({ grpc: '4' });
    await stillServes();
  });

  test('streams beyond the limit of one connection wait; the others go on', async () => {
    const session = open();
    await once(session, 'remoteSettings');
    expect(session.remoteSettings.maxConcurrentStreams).toBe(1024);
  });
});
