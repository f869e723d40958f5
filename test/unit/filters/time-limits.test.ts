import { describe, expect, test } from 'vitest';
import { tellTimeout, timeLimits } from '../../../src/filters/time-limits.js';
import type { RouterConfig } from '../../../src/model/filter-config.js';
import type { HedgePolicy, RetryPolicy } from '../../../src/model/retry.js';
import type { RouteAction } from '../../../src/model/route.js';
import { runForInbound } from '../../../src/service/inbound-scope.js';
import type { Request, Response } from '../../../src/service/service.js';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.js';
import { makeRequest, openResponse } from './support.js';

const NO_RETRY: RetryPolicy = {
  retryOn: [],
  numRetries: 1,
  perTryTimeoutMs: undefined,
  retriableStatusCodes: [],
  baseIntervalMs: 25,
  maxIntervalMs: 250,
  avoidPreviousHosts: false,
  hostSelectionAttempts: 1,
};

const ROUTE: RouteAction = {
  kind: 'forward',
  cluster: { kind: 'cluster', name: 'reviews' },
  timeoutMs: 15_000,
  retryPolicy: undefined,
  maxStreamDurationMs: undefined,
  priority: 'default',
  pathRewrite: undefined,
};

interface Scene {
  readonly action?: Partial<RouteAction>;
  readonly policy?: Partial<RetryPolicy>;
  readonly hedge?: HedgePolicy;
  readonly router?: Partial<RouterConfig>;
  readonly header?: Record<string, string>;
  readonly method?: string;
}

/** The request as the attempt below gets it, and what an attempt would say to its upstream. */
function limited(scene: Scene, clock: FakeClock = createFakeClock()) {
  const { action, policy, hedge, router, header = {}, method = 'GET' } = scene;
  const filter = timeLimits(
    {
      action: { ...ROUTE, ...action },
      policy: { ...NO_RETRY, ...policy },
      hedge,
      router: { kind: 'router', ...router },
    },
    { clock },
  );
  const request = makeRequest({ header, method });
  const seen: Request[] = [];
  const answer = filter(request, async (below) => {
    seen.push(below);
    const { limits } = below.context;
    if (limits !== undefined) tellTimeout(below, limits, clock.now());
    return openResponse(200);
  });
  return {
    request,
    answer,
    seen,
    limits: request.context.limits,
    header: (name: string) => request.headers.get(name),
  };
}

const grpc = { 'content-type': 'application/grpc' };

describe('the time limits of a request', () => {
  test('are those of its route, told to the upstream', () => {
    const { limits, header } = limited({ policy: { perTryTimeoutMs: 2000, perTryIdleTimeoutMs: 900 } });
    expect(limits).toMatchObject({ globalMs: 15_000, perTryMs: 2000, perTryIdleMs: 900 });
    expect(header('x-envoy-expected-rq-timeout-ms')).toBe('2000');
  });

  test('are not told when the router writes no headers of its own', () => {
    const { header } = limited({ router: { suppressEnvoyHeaders: true } });
    expect(header('x-envoy-expected-rq-timeout-ms')).toBeUndefined();
  });

  test('no limit at all costs nothing', () => {
    expect(limited({ action: { timeoutMs: 0 } }).limits).toBeUndefined();
  });

  test('a per-try timeout that is not below the timeout is ignored', () => {
    expect(limited({ action: { timeoutMs: 1000 }, policy: { perTryTimeoutMs: 1000 } }).limits?.perTryMs).toBe(
      0,
    );
    expect(limited({ action: { timeoutMs: 0 }, policy: { perTryTimeoutMs: 1000 } }).limits?.perTryMs).toBe(
      1000,
    );
  });

  test.each<[string, Record<string, string>, object]>([
    ['timeout', { 'x-envoy-upstream-rq-timeout-ms': '200' }, { globalMs: 200 }],
    [
      'timeout of none',
      { 'x-envoy-upstream-rq-timeout-ms': '0', 'x-envoy-upstream-rq-per-try-timeout-ms': '5' },
      { globalMs: 0, perTryMs: 5 },
    ],
    ['timeout per try', { 'x-envoy-upstream-rq-per-try-timeout-ms': '70' }, { perTryMs: 70 }],
    ['duration of an attempt', { 'x-envoy-upstream-stream-duration-ms': '90' }, { attemptMs: 90 }],
    ['hedging', { 'x-envoy-hedge-on-per-try-timeout': 'true' }, { hedgeOnPerTry: true }],
    ['status', { 'x-envoy-upstream-rq-timeout-alt-response': '1' }, { timeoutStatus: 204 }],
  ])('the caller sets the %s by a header, which does not go upstream', (_what, header, expected) => {
    const scene = limited({ header });
    expect(scene.limits).toMatchObject(expected);
    for (const name of Object.keys(header)) expect(scene.header(name)).toBeUndefined();
  });

  test('a header that is no number counts for nothing', () => {
    expect(limited({ header: { 'x-envoy-upstream-rq-timeout-ms': '2s' } }).limits?.globalMs).toBe(15_000);
  });

  test('hedge-on-per-try-timeout: false turns the policy’s off', () => {
    const hedge = {
      initialRequests: 1,
      additionalRequestChance: { numerator: 0, denominator: 100 as const },
      onPerTryTimeout: true,
    };
    expect(limited({ hedge }).limits?.hedgeOnPerTry).toBe(true);
    const header = { 'x-envoy-hedge-on-per-try-timeout': 'false' };
    expect(limited({ hedge, header }).limits?.hedgeOnPerTry).toBe(false);
  });

  test('what the caller’s own proxy expects counts only when the router respects it', () => {
    const header = { 'x-envoy-expected-rq-timeout-ms': '300', 'x-envoy-upstream-rq-timeout-ms': '700' };
    expect(limited({ header }).limits?.globalMs).toBe(700);
    expect(limited({ header, router: { respectExpectedTimeout: true } }).limits?.globalMs).toBe(300);
  });

  test('a strict router refuses a header that it can’t read', async () => {
    const router = { strictCheckHeaders: ['x-envoy-upstream-rq-timeout-ms', 'x-envoy-retry-on'] as const };
    const bad = limited({ router, header: { 'x-envoy-retry-on': '5xx,sometimes' } });
    expect((await bad.answer).status).toBe(400);
    expect(bad.request.context.flags).toEqual(['IH']);
    expect(bad.request.context.details).toBe('request_headers_failed_strict_check{x-envoy-retry-on}');
    expect(bad.seen).toEqual([]);
    expect((await limited({ router, header: { 'x-envoy-retry-on': '5xx' } }).answer).status).toBe(200);
  });
});

describe('grpc-timeout', () => {
  const call = (action: Partial<RouteAction>, timeout?: string) =>
    limited({
      action,
      method: 'POST',
      header: timeout === undefined ? grpc : { ...grpc, 'grpc-timeout': timeout },
    });

  test('counts when max_grpc_timeout is set, up to that', () => {
    expect(call({ maxGrpcTimeoutMs: 10_000 }, '3S').limits?.globalMs).toBe(3000);
    expect(call({ maxGrpcTimeoutMs: 10_000 }, '30S').limits?.globalMs).toBe(10_000);
    expect(call({ maxGrpcTimeoutMs: 0 }, '30S').limits?.globalMs).toBe(30_000);
  });

  test('without one the call is without limit, which the maximum caps', () => {
    expect(call({ maxGrpcTimeoutMs: 10_000 }).limits?.globalMs).toBe(10_000);
    expect(call({ maxGrpcTimeoutMs: 0 }).limits).toBeUndefined();
  });

  test('loses the offset, unless that is more than all of it', () => {
    expect(call({ maxGrpcTimeoutMs: 0, grpcTimeoutOffsetMs: 100 }, '1S').limits?.globalMs).toBe(900);
    expect(call({ maxGrpcTimeoutMs: 0, grpcTimeoutOffsetMs: 100 }, '50m').limits?.globalMs).toBe(50);
  });

  test('is rewritten for the upstream', () => {
    expect(call({ maxGrpcTimeoutMs: 10_000 }, '30S').header('grpc-timeout')).toBe('10000m');
  });

  test('means nothing without max_grpc_timeout, or in a call that is not gRPC', () => {
    expect(call({}, '3S').limits?.globalMs).toBe(15_000);
    const header = { 'grpc-timeout': '3S' };
    expect(limited({ action: { maxGrpcTimeoutMs: 0 }, header }).limits?.globalMs).toBe(15_000);
  });
});

describe('what is left of the inbound request’s time', () => {
  const within = (leftMs: number, scene: Scene, clock = createFakeClock()) => {
    const inbound = makeRequest();
    inbound.context.deadlineMs = clock.now() + leftMs;
    let result: ReturnType<typeof limited> | undefined;
    runForInbound(inbound, () => {
      result = limited(scene, clock);
    });
    if (result === undefined) throw new Error('the task did not run');
    return result;
  };

  test('bounds the outbound one', () => {
    expect(within(4000, {}).limits?.globalMs).toBe(4000);
    expect(within(40_000, {}).limits?.globalMs).toBe(15_000);
    expect(within(4000, { action: { timeoutMs: 0 } }).limits?.globalMs).toBe(4000);
    expect(within(4000, { policy: { perTryTimeoutMs: 5000 } }).limits?.perTryMs).toBe(0);
    const free = within(4000, { action: { timeoutMs: 0 } });
    expect(free.header('x-envoy-expected-rq-timeout-ms')).toBe('4000');
  });

  test('is told to gRPC servers', () => {
    expect(within(4000, { method: 'POST', header: grpc }).header('grpc-timeout')).toBe('4000m');
  });

  test('when nothing is left no attempt is made', async () => {
    const { answer, seen } = within(0, {});
    expect((await answer).status).toBe(504);
    expect(seen).toEqual([]);
  });
});

describe('the time over all attempts', () => {
  test('a caller that wants another status gets it, without a body', async () => {
    const clock = createFakeClock();
    const filter = timeLimits(
      { action: ROUTE, policy: NO_RETRY, hedge: undefined, router: { kind: 'router' } },
      { clock },
    );
    const header = { 'x-envoy-upstream-rq-timeout-alt-response': 'yes' };
    const running = filter(makeRequest({ header }), () => new Promise<Response>(() => {}));
    await clock.advance(15_000);
    expect(await running).toMatchObject({ status: 204, body: { kind: 'empty' } });
  });

  test('each attempt is told what is left, at least a millisecond', () => {
    const clock = createFakeClock();
    const { request, limits } = limited({ action: { timeoutMs: 1000 } }, clock);
    if (limits === undefined) throw new Error('there are limits');
    tellTimeout(request, limits, 400);
    expect(request.headers.get('x-envoy-expected-rq-timeout-ms')).toBe('600');
    tellTimeout(request, limits, 5000);
    expect(request.headers.get('x-envoy-expected-rq-timeout-ms')).toBe('1');
  });
});
