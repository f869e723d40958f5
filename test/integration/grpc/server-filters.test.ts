import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defineFilter } from '../../../src/filters.js';
import type { Observer } from '../../../src/index.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import { ALWAYS } from '../../../src/model/percent.js';
import type { RbacPrincipal } from '../../../src/model/rbac.js';
import { readBody } from '../../../src/service/body.js';
import { configOf, createIssuer, providerOf, setOf, sign } from '../../unit/filters/jwt-fixtures.js';
import { eventually } from '../mesh/support.js';
import type { StreamingOutputCallResponse } from './interop-messages.js';
import { bareClient, credentialsOf, metadataOf, outcomeOf } from './server-support.js';
import { ServerWorld } from './server-world.js';

let servers: ServerWorld;
beforeAll(async () => {
  servers = await ServerWorld.start();
});
afterAll(() => servers.close());

const exact = (value: string) => ({ kind: 'exact', value, ignoreCase: false }) as const;

const rbacOf = (principal: RbacPrincipal, path: string): FilterConfig => ({
  kind: 'rbac',
  rules: {
    action: 'allow',
    policies: [{ name: 'p', permissions: [{ kind: 'path', matcher: exact(path) }], principals: [principal] }],
  },
  shadowRules: undefined,
  rulesStatPrefix: '',
  shadowRulesStatPrefix: '',
  trackPerRuleStats: false,
});

const limitOf = (resourceExhausted: boolean): FilterConfig => ({
  kind: 'local-rate-limit',
  statPrefix: 'limit',
  status: 429,
  bucket: { maxTokens: 1, tokensPerFill: 1, fillIntervalMs: 3_600_000 },
  enabled: ALWAYS,
  enforced: ALWAYS,
  requestHeadersWhenNotEnforced: [],
  responseHeaders: [],
  descriptors: [],
  maxDynamicDescriptors: 20,
  stage: 0,
  rateLimits: undefined,
  virtualHostRateLimits: 'override',
  perConnection: false,
  rateLimitHeaders: false,
  alwaysConsumeDefault: true,
  resourceExhausted,
});

const faultOf = (abort: Extract<FilterConfig, { kind: 'fault' }>['abort']): FilterConfig => ({
  kind: 'fault',
  delay: undefined,
  abort,
  upstreamCluster: '',
  headers: [],
  maxActiveFaults: undefined,
});

const UNARY = '/grpc.testing.TestService/UnaryCall';

describe('filters of the listener', () => {
  test('RBAC by method and identity: PERMISSION_DENIED, also for methods that there are not', async () => {
    const name = exact('spiffe://cluster.local/ns/default/sa/friend');
    const { port } = await servers.serve({ filters: [rbacOf({ kind: 'authenticated', name }, UNARY)] });
    const friend = await servers.world.join({ serviceAccount: 'friend' });
    const other = await servers.world.join({ serviceAccount: 'other' });
    const client = bareClient(servers.world, port, credentialsOf(friend));
    expect(await outcomeOf(client)).toEqual(['OK', '']);
    const denied = ['PERMISSION_DENIED', 'RBAC: access denied'];
    expect(await outcomeOf(bareClient(servers.world, port, credentialsOf(other)))).toEqual(denied);
    // A name that the caller gives itself is worth nothing.
    const forged = { 'x-forwarded-client-cert': 'By=x;URI=spiffe://cluster.local/ns/default/sa/friend' };
    expect(await outcomeOf(bareClient(servers.world, port), forged)).toEqual(denied);
    const unknown = await new Promise<grpc.ServiceError | null>((resolve) => {
      client.unimplementedCall({}, new grpc.Metadata(), {}, (error) => resolve(error));
    });
    expect([unknown?.code, unknown?.details]).toEqual([grpc.status.PERMISSION_DENIED, 'RBAC: access denied']);
  });

  test('JWT: UNAUTHENTICATED without a token', async () => {
    const issuer = await createIssuer();
    const provider = providerOf(setOf(issuer.jwk), { claimToHeaders: [{ header: 'x-sub', claim: 'sub' }] });
    const jwt = configOf({ p: provider });
    let subject: unknown;
    const { port } = await servers.serve(
      { filters: [jwt] },
      {
        handlers: {
          unaryCall(call: grpc.ServerUnaryCall<object, object>, callback: grpc.sendUnaryData<object>) {
            subject = call.metadata.get('x-sub')[0];
            callback(null, {});
          },
        },
      },
    );
    const client = bareClient(servers.world, port);
    expect(await outcomeOf(client)).toEqual(['UNAUTHENTICATED', 'Jwt is missing']);
    const token = await sign(issuer, { exp: Math.floor(Date.now() / 1000) + 60 });
    expect(await outcomeOf(client, { authorization: `Bearer ${token}` })).toEqual(['OK', '']);
    expect(subject).toBe('alice');
  });

  test.each([
    [false, 'UNAVAILABLE'],
    [true, 'RESOURCE_EXHAUSTED'],
  ])('a local rate limit (rate_limited_as_resource_exhausted: %s): %s', async (exhausted, code) => {
    const { port } = await servers.serve({ filters: [limitOf(exhausted)] });
    const client = bareClient(servers.world, port);
    expect([await outcomeOf(client), await outcomeOf(client)]).toEqual([
      ['OK', ''],
      [code, 'local_rate_limited'],
    ]);
  });

  test('injected aborts, by HTTP status and by gRPC code', async () => {
    const ofHttp = faultOf({ status: { kind: 'http', code: 503 }, percentage: ALWAYS });
    const ofGrpc = faultOf({ status: { kind: 'grpc', code: 10 }, percentage: ALWAYS });
    const http = await servers.serve({ filters: [ofHttp] });
    const own = await servers.serve({ filters: [ofGrpc] });
    expect(await outcomeOf(bareClient(servers.world, http.port))).toEqual([
      'UNAVAILABLE',
      'fault filter abort',
    ]);
    expect(await outcomeOf(bareClient(servers.world, own.port))).toEqual(['ABORTED', 'fault filter abort']);
  });

  test('headers are changed both ways', async () => {
    const addition = (name: string, value: string) =>
      ({
        kind: 'set',
        addition: { name, value, action: 'overwrite-if-exists-or-add', keepEmpty: false },
      }) as const;
    let seen: grpc.Metadata | undefined;
    const { port } = await servers.serve(
      {
        filters: [
          {
            kind: 'header-mutation',
            request: [addition('x-added', 'yes'), { kind: 'remove', name: 'x-secret' }],
            response: [addition('x-answer', '%PROTOCOL%')],
            mostSpecificWins: false,
          },
        ],
      },
      {
        handlers: {
          unaryCall(call: grpc.ServerUnaryCall<object, object>, callback: grpc.sendUnaryData<object>) {
            seen = call.metadata;
            callback(null, {});
          },
        },
      },
    );
    const client = bareClient(servers.world, port);
    const metadata = metadataOf({ 'x-secret': 'a', 'x-kept': 'b' });
    metadata.add('x-many-bin', Buffer.from([1, 2]));
    metadata.add('x-many-bin', Buffer.from([3]));
    const answer = await new Promise<grpc.Metadata>((resolve, reject) => {
      const call = client.unaryCall({}, metadata, {}, (error) => error !== null && reject(error));
      call.on('metadata', resolve);
    });
    expect(answer.get('x-answer')).toEqual(['HTTP/2']);
    expect([seen?.get('x-added'), seen?.get('x-secret'), seen?.get('x-kept')]).toEqual([['yes'], [], ['b']]);
    expect(seen?.get('x-many-bin')).toEqual([Buffer.from([1, 2]), Buffer.from([3])]);
  });

  test('a filter reads what the call sends, and may put something else in its place', async () => {
    const bodies: number[] = [];
    const reader = defineFilter({
      name: 'test.Reader',
      create: () => async (request, next) => {
        const bytes = await readBody(request.body);
        bodies.push(bytes.byteLength);
        request.body = { kind: 'bytes', bytes };
        return next(request);
      },
    });
    const { port } = await servers.serve({}, { mesh: { filters: [reader.use(undefined)] } });
    const client = bareClient(servers.world, port);
    expect(await outcomeOf(client)).toEqual(['OK', '']);
    const size = await new Promise<number | undefined>((resolve, reject) => {
      const call = client.streamingInputCall(new grpc.Metadata(), {}, (error, answer) =>
        error === null ? resolve(answer?.aggregatedPayloadSize) : reject(error),
      );
      for (let i = 0; i < 10; i++) call.write({ payload: { type: 0, body: Buffer.alloc(50_000) } });
      call.end();
    });
    expect(size).toBe(500_000);
    expect(bodies[1]).toBeGreaterThan(500_000);
  });

  test('the bytes of an answer go slowly where a fault says so, and its status comes after them', async () => {
    const slow: FilterConfig = {
      ...(faultOf(undefined) as Extract<FilterConfig, { kind: 'fault' }>),
      responseRate: { limitKbps: 64, percentage: ALWAYS },
    };
    const { port } = await servers.serve({ filters: [slow] });
    const client = bareClient(servers.world, port);
    const begin = performance.now();
    const sizes: number[] = [];
    const call = client.streamingOutputCall({ responseParameters: [{ size: 9000 }, { size: 9000 }] });
    for await (const { payload } of call as AsyncIterable<StreamingOutputCallResponse>)
      sizes.push(payload?.body?.byteLength ?? 0);
    expect(sizes).toEqual([9000, 9000]);
    // 18 000 bytes at 64 KiB a second, less what goes at once.
    expect(performance.now() - begin).toBeGreaterThan(150);
  });
});

test('access logs and metrics have what gRPC has', async () => {
  const lines: string[] = [];
  const observed: { status: number; path: string }[] = [];
  const observer: Observer = {
    exchange: ({ path }, { status }) => void observed.push({ status, path }),
  };
  const format =
    '%PROTOCOL% %REQ(:PATH)% %GRPC_STATUS% %GRPC_STATUS_NUMBER% %BYTES_RECEIVED% %RESPONSE_FLAGS%';
  const { port, mesh } = await servers.serve(
    { filters: [limitOf(true)] },
    { mesh: { observers: [observer], accessLog: { format, to: (line) => void lines.push(line.trimEnd()) } } },
  );
  const client = bareClient(servers.world, port);
  await outcomeOf(client);
  await outcomeOf(client);
  await eventually('two lines', () => lines.length === 2);
  expect(lines).toEqual([
    `HTTP/2 ${UNARY} OK 0 7 -`,
    expect.stringMatching(new RegExp(`^HTTP/2 ${UNARY} ResourceExhausted 8 \\d RL$`)),
  ]);
  expect(observed).toEqual([
    { status: 200, path: UNARY },
    { status: 200, path: UNARY },
  ]);
  const metrics = mesh.metrics();
  for (const status of ['0', '8'])
    expect(metrics).toMatch(
      new RegExp(`istio_requests_total\\{reporter="destination".*grpc_response_status="${status}".*\\} 1`),
    );
  expect(metrics).toMatch(/istio_request_messages_total\{.*request_protocol="grpc".*\} 1/);
});
