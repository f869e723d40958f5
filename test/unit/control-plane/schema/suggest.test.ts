import { expect, test } from 'vitest';
import { suggest } from '../../../../src/control-plane/schema/suggest.js';

test.each([
  ['timeuot', ['timeout', 'retries'], 'timeout'],
  ['Virtualservice', ['VirtualService', 'Service'], 'VirtualService'],
  ['V3', ['v1', 'v3'], 'v3'],
  ['subsest', ['subset', 'host'], 'subset'],
  ['banana', ['timeout', 'retries'], undefined],
  ['', ['a'], 'a'],
  ['x'.repeat(1000), ['x'], undefined],
])('for %j of %j the suggestion is %j', (name, candidates, expected) => {
  expect(suggest(name, candidates)).toBe(expected);
});
