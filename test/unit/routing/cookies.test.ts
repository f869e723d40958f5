import { expect, test } from 'vitest';
import { readCookie } from '../../../src/routing/cookies.js';
import { HeaderMap } from '../../../src/service/headers.js';

const read = (...lines: string[]): string => readCookie(HeaderMap.from([['cookie', lines]]), 'id');

test.each([
  ['id=1', '1'],
  ['a=b; id=1; c=d', '1'],
  ['a=b;id=1', '1'],
  ['id="1"', '1'],
  ['id="', '"'],
  ['id=', ''],
  ['id; id=2', '2'],
  ['idx=1', ''],
  ['xid=1', ''],
  ['id=1; id=2', '1'],
  ['id=a=b', 'a=b'],
  ['', ''],
  [';;  ;id=1', '1'],
  ['x=id=1', ''],
])('%s', (line, expected) => {
  expect(read(line)).toBe(expected);
});

test('several lines are read in order', () => {
  expect(read('a=1', 'id=2', 'id=3')).toBe('2');
});
