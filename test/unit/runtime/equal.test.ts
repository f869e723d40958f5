import { describe, expect, test } from 'vitest';
import { isEqual } from '../../../src/runtime/equal.js';
import { Secret } from '../../../src/runtime/secret.js';

describe('structural equality', () => {
  test.each([
    [1, 1],
    [Number.NaN, Number.NaN],
    [{ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }],
    [
      { a: 1, b: 2 },
      { b: 2, a: 1 },
    ],
    [{ a: undefined }, {}],
    [{}, { a: undefined }],
    [new Map([['a', { x: 1 }]]), new Map([['a', { x: 1 }]])],
    [new Set([1, 2]), new Set([2, 1])],
    [Uint8Array.of(1, 2), Uint8Array.of(1, 2)],
  ])('%o equals %o', (a, b) => {
    expect(isEqual(a, b)).toBe(true);
    expect(isEqual(b, a)).toBe(true);
  });

  test.each([
    [1, '1'],
    [null, {}],
    [undefined, null],
    [[1], [1, 2]],
    [[1, 2], { 0: 1, 1: 2 }],
    [{ a: 1 }, { a: 1, b: 2 }],
    [{ a: 1 }, { b: 1 }],
    [{}, { constructor: true }],
    [
      { toString: undefined, a: 1 },
      { toString: 1, a: 1 },
    ],
    [new Map([['a', 1]]), new Map([['a', 2]])],
    [new Map([['a', undefined]]), new Map([['b', undefined]])],
    [new Map(), new Set()],
    [new Set([1]), new Set([2])],
    [Uint8Array.of(1), Uint8Array.of(2)],
    [Uint8Array.of(1), Uint16Array.of(1)],
    [{}, new Map()],
  ])('%o does not equal %o', (a, b) => {
    expect(isEqual(a, b)).toBe(false);
    expect(isEqual(b, a)).toBe(false);
  });
});

test('secrets are equal when their texts are', () => {
  expect(isEqual({ a: new Secret('x') }, { a: new Secret('x') })).toBe(true);
  expect(isEqual({ a: new Secret('x') }, { a: new Secret('y') })).toBe(false);
});
