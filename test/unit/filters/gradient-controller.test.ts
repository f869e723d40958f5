import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GradientController } from '../../../src/filters/gradient-controller.js';
import { LatencyHistogram } from '../../../src/filters/latency-histogram.js';
import type { AdaptiveConcurrencyConfig } from '../../../src/model/overload.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

const CONFIG: AdaptiveConcurrencyConfig = {
  kind: 'adaptive-concurrency',
  enabled: true,
  percentile: 50,
  maxLimit: 100,
  updateIntervalMs: 100,
  minRttIntervalMs: 30_000,
  minRttRequests: 5,
  jitterPercent: 0,
  minConcurrency: 3,
  bufferPercent: 25,
  refusedStatus: 503,
};

function scene(change: Partial<AdaptiveConcurrencyConfig> = {}, draw = 0) {
  const clock = createFakeClock();
  const controller = new GradientController({ ...CONFIG, ...change }, clock, () => draw);
  /** One request after the other, each taking so long. */
  const serve = async (count: number, latencyMs: number) => {
    for (let i = 0; i < count; i++) {
      const startMs = clock.now();
      expect(controller.tryEnter()).toBe(true);
      clock.block(latencyMs);
      controller.leave(startMs);
    }
  };
  return { clock, controller, serve };
}

describe('the gradient controller', () => {
  test('begins with a measurement, in which only few may run', () => {
    const { controller } = scene();
    expect([1, 2, 3, 4].map(() => controller.tryEnter())).toEqual([true, true, true, false]);
    expect(controller.outstanding).toBe(3);
  });

  test('grows while latencies are no worse than without load', async () => {
    const { clock, controller, serve } = scene();
    await serve(5, 1);
    expect(controller.limit).toBe(3);
    await serve(5, 1);
    clock.block(100);
    // 3 x 1.25, and its root for bursts.
    expect(controller.limit).toBe(Math.floor(3.75 + Math.sqrt(3.75)));
    await serve(5, 1);
    clock.block(100);
    expect(controller.limit).toBe(Math.floor(6.25 + Math.sqrt(6.25)));
  });

  test('halves at most when latencies are much worse, doubles at most, and stays within its bounds', async () => {
    const { clock, controller, serve } = scene({ maxLimit: 20 });
    await serve(5, 8);
    for (let i = 0; i < 10; i++) {
      await serve(2, 1);
      clock.block(100);
    }
    expect(controller.limit).toBe(20);
    await serve(1, 80);
    clock.block(100);
    expect(controller.limit).toBe(Math.floor(10 + Math.sqrt(10)));
    for (let i = 0; i < 3; i++) {
      await serve(1, 80);
      clock.block(100);
    }
    expect(controller.limit).toBeGreaterThanOrEqual(3);
  });

  test('measures anew after the interval, and returns to the limit it had', async () => {
    const { clock, controller, serve } = scene({ jitterPercent: 10 }, 2999 / 2 ** 32);
    await serve(5, 1);
    for (let i = 0; i < 5; i++) {
      await serve(2, 1);
      clock.block(100);
    }
    const before = controller.limit;
    expect(before).toBeGreaterThan(10);
    clock.block(30_000);
    expect(controller.limit).toBe(before);
    // The jitter is up to a tenth of the interval.
    clock.block(3000);
    expect(controller.limit).toBe(3);
    await serve(5, 1);
    expect(controller.limit).toBe(before);
  });

  test('doubts its measurement when the limit stays the lowest five times', async () => {
    const { clock, controller, serve } = scene();
    await serve(5, 1);
    // Latency is ten times what was measured: the limit can't get below the minimum.
    for (let i = 0; i < 6; i++) {
      await serve(1, 10);
      clock.block(100);
      void controller.limit;
    }
    await serve(5, 10);
    await serve(1, 10);
    clock.block(100);
    // By the new measurement 10 ms is what it takes.
    expect(controller.limit).toBeGreaterThan(3);
  });

  test('requests from before a measurement are no part of it', async () => {
    const { clock, controller, serve } = scene({ minRttRequests: 1 });
    await serve(1, 1);
    const startMs = clock.now();
    controller.tryEnter();
    clock.block(31_000);
    expect(controller.limit).toBe(3);
    controller.leave(startMs);
    await serve(1, 2);
    await serve(1, 2);
    clock.block(100);
    expect(controller.limit).toBe(5);
  });

  test('windows without a request change nothing, however long they last', async () => {
    const { clock, controller, serve } = scene();
    await serve(5, 1);
    await serve(5, 1);
    clock.block(100);
    const before = controller.limit;
    clock.block(20_000);
    expect(controller.limit).toBe(before);
  });

  test('the count returns to zero and the limit stays in its bounds, whatever happens', () => {
    const step = fc.record({
      kind: fc.constantFrom('enter', 'leave', 'cancel', 'wait'),
      ms: fc.integer({ min: 0, max: 40_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { clock, controller } = scene();
        const starts: number[] = [];
        const act = {
          wait: (ms: number) => clock.block(ms),
          enter() {
            if (controller.tryEnter()) starts.push(clock.now());
          },
          leave() {
            for (const startMs of starts.splice(0, 1)) controller.leave(startMs);
          },
          cancel() {
            if (starts.shift() !== undefined) controller.cancel();
          },
        };
        for (const { kind, ms } of steps) {
          act[kind](ms);
          expect(controller.limit).toBeGreaterThanOrEqual(3);
          expect(controller.limit).toBeLessThanOrEqual(100);
        }
        for (const startMs of starts) controller.leave(startMs);
        expect(controller.outstanding).toBe(0);
      }),
    );
  });
});

describe('a histogram of latencies', () => {
  test('gives quantiles within two digits', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5_000_000 }), { minLength: 1 }), (values) => {
        const histogram = new LatencyHistogram();
        for (const value of values) histogram.add(value);
        const sorted = values.toSorted((a, b) => a - b);
        const median = sorted[Math.ceil(sorted.length / 2) - 1] ?? 0;
        const found = histogram.quantile(0.5);
        expect(found).toBeGreaterThanOrEqual(median * 0.9);
        expect(found).toBeLessThanOrEqual(median * 1.1 + 1);
      }),
    );
  });

  test('interpolates within a bin', () => {
    const histogram = new LatencyHistogram();
    for (let i = 0; i < 4; i++) histogram.add(120);
    expect([0, 0.5, 1].map((share) => histogram.quantile(share))).toEqual([120, 125, 130]);
  });
});
