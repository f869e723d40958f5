import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bareClient, outcomeOf, serveGrpc } from '../grpc/server-support.js';
import { becomes, policy } from './authorization-world.js';
import { World } from './features-world.js';
import type { Member } from './support.js';

/** What is denied stays denied, however a request is written: raw HTTP/1.1, HTTP/2 and gRPC at real listeners. */

let world: World;
let server: Member;
let grpcPort = 0;

const POLICIES = [
  policy('paths', '{action: DENY, rules: [{to: [{operation: {paths: [/admin, "/secret/{*}/key"]}}]}]}'),
  policy('roles', '{action: DENY, rules: [{when: [{key: "request.headers[X-Role]", values: [admin]}]}]}'),
  policy('hosts', '{action: DENY, rules: [{to: [{operation: {hosts: [internal.test]}}]}]}'),
  policy(
    'calls',
    '{action: DENY, rules: [{to: [{operation: {paths: ["/grpc.testing.TestService/UnaryCall"]}}], when: [{key: "request.headers[x-kind]", values: [bad]}]}]}',
  ),
].join('');

beforeAll(async () => {
  world = await World.start(POLICIES);
  server = await world.serve({ service: 'echo' }, (request, response) => {
    request.resume();
    response.end('in');
  });
  ({ port: grpcPort } = await serveGrpc(world, { mesh: { service: 'calls' } }));
  await becomes(() => raw('GET /admin HTTP/1.1', 'host: a'), 403);
});

afterAll(() => world.close());

/** The status of what a server answers to these lines; 0 = it answers nothing. */
async function raw(...lines: readonly string[]): Promise<number> {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`${[...lines, 'connection: close'].join('\r\n')}\r\n\r\n`);
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(socket, 'close');
  return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0);
}

/** The same over HTTP/2. */
async function raw2(headers: Record<string, string | string[]>): Promise<number> {
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  session.on('error', () => {});
  try {
    const stream = session.request({ ':path': '/', ...headers });
    stream.end();
    const status = await new Promise<number>((resolve) => {
      stream.on('response', (head) => resolve(Number(head[':status'])));
      stream.on('error', () => resolve(0));
      stream.on('close', () => resolve(0));
    });
    stream.close();
    return status;
  } finally {
    session.destroy();
  }
}

const REFUSED = [0, 400, 403];

describe('a denied path', () => {
  const forms = [
    '/admin',
    '/admin?x=1',
    '/x/../admin',
    '/./admin',
    '/%61dmin',
    '/x/%2e%2e/admin',
    '//admin',
    '/admin;a=b',
    '/x/..;/admin',
    '/%2fadmin',
    '/x/..%2fadmin',
    '/admin#x',
    '/\\admin',
    '/secret/1/key',
    '/secret/1;x/key',
    '/secret/1/../2/key',
  ];

  test.each(forms)('over HTTP/1.1 as %s', async (path) => {
    expect(REFUSED).toContain(await raw(`GET ${path} HTTP/1.1`, 'host: a'));
  });

  test.each(forms)('over HTTP/2 as %s', async (path) => {
    expect(REFUSED).toContain(await raw2({ ':path': path }));
  });

  test('in absolute form', async () => {
    expect(REFUSED).toContain(await raw('GET http://a/admin HTTP/1.1', 'host: a'));
  });

  test('others are let in', async () => {
    expect([
      await raw('GET /administrator HTTP/1.1', 'host: a'),
      await raw2({ ':path': '/x/admin' }),
    ]).toEqual([200, 200]);
  });
});

describe('a denied header', () => {
  test.each([
    [['x-role: admin']],
    [['X-ROLE: admin']],
    [['x-role: user', 'x-role: admin']],
    [['x-role: admin', 'X-Role: user']],
    [['x-role: user, admin']],
    [['x-role:   admin   ']],
  ])('over HTTP/1.1 as %j', async (lines) => {
    expect(await raw('GET / HTTP/1.1', 'host: a', ...lines)).toBe(403);
  });

  test.each([['admin'], [['user', 'admin']], ['user, admin']])('over HTTP/2 as %j', async (value) => {
    expect(await raw2({ 'x-role': value })).toBe(403);
  });

  test('others are let in', async () => {
    expect(await raw('GET / HTTP/1.1', 'host: a', 'x-role: user')).toBe(200);
  });
});

describe('a denied host', () => {
  test.each(['internal.test', 'INTERNAL.test', 'internal.test:80', 'internal.test.', 'internal.test.:8080'])(
    'as %s',
    async (host) => {
      expect(await raw('GET / HTTP/1.1', `host: ${host}`)).toBe(403);
      expect(await raw2({ ':authority': host })).toBe(403);
    },
  );
});

describe('a denied call of gRPC', () => {
  test('by its method and metadata', async () => {
    const client = bareClient(world, grpcPort);
    await becomes(async () => (await outcomeOf(client, { 'x-kind': 'bad' }))[0], 'PERMISSION_DENIED');
    expect((await outcomeOf(client, { 'x-kind': 'bad' }))[1]).toBe('RBAC: access denied');
    expect((await outcomeOf(client, { 'x-kind': 'good, bad' }))[0]).toBe('PERMISSION_DENIED');
    expect((await outcomeOf(client, { 'X-Kind': 'good' }))[0]).toBe('OK');
  });
});
