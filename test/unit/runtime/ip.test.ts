import { isIPv6 } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatIp, maskIp, parseIp } from '../../../src/runtime/ip.js';

describe('addresses', () => {
  test.each([
    ['10.1.2.3', 16, '10.1.0.0'],
    ['10.1.2.3', 0, '0.0.0.0'],
    ['10.1.2.255', 25, '10.1.2.128'],
    ['2001:abcd:ef01:2345:6789:abcd:ef01:234', 64, '2001:abcd:ef01:2345::'],
    ['2001:db8::1', 128, '2001:db8::1'],
    ['::1', 0, '::'],
    ['1:0:0:2:0:0:0:3', 128, '1:0:0:2::3'],
    ['1:0:2:3:4:5:6:7', 128, '1:0:2:3:4:5:6:7'],
    ['::ffff:10.0.0.1', 128, '::ffff:a00:1'],
    ['fe80::1%eth0', 64, 'fe80::'],
  ])('%s cut to /%i is %s', (text, length, expected) => {
    const bytes = parseIp(text);
    expect(bytes && formatIp(maskIp(bytes, length))).toBe(expected);
  });

  test.each(['', '10.0.0', 'localhost', '/run/app.sock', '1::2::3'])('%j is none', (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  test('text and bytes say the same', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const bytes = parseIp(text);
        if (bytes === undefined) throw new Error('not parsed');
        expect(parseIp(formatIp(bytes))).toEqual(bytes);
        if (isIPv6(text) && !text.includes('.')) {
          expect(`[${formatIp(bytes)}]`).toBe(new URL(`http://[${text}]`).hostname);
        }
      }),
    );
  });
});
