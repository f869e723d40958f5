import { expect } from 'vitest';

/** How often a call is made at most; one alone may have to wait for the compiler of JavaScript, or for garbage. */
const CALLS = 20;

/**
 * What a call returns that is to spend less CPU time than the limit, in milliseconds: the result of the first. When that took
 * longer, the call is made again; only if none of twenty is fast enough is it the call that is slow, and not what
 * the machine or this process did besides. Repeating ends early where the time is out of all proportion.
 */
export async function withinCpuMs<T>(limitMs: number, call: () => T | Promise<T>): Promise<T> {
  const first = await timed(call);
  let least = first.cpuMs;
  for (let calls = 1; least >= limitMs && calls < CALLS && least < CALLS * limitMs; calls++) {
    least = Math.min(least, (await timed(call)).cpuMs);
  }
  expect(least, 'milliseconds of CPU time that the call takes at least').toBeLessThan(limitMs);
  return first.result;
}

async function timed<T>(call: () => T | Promise<T>): Promise<{ readonly result: T; readonly cpuMs: number }> {
  const before = process.cpuUsage();
  const result = await call();
  const { user, system } = process.cpuUsage(before);
  return { result, cpuMs: (user + system) / 1000 };
}
