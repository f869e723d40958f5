import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { callHead, headersOfLines } from '../../../../src/bindings/grpc-server/call-head.js';
import { timeoutText } from '../../../../src/bindings/grpc-server/deadline.js';
import { parseGrpcTimeout } from '../../../../src/service/grpc-timeout.js';

const RAW = [
  [':method', 'POST'],
  [':path', '/a.B/C'],
  [':scheme', 'http'],
  [':authority', 'shop:80'],
  ['content-type', 'application/grpc'],
  ['x-forwarded-client-cert', 'URI=spiffe://evil'],
  ['x-envoy-peer-metadata', 'CgA='],
  ['x-many', 'a'],
  ['x-envoy-peer-metadata-id', 'me'],
  ['x-many', 'b'],
] as const;

describe('the head of a call', () => {
  const read = (element: string | undefined) => {
    const headers = Object.fromEntries(RAW);
    return { headers, head: callHead(headers, RAW.flat(), element) };
  };

  test('has its parts, and none of what only a mesh may say', () => {
    const { head, headers } = read(undefined);
    expect(head).toEqual({
      method: 'POST',
      path: '/a.B/C',
      authority: 'shop:80',
      peerMetadata: 'CgA=',
      peerId: 'me',
      lines: ['content-type', 'application/grpc', 'x-many', 'a', 'x-many', 'b'],
    });
    expect(Object.keys(headers).filter((name) => name.startsWith('x-'))).toEqual(['x-many']);
  });

  test('names the certificate of the caller, to filters and to the application', () => {
    const { head, headers } = read('By=us;URI=spiffe://d/caller');
    expect(head.lines.slice(-2)).toEqual(['x-forwarded-client-cert', 'By=us;URI=spiffe://d/caller']);
    expect(headers['x-forwarded-client-cert']).toBe('By=us;URI=spiffe://d/caller');
  });

  test('lines that filters changed come back as headers, repeated ones as lists', () => {
    const headers = headersOfLines({ ':path': '/x' }, ['a', '1', 'b', '2', 'a', '3', 'a', '4']);
    expect({ ...headers }).toEqual({ ':path': '/x', a: ['1', '3', '4'], b: '2' });
    expect(Object.getPrototypeOf(headersOfLines({}, ['__proto__', 'x']))).toBe(null);
  });
});

describe('grpc-timeout for the server', () => {
  test.each([
    ['100m', 0, '100m'],
    ['100m', 30, '70m'],
    ['100m', 200, '0m'],
    ['1S', 0.5, '1S'],
    ['99999999H', 0, '2147483S'],
    ['2147483647m', 0, '2147483647m'],
    ['soon', 5, 'soon'],
  ])('%s after %s ms: %s', (text, passedMs, expected) => {
    expect(timeoutText(text, passedMs)).toBe(expected);
  });

  test('it is never longer than asked, nor than a timer can be', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 99_999_999 }),
        fc.constantFrom('H', 'M', 'S', 'm', 'u', 'n'),
        fc.integer({ min: 0, max: 100_000 }),
        (count, unit, passedMs) => {
          const asked = parseGrpcTimeout(`${count}${unit}`) ?? 0;
          const left = parseGrpcTimeout(timeoutText(`${count}${unit}`, passedMs)) ?? Number.NaN;
          expect(left).toBeLessThanOrEqual(Math.min(asked, 2 ** 31 - 1));
          // What is cut off is less than the unit it is written in.
          if (asked - passedMs < 99_999_999)
            expect(left).toBeGreaterThanOrEqual(Math.max(0, asked - passedMs) - 1);
        },
      ),
    );
  });
});
