import { describe, expect, test } from 'vitest';
import { createBreaker, createBreakers } from '../../../src/cluster/breaker.js';
import { ConnectionCount } from '../../../src/cluster/connection-permits.js';
import { RequestWindow } from '../../../src/cluster/request-window.js';
import { DEFAULT_THRESHOLDS } from '../../../src/model/cluster.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

const take = (permits: { tryAcquire(): boolean }, times: number) =>
  Array.from({ length: times }, () => permits.tryAcquire()).filter(Boolean).length;

const TOOLS = { clock: createFakeClock(), multiplexes: false };

describe('circuit-breaker thresholds', () => {
  test('let no more requests run than allowed, and go on when one ends', () => {
    const { requests } = createBreaker({ ...DEFAULT_THRESHOLDS, maxRequests: 2 }, TOOLS);
    expect(take(requests, 5)).toBe(2);
    expect(requests.overflows).toBe(3);
    requests.release();
    expect(take(requests, 5)).toBe(1);
    expect(requests.active).toBe(2);
  });

  test('let no more requests run or wait than connections and pending ones together', () => {
    const { requests } = createBreaker(
      { ...DEFAULT_THRESHOLDS, maxConnections: 1, maxPendingRequests: 1 },
      TOOLS,
    );
    expect(take(requests, 5)).toBe(2);
  });

  test('count each priority on its own', () => {
    const breakers = createBreakers(
      {
        default: { ...DEFAULT_THRESHOLDS, maxRequests: 0 },
        high: { ...DEFAULT_THRESHOLDS, maxRequests: 1 },
      },
      TOOLS,
    );
    expect(take(breakers.default.requests, 1)).toBe(0);
    expect(take(breakers.high.requests, 2)).toBe(1);
  });

  test('limit retries by max_retries', () => {
    expect(take(createBreaker(DEFAULT_THRESHOLDS, TOOLS).retries, 10)).toBe(3);
  });

  test('limit retries by a share of the active requests when there is a budget', () => {
    const retryBudget = { budgetPercent: 20, minRetryConcurrency: 3 };
    const { requests, retries } = createBreaker(
      { ...DEFAULT_THRESHOLDS, maxRetries: 100, retryBudget },
      TOOLS,
    );
    expect(take(retries, 10)).toBe(3);
    take(requests, 29);
    expect(retries.limit).toBe(5);
    expect(take(retries, 10)).toBe(2);
  });

  test('limit retries by a share of the requests of an interval when the budget has one', async () => {
    const clock = createFakeClock();
    const retryBudget = { budgetPercent: 20, minRetryConcurrency: 3, intervalMs: 1000 };
    const { requests, retries } = createBreaker(
      { ...DEFAULT_THRESHOLDS, retryBudget },
      { clock, multiplexes: false },
    );
    take(requests, 50);
    for (let i = 0; i < 50; i++) requests.release();
    // Those under way would allow three.
    expect(retries.limit).toBe(10);
    await clock.advance(500);
    take(requests, 50);
    expect(retries.limit).toBe(20);
    await clock.advance(500);
    expect(retries.limit).toBe(10);
    await clock.advance(5000);
    expect(retries.limit).toBe(3);
  });

  test('with connections that carry many requests only the requests count', () => {
    const thresholds = { ...DEFAULT_THRESHOLDS, maxConnections: 1, maxPendingRequests: 1, maxRequests: 9 };
    const { requests } = createBreaker(thresholds, { ...TOOLS, multiplexes: true });
    expect(take(requests, 20)).toBe(9);
  });
});

describe('a window of requests', () => {
  test('moves by tenths of its interval', async () => {
    const clock = createFakeClock();
    const window = new RequestWindow(1000, clock);
    const counts: number[] = [];
    for (let i = 0; i < 15; i++) {
      window.add();
      counts.push(window.count());
      await clock.advance(100);
    }
    expect(counts).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10, 10, 10]);
  });
});

describe('connections of a cluster', () => {
  test('are limited over all endpoints, but each endpoint gets its first', () => {
    const connections = new ConnectionCount(2);
    expect([connections.tryOpen(0), connections.tryOpen(1)]).toEqual([true, true]);
    expect(connections.tryOpen(2)).toBe(false);
    expect(connections.tryOpen(0)).toBe(true);
    expect([connections.active, connections.overflows]).toEqual([3, 2]);
    connections.closed();
    connections.closed();
    expect(connections.tryOpen(1)).toBe(true);
  });
});
