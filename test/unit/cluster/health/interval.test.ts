import { describe, expect, test } from 'vitest';
import { initialDelay, nextInterval } from '../../../../src/cluster/health/interval.js';
import type { Transition } from '../../../../src/cluster/health/state.js';
import { healthCheck } from './fixtures.js';

const CHECK = healthCheck({
  intervalMs: 1,
  healthyEdgeIntervalMs: 2,
  unhealthyIntervalMs: 3,
  unhealthyEdgeIntervalMs: 4,
  noTrafficIntervalMs: 5,
  noTrafficHealthyIntervalMs: 6,
});

describe('the wait for the next check', () => {
  test.each<[boolean, boolean, Transition, number]>([
    // traffic, passed, transition, wait
    [true, true, 'unchanged', 1],
    [true, true, 'changed', 1],
    [true, true, 'pending', 2],
    [true, false, 'unchanged', 3],
    [true, false, 'changed', 3],
    [true, false, 'pending', 4],
    [false, true, 'changed', 6],
    [false, true, 'pending', 5],
    [false, false, 'unchanged', 5],
    [false, false, 'pending', 5],
  ])('traffic %s, passed %s, %s: interval %i', (hasTraffic, passed, transition, expected) => {
    expect(nextInterval(CHECK, { hasTraffic, passed, transition }, () => 0)).toBe(expected);
  });

  test('is lengthened by a part of itself and by a part of the jitter', () => {
    const check = healthCheck({ intervalMs: 1000, intervalJitterPercent: 10, intervalJitterMs: 50 });
    const last = { hasTraffic: true, passed: true, transition: 'unchanged' } as const;
    // A draw stands for a 32-bit number: 149 % 100 = 49 and 149 % 50 = 49.
    expect(nextInterval(check, last, () => 149 / 2 ** 32)).toBe(1000 + 49 + 49);
    expect(nextInterval(check, last, () => 0)).toBe(1000);
  });

  test('before the first check it is a part of the initial jitter, never nothing', () => {
    expect(initialDelay(healthCheck(), () => 0.5)).toBe(0);
    expect(initialDelay(healthCheck({ initialJitterMs: 100 }), () => 0)).toBe(1);
    expect(initialDelay(healthCheck({ initialJitterMs: 100 }), () => 77 / 2 ** 32)).toBe(77);
  });
});
