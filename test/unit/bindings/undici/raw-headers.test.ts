import { describe, expect, test } from 'vitest';
import { readHeaders, toRawBuffers, toRecord } from '../../../../src/bindings/undici/raw-headers.js';
import { HeaderMap } from '../../../../src/service/headers.js';

const LINES = [
  ['a', '1'],
  ['b', '2'],
  ['b', '3'],
];

describe('headers as undici’s callers give them', () => {
  test.each([
    ['a record', { A: '1', b: ['2', '3'] }],
    ['a record with undefined values', { A: '1', none: undefined, b: ['2', '3'] }],
    ['a flat array', ['A', '1', 'b', '2', 'b', '3']],
    ['pairs', new Map<string, string | string[]>(Object.entries({ A: '1', b: ['2', '3'] }))],
  ])('%s is read', (_name, headers) => {
    expect([...readHeaders(headers)]).toEqual(LINES);
  });

  test('Headers of the platform are read', () => {
    expect([...readHeaders(new Headers({ A: '1', b: '2' }))]).toEqual([
      ['a', '1'],
      ['b', '2'],
    ]);
  });

  test.each([[null], [undefined], [{}], [[]]])('%s is no header', (headers) => {
    expect(readHeaders(headers).size).toBe(0);
  });
});

describe('headers as undici’s handlers expect them', () => {
  test('raw lines are Buffers of the bytes that came; those that came as Buffers are passed on', () => {
    const name = Buffer.from('X-Name');
    const raw = [name, Buffer.from([0xe9])];
    expect(toRawBuffers(HeaderMap.fromRaw(raw))).toEqual(raw);
    expect(toRawBuffers(HeaderMap.fromRaw(raw))[0]).toBe(name);
    expect(toRawBuffers(HeaderMap.from([['x-name', 'é']]))).toEqual([
      Buffer.from('x-name'),
      Buffer.from([0xe9]),
    ]);
  });

  test('a record has an array where a header has several lines', () => {
    const record = toRecord(
      HeaderMap.from([
        ['set-cookie', ['a=1', 'b=2', 'c=3']],
        ['x', '1'],
      ]),
    );
    expect({ ...record }).toEqual({ 'set-cookie': ['a=1', 'b=2', 'c=3'], x: '1' });
  });

  test('a header called __proto__ is a header', () => {
    const record = toRecord(HeaderMap.from([['__proto__', 'x']]));
    expect(Object.keys(record)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(record)).toBeNull();
  });
});
