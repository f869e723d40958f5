import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAgenda } from '../../../src/runtime/agenda.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';

describe('an agenda', () => {
  test('runs every task at its time, in order, on one timer', async () => {
    const delays = fc.array(fc.record({ delayMs: fc.nat(50), cancelled: fc.boolean() }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(delays, async (tasks) => {
        const clock = createFakeClock();
        const agenda = createAgenda(clock);
        const ran: (readonly [number, number])[] = [];
        for (const { delayMs, cancelled } of tasks) {
          const timer = agenda.schedule(delayMs, () => ran.push([delayMs, clock.now()]));
          if (cancelled) timer.cancel();
          expect(clock.pending).toBeLessThanOrEqual(1);
        }
        await clock.advance(60);
        const expected = tasks.filter(({ cancelled }) => !cancelled).map(({ delayMs }) => delayMs);
        expect(ran.map(([delayMs]) => delayMs)).toEqual(expected.sort((a, b) => a - b));
        for (const [delayMs, atMs] of ran) expect(atMs).toBe(delayMs);
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  test('takes new tasks while it runs, and goes on after one that throws', async () => {
    const clock = createFakeClock();
    const agenda = createAgenda(clock);
    const ran: string[] = [];
    agenda.schedule(10, () => {
      ran.push('first');
      agenda.schedule(5, () => ran.push('third'));
      agenda.schedule(1, () => ran.push('second'));
    });
    await clock.advance(20);
    expect(ran).toEqual(['first', 'second', 'third']);
    agenda.schedule(1, () => {
      throw new Error('a task that fails');
    });
    agenda.schedule(1, () => ran.push('fourth'));
    await expect(clock.advance(2)).rejects.toThrow('a task that fails');
    await clock.advance(2);
    expect(ran).toEqual(['first', 'second', 'third', 'fourth']);
  });
});
