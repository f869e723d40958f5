import { describe, expect, test } from 'vitest';
import { NO_OVERRIDES } from '../../../src/model/filter-config.js';
import { selectCluster, selectWeighted } from '../../../src/routing/weighted.js';
import { seededRandom } from '../../../src/runtime/random.js';

const weighted = (...weights: number[]) => ({
  kind: 'weighted' as const,
  clusters: weights.map((weight, i) => ({ name: `c${i}`, weight, filterOverrides: NO_OVERRIDES })),
  totalWeight: weights.reduce((sum, weight) => sum + weight, 0),
});
/** A draw that stands for Envoy's random value. */
const draw = (value: number) => (value + 0.5) / 2 ** 32;

describe('the choice of a weighted cluster', () => {
  test.each([
    [0, 'c0'],
    [29, 'c0'],
    [30, 'c1'],
    [59, 'c1'],
    [60, 'c2'],
    [99, 'c2'],
    [115, 'c0'],
    [445, 'c1'],
    [560, 'c2'],
  ])('value %i of weights 30, 30, 40 is %s', (value, expected) => {
    expect(selectCluster(weighted(30, 30, 40), draw(value))).toBe(expected);
  });

  test('never takes a cluster without weight', () => {
    for (let i = 0; i < 100; i++) expect(selectWeighted(weighted(0, 1, 0), i / 100)).toBe(1);
    expect(selectWeighted(weighted(0, 0), 0.5)).toBe(-1);
  });

  test('takes a single cluster as it is', () => {
    expect(selectCluster({ kind: 'cluster', name: 'only' }, 0.3)).toBe('only');
  });

  test.each([
    [90, 10],
    [1, 1],
    [1_000_000_007, 3_000_000_000],
  ])('spreads by %i to %i', (a, b) => {
    const random = seededRandom(7);
    const draws = 20_000;
    let first = 0;
    for (let i = 0; i < draws; i++) if (selectWeighted(weighted(a, b), random()) === 0) first++;
    const share = a / (a + b);
    const sigma = Math.sqrt((share * (1 - share)) / draws);
    expect(Math.abs(first / draws - share)).toBeLessThan(4 * sigma);
  });
});
