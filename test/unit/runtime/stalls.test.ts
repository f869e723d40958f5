import { describe, expect, test } from 'vitest';
import { createLoopLoad } from '../../../src/runtime/loop-load.js';
import { createStalls, patientClock } from '../../../src/runtime/stalls.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

function start() {
  const clock = createFakeClock();
  const stalls = createStalls(clock);
  const fired: number[] = [];
  const limit = (ms: number) => patientClock(clock, stalls).schedule(ms, () => fired.push(clock.now()));
  return { clock, stalls, fired, limit };
}

describe('stalls of the event loop', () => {
  test('are what a tick came too late', async () => {
    const { clock, stalls } = start();
    const mark = stalls.watch();
    await clock.advance(500);
    expect(stalls.since(mark)).toBe(0);
    clock.block(300);
    await clock.advance(0);
    expect(stalls.since(mark)).toBeGreaterThanOrEqual(280);
    expect(stalls.since(mark)).toBeLessThanOrEqual(300);
  });

  test('are known before the tick that is late has run', () => {
    const { clock, stalls } = start();
    const mark = stalls.watch();
    clock.block(300);
    expect(stalls.since(mark)).toBe(280);
    expect(stalls.since(mark)).toBe(280);
  });

  test('are not small delays, however many', async () => {
    const { clock, stalls } = start();
    const mark = stalls.watch();
    for (let i = 0; i < 20; i++) {
      clock.block(50);
      await clock.advance(0);
    }
    expect(stalls.since(mark)).toBe(0);
  });

  test('before the watch do not count', () => {
    const { clock, stalls } = start();
    stalls.watch();
    clock.block(300);
    const mark = stalls.watch();
    expect(stalls.since(mark)).toBe(0);
  });

  test('add up', async () => {
    const { clock, stalls } = start();
    const mark = stalls.watch();
    for (let i = 0; i < 2; i++) {
      clock.block(120);
      await clock.advance(0);
    }
    expect(stalls.since(mark)).toBe(200);
  });

  test('cost no timer while nobody watches', async () => {
    const { clock, stalls } = start();
    expect(clock.pending).toBe(0);
    stalls.watch();
    expect(clock.pending).toBe(1);
    stalls.unwatch();
    await clock.advance(20);
    expect(clock.pending).toBe(0);
    clock.block(10_000);
    const mark = stalls.watch();
    expect(stalls.since(mark)).toBe(0);
  });
});

describe('a time limit on a peer', () => {
  test('is punctual while this process keeps up', async () => {
    const { clock, fired, limit } = start();
    limit(1000);
    await clock.advance(5000);
    expect(fired).toEqual([1000]);
    expect(clock.pending).toBe(0);
  });

  test('gets the lost time once more when the process stalled over its end', async () => {
    const { clock, fired, limit } = start();
    limit(1000);
    await clock.advance(900);
    clock.block(400);
    await clock.advance(0);
    expect(fired).toEqual([]);
    // 380 ms were lost, which makes 512.
    await clock.advance(511);
    expect(fired).toEqual([]);
    await clock.advance(1);
    expect(fired).toEqual([1812]);
  });

  test('gets it for a stall in the middle, too: the request may have left late', async () => {
    const { clock, fired, limit } = start();
    limit(1000);
    clock.block(520);
    await clock.advance(480);
    expect(fired).toEqual([]);
    await clock.advance(512);
    expect(fired).toEqual([1512]);
  });

  test('is extended by its own length at most, and once', async () => {
    const { clock, fired, limit } = start();
    limit(100);
    clock.block(60_000);
    await clock.advance(0);
    clock.block(60_000);
    await clock.advance(0);
    expect(fired).toEqual([120_000]);
    limit(100);
    clock.block(60_000);
    await clock.advance(100);
    expect(fired.at(-1)).toBe(180_100);
  });

  test('can be cancelled before and after it was extended, any number of times', async () => {
    const { clock, fired, limit } = start();
    const first = limit(100);
    const second = limit(100);
    first.cancel();
    first.cancel();
    clock.block(500);
    await clock.advance(0);
    second.cancel();
    await clock.advance(1000);
    expect(fired).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

test('an event loop is busy when it hardly waited lately; over a moment too short nothing new is said', () => {
  const at = { active: 0, idle: 0 };
  const isBusy = createLoopLoad((from = { active: 0, idle: 0, utilization: 0 }) => {
    const active = at.active - from.active;
    const idle = at.idle - from.idle;
    return { active, idle, utilization: active / (active + idle) };
  });
  const after = (active: number, idle: number) => {
    at.active += active;
    at.idle += idle;
    return isBusy();
  };
  expect(after(0, 0)).toBe(false);
  expect(after(20, 0)).toBe(false);
  expect(after(20, 0)).toBe(true);
  expect(after(0, 20)).toBe(true);
  expect(after(0, 20)).toBe(false);
  expect(after(95, 5)).toBe(true);
  expect(after(80, 20)).toBe(false);
  expect(createLoopLoad()()).toBe(false);
});
