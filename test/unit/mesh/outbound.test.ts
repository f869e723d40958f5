import { describe, expect, test } from 'vitest';
import { type FilterConfig, NO_OVERRIDES } from '../../../src/model/filter-config.js';
import type { RetryPolicy } from '../../../src/model/retry.js';
import type { Route } from '../../../src/model/route.js';
import type { ExchangeEnd } from '../../../src/service/observer.js';
import type { Filter, Request } from '../../../src/service/service.js';
import { cluster, endpoint, forward, host, snapshotOf } from '../../integration/support/static-mesh.js';
import { createDataPath, summaryOf } from './support.js';

const RETRY: RetryPolicy = {
  retryOn: ['5xx'],
  numRetries: 2,
  perTryTimeoutMs: undefined,
  retriableStatusCodes: [],
  baseIntervalMs: 25,
  maxIntervalMs: 250,
  avoidPreviousHosts: true,
  hostSelectionAttempts: 3,
};

const snapshot = (routes: readonly Route[], ...clusters: readonly string[]) =>
  snapshotOf(
    [host('reviews:80', routes)],
    clusters.map((name) => cluster(name, [endpoint(1), endpoint(2)])),
  );

const directly = (status: number): Route => ({
  ...forward('none'),
  action: { kind: 'direct-response', status, body: 'here' },
});

const abortOf = (code: number): FilterConfig => ({
  kind: 'fault',
  delay: undefined,
  abort: { status: { kind: 'http', code }, percentage: { numerator: 100, denominator: 100 } },
  upstreamCluster: '',
  headers: [],
  maxActiveFaults: undefined,
});

describe('the outbound stack', () => {
  test('a request goes to an endpoint of the route’s cluster', async () => {
    const path = createDataPath(snapshot([forward('v1')], 'v1'));
    path.network.serve('127.0.0.1:1', { status: 200, body: 'one' });
    path.network.serve('127.0.0.1:2', { status: 200, body: 'two' });
    const bodies = [
      await summaryOf(path.send('http://reviews')),
      await summaryOf(path.send('http://reviews')),
    ];
    expect(bodies.map(([, , body]) => body).sort()).toEqual(['one', 'two']);
  });

  test('no route: 404 with flag NR; a route without its cluster: 503 with flag NC', async () => {
    const ends: string[] = [];
    const observer = {
      exchange: ({ context }: Request, { status }: ExchangeEnd) =>
        ends.push(`${status} ${context.flags.join()}`),
    };
    const path = createDataPath(snapshotOf([host('empty:80', []), host('gone:80', [forward('gone')])], []), {
      observer,
    });
    expect(await summaryOf(path.send('http://empty'))).toEqual([404, 'INMESH_NO_ROUTE', '']);
    expect(await summaryOf(path.send('http://gone'))).toEqual([503, 'INMESH_NO_CLUSTER', '']);
    expect(ends).toEqual(['404 NR', '503 NC']);
  });

  test('a cluster without endpoints: 503, no healthy upstream', async () => {
    const path = createDataPath(snapshotOf([host('reviews:80', [forward('v1')])], [cluster('v1', [])]));
    expect(await summaryOf(path.send('http://reviews'))).toEqual([
      503,
      'INMESH_NO_HEALTHY_UPSTREAM',
      'no healthy upstream',
    ]);
  });

  test('weights choose once per request; retries stay on the chosen cluster', async () => {
    const weighted: Route = forward('', {
      cluster: {
        kind: 'weighted',
        clusters: [
          { name: 'v1', weight: 1, filterOverrides: NO_OVERRIDES },
          { name: 'v2', weight: 1, filterOverrides: NO_OVERRIDES },
        ],
        totalWeight: 2,
      },
      retryPolicy: RETRY,
    });
    const path = createDataPath(
      snapshotOf(
        [host('reviews:80', [weighted])],
        [cluster('v1', [endpoint(1), endpoint(2)]), cluster('v2', [endpoint(3), endpoint(4)])],
      ),
    );
    for (const port of [1, 2, 3, 4]) path.network.serve(`127.0.0.1:${port}`, { status: 500 });
    const running = path.send('http://reviews');
    await path.clock.advance(2_000);
    expect((await running).status).toBe(500);
    const ports = path.network.attempts.map(({ address }) => Number(address.split(':')[1]));
    expect(ports).toHaveLength(3);
    expect(ports.every((port) => port <= 2) || ports.every((port) => port >= 3)).toBe(true);
  });

  test('unconfigured, only what can’t have been processed is retried, at another host', async () => {
    const path = createDataPath(snapshot([forward('v1')], 'v1'));
    path.network.serve('127.0.0.1:1', { status: 200 });
    for (let i = 0; i < 4; i++) {
      const running = path.send('http://reviews', { method: 'POST' });
      await path.clock.advance(1_000);
      expect((await running).status).toBe(200);
    }
    path.network.serve('127.0.0.1:1', { failure: 'reset' });
    path.network.serve('127.0.0.1:2', { failure: 'reset' });
    path.network.forget();
    await expect(path.send('http://reviews', { method: 'POST' })).rejects.toMatchObject({ failure: 'reset' });
    expect(path.network.attempts).toHaveLength(1);
    path.network.serve('127.0.0.1:1', { status: 503 });
    path.network.serve('127.0.0.1:2', { status: 503 });
    path.network.forget();
    expect((await path.send('http://reviews')).status).toBe(503);
    expect(path.network.attempts).toHaveLength(1);
  });

  test('the route’s retry policy goes before the virtual host’s', async () => {
    const ofHost = { ...RETRY, numRetries: 1 };
    const resolved = host('reviews:80', [
      { ...forward('v1', { retryPolicy: { ...RETRY, numRetries: 2 } }), name: 'own' },
    ]);
    const plain = host('plain:80', [forward('v1')]);
    const withPolicy = (one: typeof plain): typeof plain => ({
      ...one,
      ...(one.routes && {
        routes: {
          ...one.routes,
          virtualHosts: one.routes.virtualHosts.map((virtualHost) => ({
            ...virtualHost,
            retryPolicy: ofHost,
          })),
        },
      }),
    });
    const path = createDataPath(
      snapshotOf([withPolicy(resolved), withPolicy(plain)], [cluster('v1', [endpoint(1)])]),
    );
    path.network.serve('127.0.0.1:1', { status: 500 });
    const attemptsOf = async (origin: string) => {
      path.network.forget();
      const running = path.send(origin);
      await path.clock.advance(2_000);
      await running;
      return path.network.attempts.length;
    };
    expect([await attemptsOf('http://reviews'), await attemptsOf('http://plain')]).toEqual([3, 2]);
  });

  test('the route’s timeout covers all attempts and aborts the running one', async () => {
    const path = createDataPath(
      snapshot(
        [forward('v1', { timeoutMs: 250, retryPolicy: { ...RETRY, numRetries: 9, perTryTimeoutMs: 100 } })],
        'v1',
      ),
    );
    for (const port of [1, 2]) path.network.serve(`127.0.0.1:${port}`, () => new Promise(() => {}));
    const running = path.send('http://reviews');
    await path.clock.advance(250);
    expect(await summaryOf(running)).toEqual([504, 'INMESH_TIMEOUT', 'upstream request timeout']);
    expect(path.network.attempts.every(({ request }) => request.abort.aborted)).toBe(true);
  });

  test('a per-try timeout that is not below the route’s is ignored', async () => {
    const path = createDataPath(
      snapshot([forward('v1', { timeoutMs: 100, retryPolicy: { ...RETRY, perTryTimeoutMs: 100 } })], 'v1'),
    );
    for (const port of [1, 2]) path.network.serve(`127.0.0.1:${port}`, () => new Promise(() => {}));
    const running = path.send('http://reviews');
    await path.clock.advance(100);
    expect((await running).local?.details).toBe('response_timeout');
    expect(path.network.attempts).toHaveLength(1);
  });

  test('a fault costs no attempt, and a weighted cluster’s own configuration goes before the route’s', async () => {
    const filters = [
      { name: 'fault', config: abortOf(500) },
      { name: 'router', config: { kind: 'router' as const } },
    ];
    const override = (code: number) => new Map([['fault', abortOf(code)]]);
    const weighted: Route = {
      ...forward('', {
        cluster: {
          kind: 'weighted',
          clusters: [{ name: 'v1', weight: 1, filterOverrides: override(503) }],
          totalWeight: 1,
        },
        retryPolicy: RETRY,
      }),
      filterOverrides: override(418),
    };
    const single = { ...forward('v1'), filterOverrides: override(418) };
    const withFilters = (name: string, route: Route) => {
      const resolved = host(name, [route]);
      return {
        ...resolved,
        listener: { ...resolved.listener, http: { ...resolved.listener.http, filters } },
      };
    };
    const path = createDataPath(
      snapshotOf(
        [
          withFilters('weighted:80', weighted),
          withFilters('single:80', single),
          withFilters('all:80', forward('v1')),
        ],
        [cluster('v1', [endpoint(1)])],
      ),
    );
    const statusOf = async (origin: string) => (await path.send(origin)).status;
    expect([
      await statusOf('http://weighted'),
      await statusOf('http://single'),
      await statusOf('http://all'),
    ]).toEqual([503, 418, 500]);
    expect(path.network.attempts).toEqual([]);
  });

  test('the application’s filters are outermost, also around what has no route and direct responses', async () => {
    const seen: string[] = [];
    const filter: Filter = async (request, next) => {
      const response = await next(request);
      seen.push(`${response.status} ${request.context.clusterName}`);
      return response;
    };
    const path = createDataPath(
      snapshotOf(
        [
          host('a:80', [forward('v1')]),
          host('b:80', [directly(299)]),
          host('c:80', []),
          host('d:80', [forward('x')]),
        ],
        [cluster('v1', [endpoint(1)])],
      ),
      { filters: [filter] },
    );
    path.network.serve('127.0.0.1:1', { status: 200 });
    for (const name of ['a', 'b', 'c', 'd']) await path.send(`http://${name}`);
    expect(seen).toEqual(['200 v1', '299 undefined', '404 undefined', '503 x']);
  });

  test('the failure-rate breaker judges the outcome after timeout and retries', async () => {
    const judged: number[] = [];
    const breaker: Filter = async (request, next) => {
      const response = await next(request);
      judged.push(response.status);
      return response;
    };
    const path = createDataPath(snapshot([forward('v1', { retryPolicy: RETRY })], 'v1'), {
      failureRateBreaker: (name) => (name === 'v1' ? breaker : undefined),
    });
    let left = 1;
    for (const port of [1, 2]) {
      path.network.serve(`127.0.0.1:${port}`, () => ({ status: left-- > 0 ? 503 : 200 }));
    }
    const running = path.send('http://reviews');
    await path.clock.advance(1_000);
    await running;
    expect(judged).toEqual([200]);
    expect(path.network.attempts).toHaveLength(2);
  });
});
