import { Readable } from 'node:stream';
import { request } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import type { ExtAuthzConfig } from '../../../src/model/ext-authz.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../../src/model/upstream-protocol.js';
import { GRPC, HTTP, named } from '../../unit/filters/ext-authz-fixtures.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';
import { closedPort, type Started, startGrpc, startHttp, startSeeing, startTcp } from './authz-servers.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
const started = async <T extends Started>(starting: Promise<T>): Promise<T> => {
  const one = await starting;
  closers.push(one.stop);
  return one;
};

const FOREVER_MS = 60_000;
const HTTP2 = { protocol: { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS } } as const;

const overHttp = (change: Partial<ExtAuthzConfig> = {}, timeoutMs = FOREVER_MS): ExtAuthzConfig => {
  if (HTTP.service.kind !== 'http') throw new Error('asks over HTTP');
  const uri = { uri: 'http://authz', cluster: 'authz', timeoutMs };
  const upstreamHeaders = [named('x-user')];
  return { ...HTTP, service: { ...HTTP.service, uri, upstreamHeaders }, ...change };
};
const overGrpc = (change: Partial<ExtAuthzConfig> = {}, timeoutMs = FOREVER_MS): ExtAuthzConfig => {
  if (GRPC.service.kind !== 'grpc') throw new Error('asks over gRPC');
  const initialMetadata = [{ name: 'x-caller', value: '%REQ(x-user)%' }];
  const service = { ...GRPC.service.service, timeoutMs, initialMetadata };
  return { ...GRPC, service: { kind: 'grpc', service }, ...change };
};

type Send = Parameters<typeof request>[1];

/** A caller whose requests to `http://shop/` are judged by the service at the port. */
async function startCaller(port: number, config: ExtAuthzConfig, isHttp2 = config.service.kind === 'grpc') {
  const server = await started(startSeeing((_seen, response) => response.end('sold')));
  const shop = host('shop:80', [forward('shop')]);
  const filters = [{ name: 'authz', config }, ...shop.listener.http.filters];
  const mesh = createStaticMesh(
    snapshotOf(
      [{ ...shop, listener: { ...shop.listener, http: { ...shop.listener.http, filters } } }],
      [cluster('shop', [endpoint(server.port)]), cluster('authz', [endpoint(port)], isHttp2 ? HTTP2 : {})],
    ),
  );
  const dispatcher = new MeshDispatcher(mesh);
  closers.push(
    () => mesh.close(),
    () => dispatcher.close(),
  );
  const buy = async (send: Send = {}) => {
    const answer = await request('http://shop/cart?a=1', {
      headers: { 'x-user': 'ada' },
      ...send,
      dispatcher,
    });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  };
  return { seen: server.seen, buy };
}

describe('an authorization service over HTTP', () => {
  test('lets a request through, with who it is from', async () => {
    const authz = await started(
      startSeeing((_seen, response) => response.setHeader('x-user', 'ada@shop').end('fine')),
    );
    const { buy, seen } = await startCaller(authz.port, overHttp({ allowedHeaders: [named('x-user')] }));
    expect(await buy()).toMatchObject({ status: 200, text: 'sold' });
    expect(authz.seen[0]).toMatchObject({ method: 'GET', url: '/cart?a=1', headers: { 'x-user': 'ada' } });
    expect(seen[0]?.headers).toMatchObject({ 'x-user': 'ada@shop', host: 'shop' });
  });

  test('refuses one, and hears nothing of its body', async () => {
    const authz = await started(
      startSeeing((_seen, response) =>
        response.writeHead(401, { 'content-type': 'application/json', 'set-cookie': ['a', 'b'] }).end('{}'),
      ),
    );
    const { buy, seen } = await startCaller(authz.port, overHttp());
    expect(await buy({ method: 'POST', body: 'order' })).toMatchObject({
      status: 401,
      text: '{}',
      headers: { 'content-type': 'application/json', 'set-cookie': ['a', 'b'] },
    });
    expect(authz.seen[0]).toMatchObject({ method: 'POST', body: '', headers: { 'content-length': '0' } });
    expect(seen).toEqual([]);
  });

  const body = { maxBytes: 100_000, allowPartial: false, packAsBytes: false };

  test.each([
    ['a text', () => 'o'.repeat(100_000)],
    ['a stream', () => Readable.from(['o'.repeat(60_000), 'o'.repeat(40_000)])],
  ])('sees a body where it is wanted, and so does the server: %s', async (_kind, make) => {
    const authz = await started(startSeeing((_seen, response) => response.end()));
    const { buy, seen } = await startCaller(authz.port, overHttp({ body }));
    expect((await buy({ method: 'POST', body: make() })).status).toBe(200);
    expect(authz.seen[0]?.body).toHaveLength(100_000);
    expect(authz.seen[0]?.headers['x-envoy-auth-partial-body']).toBe('false');
    expect(seen[0]?.body).toHaveLength(100_000);
  });

  test('sees the beginning of a long body where that is allowed; else it is not asked', async () => {
    const authz = await started(startSeeing((_seen, response) => response.end()));
    const stream = () => Readable.from(['o'.repeat(60_000), 'o'.repeat(60_000)]);
    const partly = await startCaller(authz.port, overHttp({ body: { ...body, allowPartial: true } }));
    expect((await partly.buy({ method: 'POST', body: stream() })).status).toBe(200);
    expect(authz.seen[0]?.body).toHaveLength(100_000);
    expect(partly.seen[0]?.body).toHaveLength(120_000);
    const wholly = await startCaller(authz.port, overHttp({ body }));
    expect((await wholly.buy({ method: 'POST', body: stream() })).status).toBe(413);
    expect(authz.seen).toHaveLength(1);
    expect(wholly.seen).toEqual([]);
  });

  const hostile: readonly (readonly [string, () => Promise<Started>])[] = [
    ['fails', () => startHttp((_request, response) => response.writeHead(502).end())],
    [
      'resets the connection',
      () => startTcp((socket) => socket.once('data', () => socket.resetAndDestroy())),
    ],
    ['speaks nonsense', () => startTcp((socket) => socket.write('220 mail.example ESMTP\r\n'))],
    [
      'breaks its answer off',
      () =>
        startTcp((socket) =>
          socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok')),
        ),
    ],
    [
      'never stops answering',
      () =>
        startHttp((_request, response) => {
          const chunk = 'x'.repeat(65_536);
          const more = () => {
            if (!response.destroyed) response.write(chunk, () => setImmediate(more));
          };
          more();
        }),
    ],
  ];

  test.each(hostile)('that %s has no answer', async (_what, start) => {
    const { port } = await started(start());
    const refusing = await startCaller(port, overHttp({ statusOnError: 503 }));
    expect(await refusing.buy()).toMatchObject({
      status: 503,
      headers: { 'x-inmesh-reason': 'INMESH_AUTHZ_UNANSWERED' },
    });
    expect(refusing.seen).toEqual([]);
    const allowing = await startCaller(
      port,
      overHttp({ failureModeAllow: true, failureModeAllowHeaderAdd: true }),
    );
    expect((await allowing.buy()).status).toBe(200);
    expect(allowing.seen[0]?.headers['x-envoy-auth-failure-mode-allowed']).toBe('true');
  });

  test.each([
    ['says nothing', () => startTcp(() => {})],
    [
      'says its answer slowly',
      () => startHttp((_request, response) => void response.writeHead(200).write('x')),
    ],
  ])('that %s is not waited for', async (_what, start) => {
    const { port } = await started(start());
    const { buy } = await startCaller(port, overHttp({}, 30));
    expect((await buy()).status).toBe(403);
  });

  test('that is down has no answer', async () => {
    const { buy } = await startCaller(await closedPort(), overHttp());
    expect((await buy()).status).toBe(403);
  });
});

describe('an authorization service over gRPC', () => {
  test('lets a request through, changed', async () => {
    const callers: unknown[] = [];
    const authz = await started(
      startGrpc(({ attributes }, metadata) => {
        callers.push(metadata.get('x-caller'), attributes?.request?.http?.path);
        return {
          httpResponse: {
            case: 'okResponse',
            value: {
              headers: [{ header: { key: 'x-user', value: 'ada@shop' } }],
              headersToRemove: ['x-secret'],
              queryParametersToSet: [{ key: 'b', value: '2' }],
              responseHeadersToAdd: [{ header: { key: 'x-plan', value: 'free' } }],
            },
          },
        };
      }),
    );
    const { buy, seen } = await startCaller(authz.port, overGrpc());
    const headers = { 'x-user': 'ada', 'x-secret': 's' };
    expect(await buy({ headers })).toMatchObject({ status: 200, headers: { 'x-plan': 'free' } });
    expect(seen[0]).toMatchObject({ url: '/cart?a=1&b=2', headers: { 'x-user': 'ada@shop' } });
    expect(seen[0]?.headers['x-secret']).toBeUndefined();
    expect(callers).toEqual([['ada'], '/cart?a=1']);
  });

  test('refuses one, in its own words', async () => {
    const authz = await started(
      startGrpc(({ attributes }) => ({
        status: { code: 7 },
        httpResponse: {
          case: 'deniedResponse',
          value: {
            status: { code: 402 },
            headers: [{ header: { key: 'x-why', value: 'money' } }],
            body: `no ${attributes?.request?.http?.body}`,
          },
        },
      })),
    );
    const body = { maxBytes: 5, allowPartial: true, packAsBytes: false };
    const { buy, seen } = await startCaller(authz.port, overGrpc({ body }));
    expect(await buy({ method: 'POST', body: 'order of tea' })).toMatchObject({
      status: 402,
      text: 'no order',
      headers: { 'x-why': 'money' },
    });
    expect(seen).toEqual([]);
  });

  test.each<readonly [string, () => Promise<Started>]>([
    ['fails', () => startGrpc(() => new Error('no database'))],
    [
      'resets the connection',
      () => startTcp((socket) => socket.once('data', () => socket.resetAndDestroy())),
    ],
    ['speaks HTTP/1.1', () => startHttp((_request, response) => response.end('ok'))],
    ['answers too much', () => startGrpc(() => ({ dynamicMetadata: { long: 'x'.repeat(5 * 1024 * 1024) } }))],
  ])('that %s has no answer', async (_what, start) => {
    const { port } = await started(start());
    const { buy, seen } = await startCaller(port, overGrpc({ statusOnError: 503 }));
    expect((await buy()).status).toBe(503);
    expect(seen).toEqual([]);
  });

  test('that is slow is not waited for', async () => {
    const { port } = await started(startGrpc(() => undefined));
    const { buy } = await startCaller(port, overGrpc({}, 30));
    expect((await buy()).status).toBe(403);
  });

  test('behind a cluster that speaks HTTP/1.1 has no answer', async () => {
    const { port } = await started(startGrpc(() => ({})));
    const { buy } = await startCaller(port, overGrpc({ failureModeAllow: false }), false);
    expect((await buy()).status).toBe(403);
  });
});
