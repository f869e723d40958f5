import { describe, expect, test } from 'vitest';
import { createBreaker, createBreakers } from '../../../src/cluster/breaker.js';
import { DEFAULT_THRESHOLDS } from '../../../src/model/cluster.js';

const take = (permits: { tryAcquire(): boolean }, times: number) =>
  Array.from({ length: times }, () => permits.tryAcquire()).filter(Boolean).length;

describe('circuit-breaker thresholds', () => {
  test('let no more requests run than allowed, and go on when one ends', () => {
    const { requests } = createBreaker({ ...DEFAULT_THRESHOLDS, maxRequests: 2 });
    expect(take(requests, 5)).toBe(2);
    expect(requests.overflows).toBe(3);
    requests.release();
    expect(take(requests, 5)).toBe(1);
    expect(requests.active).toBe(2);
  });

  test('let no more requests run or wait than connections and pending ones together', () => {
    const { requests } = createBreaker({ ...DEFAULT_THRESHOLDS, maxConnections: 1, maxPendingRequests: 1 });
    expect(take(requests, 5)).toBe(2);
  });

  test('count each priority on its own', () => {
    const breakers = createBreakers({
      default: { ...DEFAULT_THRESHOLDS, maxRequests: 0 },
      high: { ...DEFAULT_THRESHOLDS, maxRequests: 1 },
    });
    expect(take(breakers.default.requests, 1)).toBe(0);
    expect(take(breakers.high.requests, 2)).toBe(1);
  });

  test('limit retries by max_retries', () => {
    expect(take(createBreaker(DEFAULT_THRESHOLDS).retries, 10)).toBe(3);
  });

  test('limit retries by a share of the active requests when there is a budget', () => {
    const retryBudget = { budgetPercent: 20, minRetryConcurrency: 3 };
    const { requests, retries } = createBreaker({ ...DEFAULT_THRESHOLDS, maxRetries: 100, retryBudget });
    expect(take(retries, 10)).toBe(3);
    take(requests, 29);
    expect(retries.limit).toBe(5);
    expect(take(retries, 10)).toBe(2);
  });
});
