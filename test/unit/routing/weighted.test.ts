import { describe, expect, test } from 'vitest';
import { NO_OVERRIDES } from '../../../src/model/filter-config.js';
import { compileWeighted, selectWeighted } from '../../../src/routing/weighted.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { makeRequest } from '../filters/support.js';

const weighted = (...weights: number[]) => ({
  kind: 'weighted' as const,
  clusters: weights.map((weight, i) => ({ name: `c${i}`, weight, filterOverrides: NO_OVERRIDES })),
  totalWeight: weights.reduce((sum, weight) => sum + weight, 0),
});
/** A draw that stands for Envoy's random value. */
const draw = (value: number) => (value + 0.5) / 2 ** 32;

describe('the choice of a weighted cluster', () => {
  test.each([
    [0, 0],
    [29, 0],
    [30, 1],
    [59, 1],
    [60, 2],
    [99, 2],
    [115, 0],
    [445, 1],
    [560, 2],
  ])('value %i of weights 30, 30, 40 is %s', (value, expected) => {
    expect(selectWeighted(weighted(30, 30, 40), draw(value))).toBe(expected);
  });

  test('never takes a cluster without weight', () => {
    for (let i = 0; i < 100; i++) expect(selectWeighted(weighted(0, 1, 0), i / 100)).toBe(1);
    expect(selectWeighted(weighted(0, 0), 0.5)).toBe(-1);
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

describe('weighted clusters chosen by', () => {
  const byHeader = { ...weighted(30, 30, 40), choice: { kind: 'header' as const, name: 'x-random' } };
  const choose = compileWeighted(byHeader, undefined);
  // The exchange's own draw would take the second.
  const drawn = 1;

  test.each([
    ['60', 2],
    ['115', 0],
    [' +18446744073709551615 ', 0],
    ['18446744073709551616', drawn],
    ['-1', drawn],
    ['1.5', drawn],
    ['', drawn],
  ])('the header %j take %i', (value, expected) => {
    const request = makeRequest({ header: { 'x-random': value } });
    expect(selectWeighted(byHeader, request.context.random)).toBe(drawn);
    expect(choose(request)).toBe(expected);
  });

  test('a header with two values take the random one', () => {
    const request = makeRequest({ header: { 'x-random': '60' } });
    request.headers.append('x-random', '60');
    expect(choose(request)).toBe(drawn);
    expect(choose(makeRequest())).toBe(drawn);
  });

  test('the hash take what it says, and the random one without a hash', () => {
    const byHash = { ...weighted(30, 30, 40), choice: { kind: 'hash' as const } };
    expect(compileWeighted(byHash, () => 2n ** 64n - 1n)(makeRequest())).toBe(0);
    expect(compileWeighted(byHash, () => 60n)(makeRequest())).toBe(2);
    expect(compileWeighted(byHash, () => undefined)(makeRequest())).toBe(drawn);
    expect(compileWeighted(byHash, undefined)(makeRequest())).toBe(drawn);
  });
});
