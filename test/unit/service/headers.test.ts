import { describe, expect, test } from 'vitest';
import { HeaderMap } from '../../../src/service/headers.js';

describe('HeaderMap', () => {
  test('names are case-insensitive, order and repeated lines stay', () => {
    const map = HeaderMap.fromRaw(['Set-Cookie', 'a=1', 'X-Id', '7', 'set-cookie', 'b=2']);
    expect(map.getAll('set-cookie')).toEqual(['a=1', 'b=2']);
    expect([...map].map(([name]) => name)).toEqual(['set-cookie', 'x-id', 'set-cookie']);
  });

  test('an untouched map gives back the array it came from', () => {
    const raw = [Buffer.from('A'), Buffer.from('1')];
    const map = HeaderMap.fromRaw(raw);
    expect(map.get('a')).toBe('1');
    expect(map.toRaw()).toBe(raw);
  });

  test('a changed map no longer does', () => {
    const map = HeaderMap.fromRaw(['A', '1']);
    map.set('a', '2');
    map.append('b', '3');
    map.delete('none');
    expect(map.toRaw()).toEqual(['a', '2', 'b', '3']);
  });

  test('bytes above ASCII stay as they are', () => {
    expect(HeaderMap.fromRaw([Buffer.from('x'), Buffer.from([0xe9])]).get('x')).toBe('\u00e9');
  });

  test('a clone is independent', () => {
    const map = HeaderMap.from([['a', '1']]);
    const copy = map.clone();
    copy.set('a', '2');
    expect([map.get('a'), copy.get('a')]).toEqual(['1', '2']);
    const raw = HeaderMap.fromRaw(['a', '1']);
    const rawCopy = raw.clone();
    rawCopy.delete('a');
    expect([raw.has('a'), rawCopy.has('a')]).toEqual([true, false]);
  });

  test.each([
    ['a', 'x\r\ny: z'],
    ['a', 'x\0'],
    ['a b', 'x'],
    ['', 'x'],
  ])('the line %j: %j is refused', (name, value) => {
    expect(() => HeaderMap.empty().append(name, value)).toThrow('INMESH_HEADER_INVALID');
  });

  test('__proto__ is a name like any other', () => {
    const map = HeaderMap.fromRaw(['__proto__', 'x']);
    expect(map.get('__proto__')).toBe('x');
    expect(map.get('constructor')).toBeUndefined();
  });
});

describe('names as they were spelled', () => {
  const spelled = () =>
    HeaderMap.fromSpelled(['x-a', '1', 'x-b', '2', 'x-a', '3'], ['X-A', '1', 'x-b', '2', 'x-A', '3']);

  test('are found in lower case and written as they were', () => {
    const map = spelled();
    expect([map.getAll('x-a'), map.toLines(), map.toSpelled()]).toEqual([
      ['1', '3'],
      ['x-a', '1', 'x-b', '2', 'x-a', '3'],
      ['X-A', '1', 'x-b', '2', 'x-A', '3'],
    ]);
  });

  test('follow every change', () => {
    const map = spelled();
    map.append('X-C', '4');
    map.delete('x-a');
    map.set('x-b', '5');
    expect(map.toSpelled()).toEqual(['x-c', '4', 'x-b', '5']);
  });

  test('are copied', () => {
    const map = spelled();
    const copy = map.clone();
    copy.delete('x-a');
    expect([map.toSpelled().length, copy.toSpelled()]).toEqual([6, ['x-b', '2']]);
  });

  test('are the lines themselves when nobody spelled them', () => {
    expect(HeaderMap.fromLines(['a', 'b']).toSpelled()).toEqual(['a', 'b']);
  });
});
