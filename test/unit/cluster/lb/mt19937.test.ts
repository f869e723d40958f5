import { expect, test } from 'vitest';
import { mt19937 } from '../../../../src/cluster/lb/mt19937.js';

test('draws what std::mt19937 draws', () => {
  // C++ standard: the 10000th number of a default-constructed engine, whose seed is 5489.
  const random = mt19937(5489);
  expect(random()).toBe(3_499_211_612);
  for (let i = 2; i < 10_000; i++) random();
  expect(random()).toBe(4_123_659_995);
});
