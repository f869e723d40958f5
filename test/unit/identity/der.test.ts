import { describe, expect, test } from 'vitest';
import { DerReader, DerTag } from '../../../src/identity/der.js';

const read = (hex: string) => new DerReader(Buffer.from(hex, 'hex'), (what) => new RangeError(what));

describe('DerReader', () => {
  test('reads nested elements in order', () => {
    const list = read('30060201050101ff').enter();
    expect(list.smallInteger()).toBe(5);
    expect(list.boolean()).toBe(true);
    list.end();
  });

  test('reads lengths of several bytes', () => {
    const content = 'ab'.repeat(200);
    expect(read(`0481c8${content}`).next(DerTag.octetString).content.length).toBe(200);
    expect(read(`048203e8${'ab'.repeat(1000)}`).next().content.length).toBe(1000);
  });

  test.each([
    ['an indefinite length', '3080020105 0000'],
    ['a length beyond the container', '300602010502'],
    ['a length beyond the bytes', '0405ab'],
    ['a length with a needless byte', '04810161'],
    ['a length with leading zeros', `048200c8${'ab'.repeat(200)}`],
    ['a length of five bytes', '04850000000001ab'],
    ['a tag of several bytes', '1f8101 0100'],
    ['nothing', ''],
  ])('refuses %s', (_, hex) => {
    const reader = read(hex.replaceAll(' ', ''));
    expect(() => reader.enter().enter()).toThrow(RangeError);
  });

  test('refuses bytes after the end', () => {
    const reader = read('0101ff00');
    reader.boolean();
    expect(() => reader.end()).toThrow('bytes follow');
  });

  test('a BOOLEAN is 00 or ff', () => {
    expect(read('010100').boolean()).toBe(false);
    expect(() => read('010101').boolean()).toThrow(RangeError);
    expect(() => read('0100').boolean()).toThrow(RangeError);
  });

  test('an INTEGER is in its shortest form', () => {
    expect([...read('02020080').integer()]).toEqual([0, 0x80]);
    expect(() => read('0202007f').integer()).toThrow('shortest');
    expect(() => read('0202ff80').integer()).toThrow('shortest');
    expect(() => read('0200').integer()).toThrow('empty');
    expect(() => read('0201ff').smallInteger()).toThrow('range');
  });

  test('a BIT STRING has no unused bit set', () => {
    expect(read('03020780').bitString()).toMatchObject({ unusedBits: 7 });
    expect(() => read('03020781').bitString()).toThrow('unused');
    expect(() => read('03020880').bitString()).toThrow('malformed');
    expect(() => read('030101').bitString()).toThrow('malformed');
    expect(() => read('0300').bitString()).toThrow('malformed');
  });

  test('an object identifier is read with all its arcs', () => {
    expect(read('06092a864886f70d01010b').oid()).toBe('1.2.840.113549.1.1.11');
    expect(read('0603551d11').oid()).toBe('2.5.29.17');
    expect(read('06028837').oid()).toBe('2.999');
    expect(() => read('0603551d91').oid()).toThrow('too early');
    expect(() => read('0603558011').oid()).toThrow('shortest');
    expect(() => read('0600').oid()).toThrow('too early');
    expect(() => read(`060b${'ff'.repeat(10)}7f`).oid()).toThrow('huge');
  });
});
