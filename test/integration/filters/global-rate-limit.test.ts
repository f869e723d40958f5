import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type handleUnaryCall, type Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { request } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { inboundPolicyOf } from '../../../src/mesh/inbound-policy.js';
import type { GlobalRateLimitConfig } from '../../../src/model/global-rate-limit.js';
import type { RateLimit } from '../../../src/model/rate-limit.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../../src/model/upstream-protocol.js';
import { rateLimitService } from '../../../src/proto/xds.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { startInbound } from '../inbound/support.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const { RateLimitRequestSchema, RateLimitResponseSchema, RateLimitResponse_Code: Code } = rateLimitService;
type Question = rateLimitService.RateLimitRequest;
type Answer = MessageInitShape<typeof RateLimitResponseSchema>;
/** Undefined never answers. */
type Decide = (question: Question, metadata: Metadata) => Answer | Error | undefined;

const FOREVER_MS = 60_000;

/** A rate limit service as others write it, with grpc-js. */
async function startLimits(decide: Decide): Promise<number> {
  const server = new Server();
  const shouldRateLimit: handleUnaryCall<Question, Answer> = (call, reply) => {
    const answer = decide(call.request, call.metadata);
    if (answer instanceof Error) reply({ code: status.UNAVAILABLE, message: answer.message });
    else if (answer !== undefined) reply(null, answer);
  };
  server.addService(
    {
      ShouldRateLimit: {
        path: '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit',
        requestStream: false,
        responseStream: false,
        requestSerialize: (message: Question) => Buffer.from(toBinary(RateLimitRequestSchema, message)),
        requestDeserialize: (bytes: Buffer) => fromBinary(RateLimitRequestSchema, bytes),
        responseSerialize: (message: Answer) =>
          Buffer.from(toBinary(RateLimitResponseSchema, create(RateLimitResponseSchema, message))),
        responseDeserialize: (bytes: Buffer) => fromBinary(RateLimitResponseSchema, bytes),
      },
    },
    { ShouldRateLimit: shouldRateLimit },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  closers.push(() => server.forceShutdown());
  return port;
}

const CONFIG: GlobalRateLimitConfig = {
  kind: 'global-rate-limit',
  domain: 'shop',
  stage: 0,
  requests: 'both',
  timeoutMs: FOREVER_MS,
  failureModeDeny: true,
  failureModeDenyPercent: undefined,
  resourceExhausted: false,
  service: {
    cluster: 'limits',
    authority: 'limits.example',
    timeoutMs: undefined,
    initialMetadata: [{ name: 'x-caller', value: '%REQ(x-user)%' }],
    maxReceiveBytes: undefined,
  },
  rateLimitHeaders: true,
  rateLimitedHeader: true,
  status: 429,
  responseHeaders: [],
  statusOnError: 503,
  statPrefix: '',
  enabled: undefined,
  enforced: undefined,
  rateLimits: undefined,
};
const byUser = (change: Partial<RateLimit> = {}): RateLimit => ({
  stage: 0,
  disableKey: '',
  actions: [{ kind: 'request-header', name: 'x-user', key: 'user', skipIfAbsent: false }],
  limit: undefined,
  hits: undefined,
  onStreamDone: false,
  rateLimitHeaders: undefined,
  ...change,
});

const toLimits = (port: number) =>
  cluster('limits', [endpoint(port)], { protocol: { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS } });

/** A caller whose requests to `http://shop/` are limited by the service at the port. */
async function startCaller(
  limitsPort: number,
  change: Partial<GlobalRateLimitConfig> = {},
  rateLimits: readonly RateLimit[] = [byUser()],
) {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer((incoming, response) => {
    seen.push(incoming.headers);
    response.end('sold');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  const shop = host('shop:80', [forward('shop', { rateLimits })]);
  const filters = [{ name: 'limits', config: { ...CONFIG, ...change } }, ...shop.listener.http.filters];
  const mesh = createStaticMesh(
    snapshotOf(
      [{ ...shop, listener: { ...shop.listener, http: { ...shop.listener.http, filters } } }],
      [cluster('shop', [endpoint((server.address() as AddressInfo).port)]), toLimits(limitsPort)],
    ),
  );
  const dispatcher = new MeshDispatcher(mesh);
  closers.push(
    () => mesh.close(),
    () => dispatcher.close(),
  );
  const buy = async (headers: Record<string, string> = { 'x-user': 'ada' }) => {
    const { statusCode, headers: answered, body } = await request('http://shop/', { dispatcher, headers });
    return { status: statusCode, headers: answered, text: await body.text() };
  };
  return { seen, buy };
}

describe('a rate limit service over real sockets', () => {
  test('counts requests, lets some through and refuses the rest', async () => {
    const left = new Map([['ada', 1]]);
    const callers: unknown[] = [];
    const port = await startLimits(({ domain, descriptors }, metadata) => {
      expect(domain).toBe('shop');
      callers.push(...metadata.get('x-caller'));
      const user = descriptors[0]?.entries[0]?.value ?? '';
      const remaining = left.get(user) ?? 0;
      left.set(user, remaining - 1);
      const isOver = remaining <= 0;
      return {
        overallCode: isOver ? Code.OVER_LIMIT : Code.OK,
        statuses: [
          {
            code: isOver ? Code.OVER_LIMIT : Code.OK,
            currentLimit: { requestsPerUnit: 1, unit: 2, name: 'user' },
            limitRemaining: Math.max(0, remaining - 1),
            durationUntilReset: { seconds: 17n },
          },
        ],
        rawBody: Buffer.from(isOver ? '{"error":"too many"}' : ''),
        requestHeadersToAdd: [{ key: 'x-plan', value: 'free' }],
        responseHeadersToAdd: [{ key: 'content-type', value: 'application/json' }],
      };
    });
    const { buy, seen } = await startCaller(port);
    expect(await buy()).toMatchObject({
      status: 200,
      text: 'sold',
      headers: {
        'x-ratelimit-limit': '1, 1;w=60;name="user"',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': '17',
      },
    });
    expect(seen[0]).toMatchObject({ 'x-plan': 'free' });
    expect(await buy()).toMatchObject({
      status: 429,
      text: '{"error":"too many"}',
      headers: {
        'content-type': 'application/json',
        'x-envoy-ratelimited': 'true',
        'x-ratelimit-reset': '17',
        'x-inmesh-reason': 'INMESH_RATE_LIMITED',
      },
    });
    expect(seen).toHaveLength(1);
    expect(callers).toEqual(['ada', 'ada']);
  });

  test('is not asked about requests without descriptor', async () => {
    let asked = 0;
    const { buy } = await startCaller(await startLimits(() => ({ overallCode: ++asked && Code.OVER_LIMIT })));
    expect((await buy({})).status).toBe(200);
    expect(asked).toBe(0);
  });

  test.each([
    [true, 503],
    [false, 200],
  ])('that is slow is not waited for (refusing: %s)', async (failureModeDeny, expected) => {
    const port = await startLimits(() => undefined);
    const { buy } = await startCaller(port, { timeoutMs: 20, failureModeDeny });
    expect((await buy()).status).toBe(expected);
  });

  test.each([
    [true, 503],
    [false, 200],
  ])('that fails gives no answer (refusing: %s)', async (failureModeDeny, expected) => {
    const { buy } = await startCaller(await startLimits(() => new Error('no database')), { failureModeDeny });
    expect((await buy()).status).toBe(expected);
  });

  test('that is down gives no answer', async () => {
    const server = createTcpServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const { buy } = await startCaller(port);
    expect((await buy()).status).toBe(503);
  });

  test('that speaks no gRPC gives no answer', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {}).end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(() => server.close());
    const { buy } = await startCaller((server.address() as AddressInfo).port);
    expect((await buy()).status).toBe(503);
  });

  test('hears of bytes when the exchange is over', async () => {
    const heard = new Promise<bigint | undefined>((resolve) => {
      void startLimits(({ descriptors }) => {
        resolve(descriptors[0]?.hitsAddend);
        return { overallCode: Code.OVER_LIMIT };
      }).then(async (port) => {
        const limit = byUser({ onStreamDone: true, hits: { count: '%BYTES_SENT%', isRefund: false } });
        const { buy } = await startCaller(port, {}, [limit]);
        expect((await buy()).status).toBe(200);
      });
    });
    expect(await heard).toBe(4n);
  });

  test('limits the requests to a server', async () => {
    const users: string[] = [];
    const port = await startLimits(({ descriptors }) => {
      users.push(descriptors.flatMap(({ entries }) => entries.map(({ value }) => value)).join());
      return {
        overallCode: users.length > 1 ? Code.OVER_LIMIT : Code.OK,
        responseHeadersToAdd: [{ key: 'x-plan', value: 'free' }],
      };
    });
    const mesh = createStaticMesh(snapshotOf([], [toLimits(port)]));
    const inbound = await startInbound((_incoming, response) => response.writeHead(201).end('sold'), {
      mode: 'disable',
    });
    closers.push(
      () => mesh.close(),
      () => inbound.close(),
    );
    const table = host('inbound', [{ ...forward('-'), action: { kind: 'non-forwarding' } }]).routes;
    if (table === undefined) throw new Error('a host has a table');
    inbound.policy.set(
      inboundPolicyOf(
        {
          kind: 'inbound',
          name: 'inbound',
          address: undefined,
          filterChains: [
            {
              name: 'plain',
              transportProtocol: 'raw_buffer',
              tls: undefined,
              http: {
                routes: { kind: 'inline', config: table },
                filters: [
                  {
                    name: 'limits',
                    config: {
                      ...CONFIG,
                      rateLimits: [byUser(), byUser({ actions: [{ kind: 'remote-address' }] })],
                    },
                  },
                  { name: 'router', config: { kind: 'router' } },
                ],
              },
            },
          ],
        },
        {
          clock: systemClock,
          random: seededRandom(1),
          node: { id: 'node', cluster: 'test' },
          upstream: mesh.callOut,
        },
      ),
    );
    const first = await fetch(inbound.url, { headers: { 'x-user': 'ada' } });
    expect([first.status, await first.text(), first.headers.get('x-plan')]).toEqual([201, 'sold', 'free']);
    const second = await fetch(inbound.url, { headers: { 'x-user': 'ada' } });
    expect([second.status, second.headers.get('x-envoy-ratelimited')]).toEqual([429, 'true']);
    expect(users).toEqual(['ada,127.0.0.1', 'ada,127.0.0.1']);
  });
});
