import { expect, test } from 'vitest';
import { debounce } from '../../../src/runtime/debounce.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

function world() {
  const clock = createFakeClock();
  const runs: number[] = [];
  const merged = debounce(() => runs.push(clock.now()), { quietMs: 100, maxMs: 250 }, clock);
  return { clock, runs, merged, begin: clock.now() };
}

test('calls that follow each other closely are one run, after a quiet time', async () => {
  const { clock, runs, merged, begin } = world();
  merged.call();
  await clock.advance(60);
  merged.call();
  await clock.advance(99);
  expect(runs).toEqual([]);
  await clock.advance(1);
  expect(runs).toEqual([begin + 160]);
});

test('without a quiet time it runs at the latest after the longest wait', async () => {
  const { clock, runs, merged, begin } = world();
  for (let step = 0; step < 5; step++) {
    merged.call();
    await clock.advance(60);
  }
  expect(runs).toEqual([begin + 250]);
});

test('what waits can be run at once, and runs once', async () => {
  const { clock, runs, merged, begin } = world();
  merged.flush();
  expect(merged.isWaiting).toBe(false);
  merged.call();
  expect(merged.isWaiting).toBe(true);
  merged.flush();
  await clock.advance(1000);
  expect([runs, merged.isWaiting, clock.pending]).toEqual([[begin], false, 0]);
});

test('what waits can be dropped', async () => {
  const { clock, runs, merged } = world();
  merged.call();
  merged.cancel();
  await clock.advance(1000);
  expect(runs).toEqual([]);
});
