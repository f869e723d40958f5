import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isJsonObject, parseStrictJson } from '../../../src/runtime/strict-json.js';

class Refused extends Error {}
const parse = (text: string | Uint8Array) => parseStrictJson(text, (what) => new Refused(what));

describe('strict JSON', () => {
  test('reads what JSON.parse writes', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (text) => {
        const plain: unknown = JSON.parse(text);
        const mine = JSON.stringify(parse(text), (_, value) =>
          typeof value === 'bigint' ? Number(value) : value,
        );
        expect(mine).toBe(JSON.stringify(plain));
      }),
    );
  });

  test('refuses or reads as JSON.parse does, whatever the text', () => {
    const unit = fc.constantFrom(...'{}[]",:\\ \n0123456789.eE+-truefalsn'.split(''));
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 20 }), (text) => {
        let theirs: unknown;
        try {
          theirs = JSON.parse(text);
        } catch {
          expect(() => parse(text)).toThrow(Refused);
          return;
        }
        try {
          const mine = JSON.stringify(parse(text), (_, value) =>
            typeof value === 'bigint' ? Number(value) : value,
          );
          expect(mine).toBe(JSON.stringify(theirs));
        } catch (error) {
          expect(error).toBeInstanceOf(Refused);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('a member may not stand twice, at any depth and however it is spelled', () => {
    expect(() => parse('{"a":1,"a":1}')).toThrow('the member "a" twice');
    expect(() => parse('[{"b":{"a":1,"\\u0061":2}}]')).toThrow('twice');
  });

  test('names that every object has are members like others', () => {
    const value = parse('{"__proto__":1,"toString":2}');
    expect(isJsonObject(value) && Object.entries(value)).toEqual([
      ['__proto__', 1],
      ['toString', 2],
    ]);
    expect(isJsonObject(value) && value['constructor']).toBeUndefined();
  });

  test('integers keep every digit', () => {
    expect(parse('18446744073709551615')).toBe(18446744073709551615n);
    expect(parse('9007199254740991')).toBe(9007199254740991);
    expect(() => parse('1e400')).toThrow('out of range');
    expect(() => parse('9'.repeat(100))).toThrow('out of range');
  });

  test('depth is bounded, and so is its price', () => {
    expect(() => parse('['.repeat(100_000))).toThrow('32 levels');
    expect(parse(`${'['.repeat(32)}${']'.repeat(32)}`)).toBeDefined();
  });

  test('only UTF-8 without a byte order mark is read', () => {
    expect(parse(Buffer.from('"ä"'))).toBe('ä');
    expect(() => parse(Uint8Array.of(0x22, 0xff, 0x22))).toThrow('UTF-8');
    expect(() => parse(Buffer.from('\ufeff1'))).toThrow('not JSON');
  });
});
