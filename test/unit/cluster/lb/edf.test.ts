import { describe, expect, test } from 'vitest';
import { EdfSchedule } from '../../../../src/cluster/lb/edf.js';

const weights: Readonly<Record<string, number>> = { a: 1, b: 2, c: 3 };
const weightOf = (item: string) => weights[item] ?? 1;
const picks = (schedule: EdfSchedule<string>, count: number) =>
  Array.from({ length: count }, () => schedule.pick()).join('');

describe('the EDF schedule', () => {
  test('spreads picks evenly by weight', () => {
    expect(picks(new EdfSchedule(['a', 'b', 'c'], weightOf), 6)).toBe('cbcabc');
  });

  test('takes ties in the order they were put back', () => {
    expect(picks(new EdfSchedule(['x', 'y', 'z'], weightOf), 6)).toBe('xyzxyz');
  });

  test('reads a weight when the item is put back', () => {
    let weight = 1;
    const schedule = new EdfSchedule(['x', 'y'], (item) => (item === 'x' ? weight : 1));
    expect(picks(schedule, 2)).toBe('xy');
    weight = 4;
    expect(picks(schedule, 10).replaceAll('y', '').length).toBe(8);
  });

  test.each([0, 1, 2, 5, 6, 7, 100, 429_496_728])(
    'after %i notional picks goes on as if they were made',
    (done) => {
      const ahead = new EdfSchedule(['a', 'b', 'c'], weightOf, done);
      const counts = picks(ahead, 600);
      expect(counts.replaceAll(/[^a]/g, '').length).toBeGreaterThanOrEqual(99);
      expect(counts.replaceAll(/[^a]/g, '').length).toBeLessThanOrEqual(101);
      expect(counts.replaceAll(/[^c]/g, '').length).toBeGreaterThanOrEqual(299);
      expect(counts.replaceAll(/[^c]/g, '').length).toBeLessThanOrEqual(301);
    },
  );

  test('has nothing to give without items', () => {
    expect(new EdfSchedule([], weightOf, 5).pick()).toBeUndefined();
  });
});
