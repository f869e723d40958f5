import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isEqual } from '../../../src/runtime/equal.js';
import { ShardedMap } from '../../../src/runtime/sharded-map.js';

const entries = fc.array(fc.tuple(fc.string(), fc.integer()), { maxLength: 40 });
const changes = fc.array(fc.tuple(fc.string(), fc.option(fc.integer(), { nil: undefined })), {
  maxLength: 10,
});
const sorted = (map: Iterable<readonly [string, number]>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

function applied(
  map: ReadonlyMap<string, number>,
  steps: readonly (readonly [string, number | undefined])[],
) {
  const after = new Map(map);
  for (const [key, value] of steps) {
    if (value === undefined) after.delete(key);
    else after.set(key, value);
  }
  return after;
}

test('holds what a map holds, and a changed copy leaves the first one as it is', () => {
  fc.assert(
    fc.property(entries, changes, (first, steps) => {
      const plain = new Map(first);
      // Some of the changes are to keys that are there.
      const all = [
        ...steps,
        ...first.slice(0, 3).map(([key], at) => [key, at === 0 ? undefined : at] as const),
      ];
      const before = ShardedMap.from(first);
      const after = before.with(all);
      expect(sorted(before)).toEqual(sorted(plain));
      expect(sorted(after)).toEqual(sorted(applied(plain, all)));
      expect(after.size).toBe(applied(plain, all).size);
      for (const [key] of all) {
        expect(after.get(key)).toBe(applied(plain, all).get(key));
        expect(after.has(key)).toBe(applied(plain, all).has(key));
      }
      expect([...after.keys()].length).toBe([...after.values()].length);
    }),
  );
});

test('tells what is different between two copies', () => {
  fc.assert(
    fc.property(entries, changes, (first, steps) => {
      const before = ShardedMap.from(first);
      const after = before.with(steps);
      const expected = [...new Set([...before.keys(), ...after.keys()])].filter(
        (key) => before.get(key) !== after.get(key),
      );
      const told = [...before.changesTo(after)];
      expect(told.map(([key]) => key).sort()).toEqual(expected.sort());
      for (const [key, then, now] of told) expect([then, now]).toEqual([before.get(key), after.get(key)]);
    }),
  );
});

test('is compared by content', () => {
  const one = ShardedMap.from([['a', { x: 1 }]]);
  expect(isEqual(one, ShardedMap.from([['a', { x: 1 }]]))).toBe(true);
  expect(isEqual(one, ShardedMap.from([['a', { x: 2 }]]))).toBe(false);
  expect(isEqual(one, one.with([['b', { x: 1 }]]))).toBe(false);
});
