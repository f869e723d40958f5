import { expect, test } from 'vitest';
import { joined } from '../../../../src/control-plane/serve/joined.js';

const LONG = Buffer.alloc(20_000, 'x');
const bytes = (text: string) => Buffer.from(text);

test('joins in order, long pieces or not', () => {
  expect(joined([bytes('a'), bytes('b')]).toString()).toBe('ab');
  expect(joined([bytes('a'), LONG, bytes('b')])).toEqual(Buffer.concat([bytes('a'), LONG, bytes('b')]));
  expect(joined([])).toHaveLength(0);
});

test('the same pieces are joined once, others around the same long one are not mixed up', () => {
  const first = joined([bytes('a'), LONG, bytes('b')]);
  expect(joined([bytes('a'), LONG, bytes('b')])).toBe(first);
  const second = joined([bytes('c'), LONG, bytes('b')]);
  expect(second).toEqual(Buffer.concat([bytes('c'), LONG, bytes('b')]));
  expect(joined([bytes('c'), LONG, bytes('b')])).toBe(second);
  const swapped = joined([bytes('c'), bytes('b'), LONG]);
  expect(swapped).toEqual(Buffer.concat([bytes('c'), bytes('b'), LONG]));
  expect(first).toEqual(Buffer.concat([bytes('a'), LONG, bytes('b')]));
});

test('two long pieces are joined like any others', () => {
  const other = Buffer.alloc(20_000, 'y');
  expect(joined([LONG, other])).toEqual(Buffer.concat([LONG, other]));
});
