import { describe, expect, test } from 'vitest';
import {
  type FailureRateBreakers,
  loadFailureRateBreakers,
} from '../../../src/filters/failure-rate-breaker.js';
import type { Endpoint } from '../../../src/model/endpoint.js';
import type { RetryPolicy } from '../../../src/model/retry.js';
import type { RouteAction, VirtualHost } from '../../../src/model/route.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { cluster, endpoint, forward, host, snapshotOf } from '../../integration/support/static-mesh.js';
import { createDataPath } from './support.js';

const RETRY: RetryPolicy = {
  retryOn: ['5xx'],
  numRetries: 3,
  perTryTimeoutMs: undefined,
  retriableStatusCodes: [],
  baseIntervalMs: 25,
  maxIntervalMs: 250,
  avoidPreviousHosts: false,
  hostSelectionAttempts: 1,
};

interface Scene {
  readonly policy?: Partial<RetryPolicy>;
  readonly action?: Partial<RouteAction>;
  readonly virtualHost?: Partial<VirtualHost>;
  readonly endpoints?: readonly (Endpoint | readonly [Endpoint, number])[];
  readonly maxStreamDurationMs?: number;
  readonly hostBreakers?: FailureRateBreakers;
}

/** A route with a policy to a cluster of the given endpoints. */
function dataPath({
  policy,
  action,
  virtualHost,
  endpoints = [endpoint(1), endpoint(2)],
  maxStreamDurationMs,
  hostBreakers,
}: Scene) {
  const route = forward('v1', { retryPolicy: { ...RETRY, ...policy }, ...action });
  const outbound = host('reviews:80', [route]);
  const { routes } = outbound;
  const table = routes && {
    ...routes,
    virtualHosts: routes.virtualHosts.map((one) => ({ ...one, ...virtualHost })),
  };
  const places = endpoints.map((one) => ('address' in one ? ([one, 0] as const) : one));
  const base = cluster('v1', [], { maxStreamDurationMs });
  const localities = [...new Set(places.map(([, priority]) => priority))].map((priority) => ({
    locality: { region: '', zone: '', subZone: '' },
    weight: undefined,
    metadata: {},
    priority,
    endpoints: places.filter(([, own]) => own === priority).map(([one]) => one),
  }));
  const assignment = base.assignment && { ...base.assignment, localities };
  return createDataPath(snapshotOf([{ ...outbound, routes: table }], [{ ...base, assignment }]), {
    hostBreakers: (name) => hostBreakers?.hosts(name, { scope: 'host', minimumRequests: 4 }),
  });
}

const lb = (port: number, pairs: Record<string, boolean | string>): Endpoint => ({
  ...endpoint(port),
  metadata: { 'envoy.lb': pairs },
});

describe('retries choose their hosts', () => {
  const ports = (path: ReturnType<typeof dataPath>) =>
    path.network.attempts.map(({ address }) => Number(address.split(':')[1]));

  test('canaries are left out when the policy says so', async () => {
    const path = dataPath({
      policy: { omitCanaryHosts: true, hostSelectionAttempts: 50 },
      endpoints: [lb(1, { canary: true }), lb(2, { canary: false }), endpoint(3)],
    });
    for (const port of [1, 2, 3]) path.network.serve(`127.0.0.1:${port}`, { status: 500 });
    for (let i = 0; i < 10; i++) {
      const running = path.send('http://reviews');
      await path.clock.advance(1000);
      await running;
    }
    const retries = ports(path).filter((_, index) => index % 4 > 0);
    expect(new Set(retries)).toEqual(new Set([2, 3]));
    // A first try may go to any.
    expect(new Set(ports(path).filter((_, index) => index % 4 === 0))).toContain(1);
  });

  test('hosts with certain metadata are left out', async () => {
    const path = dataPath({
      policy: { omitHostMetadata: [{ stage: 'beta' }], hostSelectionAttempts: 50 },
      endpoints: [lb(1, { stage: 'beta' }), lb(2, { stage: 'prod' })],
    });
    for (const port of [1, 2]) path.network.serve(`127.0.0.1:${port}`, { status: 500 });
    const running = path.send('http://reviews');
    await path.clock.advance(1000);
    await running;
    expect(ports(path).slice(1)).toEqual([2, 2, 2]);
  });

  test('priorities that were tried are left out', async () => {
    const path = dataPath({
      policy: { previousPriorities: { updateFrequency: 1 } },
      endpoints: [
        [endpoint(1), 0],
        [endpoint(2), 1],
        [endpoint(3), 2],
      ],
    });
    for (const port of [1, 2, 3]) path.network.serve(`127.0.0.1:${port}`, { status: 500 });
    const running = path.send('http://reviews');
    await path.clock.advance(1000);
    await running;
    // When all were tried it begins anew.
    expect(ports(path)).toEqual([1, 2, 3, 1]);
  });
});

describe('each attempt says what it is', () => {
  test('its number and whether the one before took too long', async () => {
    const path = dataPath({
      policy: { perTryTimeoutMs: 100 },
      virtualHost: { includeRequestAttemptCount: true, includeIsTimeoutRetry: true },
      endpoints: [endpoint(1)],
    });
    const seen: (string | undefined)[][] = [];
    path.network.serve('127.0.0.1:1', ({ headers }) => {
      seen.push(
        ['x-envoy-attempt-count', 'x-envoy-is-timeout-retry', 'x-envoy-expected-rq-timeout-ms'].map((name) =>
          headers.get(name),
        ),
      );
      if (seen.length === 1) return new Promise(() => {});
      return { status: seen.length === 2 ? 503 : 200 };
    });
    const running = path.send('http://reviews');
    await path.clock.advance(1000);
    expect((await running).status).toBe(200);
    expect(seen).toEqual([
      ['1', undefined, '100'],
      ['2', 'true', '100'],
      ['3', 'false', '100'],
    ]);
  });

  test('headers that ask for retries do, and go no further', async () => {
    const path = dataPath({ policy: { retryOn: [], numRetries: 1 }, endpoints: [endpoint(1)] });
    const names: boolean[] = [];
    path.network.serve('127.0.0.1:1', ({ headers }) => {
      names.push(headers.hasPrefix('x-envoy-retr') || headers.hasPrefix('x-envoy-max'));
      return { status: 418 };
    });
    const running = path.send('http://reviews', {
      header: {
        'x-envoy-retry-on': 'retriable-status-codes',
        'x-envoy-retriable-status-codes': '418, x',
        'x-envoy-max-retries': '2',
      },
    });
    await path.clock.advance(1000);
    expect((await running).status).toBe(418);
    expect(names).toEqual([false, false, false]);
  });
});

describe('the wait before a retry', () => {
  test('is the one that the upstream asks for', async () => {
    const path = dataPath({
      policy: {
        numRetries: 1,
        retryOn: ['retriable-status-codes'],
        retriableStatusCodes: [429],
        rateLimitedBackOff: {
          resetHeaders: [{ name: 'retry-after', format: 'seconds' }],
          maxIntervalMs: 300_000,
        },
      },
      endpoints: [endpoint(1)],
      action: { timeoutMs: 0 },
    });
    path.network.serve('127.0.0.1:1', { status: 429, headers: { 'retry-after': '2' } });
    const running = path.send('http://reviews');
    await path.clock.advance(1999);
    expect(path.network.attempts).toHaveLength(1);
    await path.clock.advance(1001);
    expect(path.network.attempts).toHaveLength(2);
    expect((await running).status).toBe(429);
  });
});

describe('limits of an attempt', () => {
  test('a pause ends it; without a retry left it is 504', async () => {
    const path = dataPath({ policy: { retryOn: [], perTryIdleTimeoutMs: 100 }, endpoints: [endpoint(1)] });
    path.network.serve('127.0.0.1:1', () => new Promise(() => {}));
    const running = path.send('http://reviews');
    await path.clock.advance(100);
    expect((await running).status).toBe(504);
    expect(path.clusters.get('v1')?.breakers.default.requests.active).toBe(0);
  });

  test('the cluster’s longest life of an attempt may be retried', async () => {
    const path = dataPath({ policy: { numRetries: 1 }, endpoints: [endpoint(1)], maxStreamDurationMs: 200 });
    let calls = 0;
    path.network.serve('127.0.0.1:1', () => (++calls === 1 ? new Promise(() => {}) : { status: 200 }));
    const running = path.send('http://reviews');
    await path.clock.advance(300);
    expect((await running).status).toBe(200);
  });

  test('a header gives the attempt another life, and the answer says so', async () => {
    const path = dataPath({ policy: { retryOn: [] }, endpoints: [endpoint(1)], maxStreamDurationMs: 200 });
    path.network.serve('127.0.0.1:1', () => new Promise(() => {}));
    const running = path.send('http://reviews', { header: { 'x-envoy-upstream-stream-duration-ms': '50' } });
    await path.clock.advance(50);
    const { status, local } = await running;
    expect([status, local?.details]).toEqual([504, 'upstream_max_stream_duration_reached']);
  });

  test('the route’s time covers every attempt and wait, and leaves no timer behind', async () => {
    const path = dataPath({
      policy: { numRetries: 9 },
      endpoints: [endpoint(1)],
      action: { timeoutMs: 1000 },
    });
    path.network.serve(
      '127.0.0.1:1',
      () => new Promise((resolve) => path.clock.schedule(300, () => resolve({ status: 500 }))),
    );
    const running = path.send('http://reviews');
    await path.clock.advance(1000);
    expect((await running).status).toBe(504);
    await path.clock.advance(500);
    expect(path.clock.pending).toBe(0);
  });
});

describe('failure-rate breakers of hosts', () => {
  test('a host that fails gets nothing more, and the others all of it', async () => {
    const breakers = await loadFailureRateBreakers(createFakeClock());
    const path = dataPath({ policy: { retryOn: [] }, hostBreakers: breakers });
    path.network.serve('127.0.0.1:1', { status: 500 });
    path.network.serve('127.0.0.1:2', { status: 200 });
    const statuses: number[] = [];
    for (let i = 0; i < 30; i++) statuses.push((await path.send('http://reviews')).status);
    expect(path.network.counts().get('127.0.0.1:1')).toBe(4);
    expect(statuses.slice(-20)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(path.clusters.get('v1')?.breakers.default.requests.active).toBe(0);
    breakers.close();
  });
});
