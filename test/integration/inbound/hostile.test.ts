import { connect as connectHttp2, constants } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MeshServer, startMeshServer } from '../../vectors/mesh-server.js';

/** What strangers send to a server in the mesh: no request is born inside another, nobody else waits, nothing crashes. */

let server: MeshServer;

beforeAll(async () => {
  server = await startMeshServer();
});

afterAll(() => server.close());

const alive = async () =>
  (await server.http1('GET /alive HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n')).status;

describe('a request that means two things', () => {
  const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n';
  const post = (head: string, body: string) => `POST / HTTP/1.1\r\nHost: web\r\n${head}\r\n\r\n${body}`;
  const chunk = `0\r\n\r\n${SMUGGLED}`;

  test.each([
    ['a length and chunks', post(`Content-Length: ${chunk.length}\r\nTransfer-Encoding: chunked`, chunk)],
    ['chunks and a length', post(`Transfer-Encoding: chunked\r\nContent-Length: 4`, chunk)],
    ['two lengths', post(`Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}`, SMUGGLED)],
    ['two lengths in one line', post(`Content-Length: 0, ${SMUGGLED.length}`, SMUGGLED)],
    ['a length with a sign', post(`Content-Length: +0`, SMUGGLED)],
    ['a length in hex', post(`Content-Length: 0x0`, SMUGGLED)],
    ['a length with a space in it', post(`Content-Length: 0 0`, SMUGGLED)],
    ['a length below zero', post('Content-Length: -1', SMUGGLED)],
    ['chunks that are not the last coding', post('Transfer-Encoding: chunked, identity', chunk)],
    ['another coding', post('Transfer-Encoding: xchunked', chunk)],
    ['a coding with a tab', post('Transfer-Encoding:\tchunked\x0b', chunk)],
    ['a space before the colon', post('Transfer-Encoding : chunked', chunk)],
    ['a name with a space', post('Transfer Encoding: chunked', chunk)],
    ['a folded line', post('X-A: 1\r\n Transfer-Encoding: chunked', chunk)],
    ['a bare line feed before a name', post('X-A: 1\nTransfer-Encoding: chunked', chunk)],
    ['a bare carriage return', post('X-A: 1\rTransfer-Encoding: chunked', chunk)],
    ['a zero byte', post('X-A: \0', '')],
    ['a size of a chunk that is none', post('Transfer-Encoding: chunked', `0x0\r\n\r\n${SMUGGLED}`)],
    ['a size of a chunk that is negative', post('Transfer-Encoding: chunked', `-1\r\n\r\n${SMUGGLED}`)],
    ['a chunk longer than it says', post('Transfer-Encoding: chunked', `1\r\nab\r\n0\r\n\r\n${SMUGGLED}`)],
    ['two hosts', `GET / HTTP/1.1\r\nHost: web\r\nHost: admin\r\n\r\n`],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['a user in its host', 'GET / HTTP/1.1\r\nHost: web@admin\r\n\r\n'],
    ['another version', 'GET / HTTP/3.0\r\nHost: web\r\n\r\n'],
    ['a target with a space', 'GET /a b HTTP/1.1\r\nHost: web\r\n\r\n'],
    ['a method that is none', 'G@T / HTTP/1.1\r\nHost: web\r\n\r\n'],
  ])('%s: is refused, and nothing comes out of its body', async (_what, text) => {
    const before = server.requests();
    const { status } = await server.http1(text);
    expect(status === 0 || (status >= 400 && status < 500)).toBe(true);
    // The application may have seen its head, but no second request.
    expect(server.requests() - before).toBeLessThanOrEqual(1);
    expect(await alive()).toBe(200);
  });

  test('a path that is forbidden stays forbidden in every form', async () => {
    const policy = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: paths}
spec:
  action: DENY
  rules: [{to: [{operation: {paths: [/admin*]}}]}]
`;
    const guarded = await startMeshServer({ pathNormalization: 'DECODE_AND_MERGE_SLASHES' }, policy);
    const forms = [
      '/admin',
      '//admin',
      '/./admin',
      '/x/../admin',
      '/x/%2e%2e/admin',
      '/x/..%2fadmin',
      '/%61dmin',
      '/\\admin',
      '/%5cadmin',
      'http://web/admin',
      '/admin?x',
      '/admin/',
    ];
    for (const form of forms) {
      const { status } = await guarded.http1(
        `GET ${form} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n`,
      );
      expect([form, status]).toEqual([form, 403]);
      if (form.startsWith('/'))
        expect([form, (await guarded.http2({ ':path': form })).status]).toEqual([form, 403]);
    }
    expect((await guarded.http1('GET /open HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n')).status).toBe(
      200,
    );
    await guarded.close();
  });
});

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** A frame of HTTP/2. */
function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const SETTINGS = frame(4, 0, 0);
/** `GET / http` and an authority, by the static table of HPACK. */
const HEAD = Buffer.from([0x82, 0x84, 0x86, 0x41, 0x03, ...Buffer.from('web')]);

const LAST = Buffer.from('the last');

/** Sends frames, and then a ping: whether the server answers it, or says goodbye. */
function flood(port: number, frames: Iterable<Buffer>): Promise<'ended' | 'open'> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, '127.0.0.1');
    let received = Buffer.alloc(0);
    const settle = (outcome: 'ended' | 'open') => {
      socket.destroy();
      resolve(outcome);
    };
    socket.on('error', () => {});
    socket.on('close', () => settle('ended'));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 9) {
        const length = received.readUIntBE(0, 3);
        if (received.length < 9 + length) break;
        const [type, flags] = [received.readUInt8(3), received.readUInt8(4)];
        const payload = received.subarray(9, 9 + length);
        // GOAWAY with an error, or the answer to our ping.
        if (type === 7 && payload.readUInt32BE(4) !== 0) settle('ended');
        else if (type === 6 && flags === 1 && payload.equals(LAST)) settle('open');
        received = received.subarray(9 + length);
      }
    });
    socket.on('connect', () =>
      socket.write(Buffer.concat([Buffer.from(PREFACE), SETTINGS, ...frames, frame(6, 0, 0, LAST)])),
    );
  });
}

function* times(count: number, make: (index: number) => Buffer): Generator<Buffer> {
  for (let i = 0; i < count; i++) yield make(i);
}

describe('floods over HTTP/2', () => {
  test('streams that are opened and reset at once end the connection', async () => {
    const reset = Buffer.from([0, 0, 0, constants.NGHTTP2_CANCEL]);
    const frames = times(3_000, (i) =>
      Buffer.concat([frame(1, 0x5, 2 * i + 1, HEAD), frame(3, 0, 2 * i + 1, reset)]),
    );
    expect(await flood(server.port, frames)).toBe('ended');
    expect(await alive()).toBe(200);
  });

  test('a head without an end ends the connection', async () => {
    function* frames() {
      yield frame(1, 0x1, 1, HEAD);
      // Literals that are never indexed, each of a few bytes.
      for (let i = 0; i < 10_000; i++) yield frame(9, 0, 1, Buffer.from([0x10, 0x01, 0x61, 0x01, 0x62]));
    }
    expect(await flood(server.port, frames())).toBe('ended');
    expect(await alive()).toBe(200);
  });

  test('settings and pings that are never read end the connection or cost nothing', async () => {
    await flood(
      server.port,
      times(5_000, () => SETTINGS),
    );
    await flood(
      server.port,
      times(5_000, () => frame(6, 0, 0, Buffer.alloc(8))),
    );
    expect(await alive()).toBe(200);
  });

  test('a header that grows when it is unpacked is not taken', async () => {
    const session = connectHttp2(`http://127.0.0.1:${server.port}`);
    session.on('error', () => {});
    const before = server.requests();
    const stream = session.request({
      ':path': '/',
      'x-bomb': 'a'.repeat(60_000),
      'x-more': 'b'.repeat(60_000),
    });
    stream.on('error', () => {});
    await new Promise((resolve) => stream.once('close', resolve));
    expect(server.requests()).toBe(before);
    session.destroy();
    expect(await alive()).toBe(200);
  });

  test('a long header that is named again and again by one byte is taken to the bound of a head', async () => {
    const value = Buffer.alloc(4_000, 'a');
    // RFC 7541 §6.2.1: a cookie (32 in the static table) that the dynamic table keeps; its length takes three bytes.
    const cookie = Buffer.concat([Buffer.from([0x60, 0x7f, 0xa1, 0x1e]), value]);
    const before = server.requests();
    const send = async (crumbs: number) => {
      const head = Buffer.concat([HEAD, cookie, Buffer.alloc(crumbs, 0xbe)]);
      await flood(server.port, [frame(1, 0x5, 1, head)]);
      return server.requests() - before;
    };
    expect(await send(20)).toBe(0);
    expect(await send(120)).toBe(0);
    // What a browser may send is taken.
    expect(await send(1)).toBe(1);
  });

  test('frames that are none end the connection', async () => {
    for (const bad of [
      frame(0, 0, 0, Buffer.from('data without a stream')),
      frame(1, 0x5, 2, HEAD),
      frame(5, 0x4, 1, Buffer.alloc(8)),
      frame(8, 0, 0, Buffer.from([0, 0, 0, 0])),
      frame(1, 0x5, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])),
      Buffer.concat([frame(1, 0x1, 1, HEAD), frame(6, 0, 0, Buffer.alloc(8))]),
    ]) {
      expect(await flood(server.port, [bad])).toBe('ended');
    }
    expect(await alive()).toBe(200);
  });
});
