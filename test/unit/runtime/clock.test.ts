import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../../src/runtime/clock.js';

describe('systemClock', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('tasks of one delay run in the order they were made, each at its time', () => {
    const ran: string[] = [];
    systemClock.schedule(101, () => ran.push('a'));
    vi.advanceTimersByTime(50);
    systemClock.schedule(101, () => ran.push('b'));
    vi.advanceTimersByTime(51);
    expect(ran).toEqual(['a']);
    vi.advanceTimersByTime(51);
    expect(ran).toEqual(['a', 'b']);
  });

  test('a cancelled task does not run, and the ones after it do', () => {
    const ran: string[] = [];
    const first = systemClock.schedule(102, () => ran.push('first'));
    systemClock.schedule(102, () => ran.push('second'));
    first.cancel();
    first.cancel();
    vi.advanceTimersByTime(102);
    expect(ran).toEqual(['second']);
  });

  test('timers of one delay share one timer of the platform', () => {
    const before = vi.getTimerCount();
    for (let i = 0; i < 1000; i++) systemClock.schedule(103, () => {});
    expect(vi.getTimerCount() - before).toBe(1);
    vi.advanceTimersByTime(103);
  });

  test('odd delays that are over leave room for those that come again', () => {
    for (let i = 0; i < 200; i++) systemClock.schedule(3000 + i / 7, () => {});
    vi.advanceTimersByTime(4000);
    const before = vi.getTimerCount();
    for (let i = 0; i < 100; i++) systemClock.schedule(107, () => {});
    expect(vi.getTimerCount() - before).toBe(1);
    vi.advanceTimersByTime(107);
  });

  test('a task that throws does not keep the next from running', () => {
    const ran: string[] = [];
    systemClock.schedule(104, () => {
      throw new Error('bad task');
    });
    systemClock.schedule(104, () => ran.push('next'));
    expect(() => vi.advanceTimersByTime(104)).toThrow('bad task');
    vi.advanceTimersByTime(10);
    expect(ran).toEqual(['next']);
  });

  test('a delay beyond 2^31 ms does not fire at once', () => {
    let fired = false;
    systemClock.schedule(2 ** 31 + 1000, () => {
      fired = true;
    });
    vi.advanceTimersByTime(2 ** 31 - 1);
    expect(fired).toBe(false);
    vi.advanceTimersByTime(1001);
    expect(fired).toBe(true);
  });
});
