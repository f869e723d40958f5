import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { RateLimitDescriptor } from '../../../src/filters/rate-limit-descriptors.js';
import { rateLimitHeaders } from '../../../src/filters/rate-limit-headers.js';
import { rateLimitService } from '../../../src/proto/xds.js';

const { DescriptorStatusSchema, UnitSchema } = {
  DescriptorStatusSchema: rateLimitService.RateLimitResponse_DescriptorStatusSchema,
  UnitSchema: rateLimitService.RateLimitResponse_RateLimit_UnitSchema,
};
const Unit = rateLimitService.RateLimitResponse_RateLimit_Unit;
type Limit = MessageInitShape<typeof rateLimitService.RateLimitResponse_RateLimitSchema>;

const status = (currentLimit: Limit | undefined, limitRemaining: number, resetSeconds: number) =>
  create(DescriptorStatusSchema, {
    ...(currentLimit !== undefined && { currentLimit }),
    limitRemaining,
    durationUntilReset: { seconds: BigInt(resetSeconds), nanos: 900_000_000 },
  });
const descriptor = (shown?: boolean): RateLimitDescriptor => ({
  entries: [],
  limit: undefined,
  hits: undefined,
  isRefund: false,
  rateLimitHeaders: shown,
});
const FIRST = status({ requestsPerUnit: 1, unit: Unit.MINUTE, name: 'first' }, 2, 3);
const SECOND = status({ requestsPerUnit: 4, unit: Unit.HOUR, name: 'second' }, 5, 6);

function headers(
  statuses: Parameters<typeof rateLimitHeaders>[0],
  shown: (boolean | undefined)[],
  byDefault = true,
) {
  return Object.fromEntries(rateLimitHeaders(statuses, shown.map(descriptor), byDefault));
}

describe('the x-ratelimit headers', () => {
  test('tell of the limit with least left, and the policies of all', () => {
    expect(headers([SECOND, FIRST], [undefined, undefined])).toEqual({
      'x-ratelimit-limit': '1, 4;w=3600;name="second", 1;w=60;name="first"',
      'x-ratelimit-remaining': '2',
      'x-ratelimit-reset': '3',
    });
  });

  test('of two that have as little left tell of the first', () => {
    const other = status({ requestsPerUnit: 9, unit: Unit.SECOND }, 2, 7);
    expect(headers([other, FIRST], [])['x-ratelimit-limit']).toBe('9, 9;w=1, 1;w=60;name="first"');
  });

  test('are left out when nobody asks for them, and without statuses', () => {
    expect(headers([FIRST], [undefined], false)).toEqual({});
    expect(headers([], [])).toEqual({});
    expect(headers([status(undefined, 0, 0)], [])).toEqual({});
  });

  test('pass over a descriptor without limit, even one with less left', () => {
    expect(headers([status(undefined, 0, 0), SECOND], [])['x-ratelimit-remaining']).toBe('5');
  });

  test('have no policy for a window of unknown length', () => {
    const unknown = status({ requestsPerUnit: 1, unit: Unit.UNKNOWN, name: 'first' }, 2, 3);
    expect(headers([unknown, SECOND], [])['x-ratelimit-limit']).toBe('1, 4;w=3600;name="second"');
  });

  test.each([
    [[false, undefined], true, undefined],
    [[undefined, false], true, '1, 1;w=60;name="first"'],
    [[true, false], false, '1, 1;w=60;name="first"'],
    [[true, undefined], false, '1, 1;w=60;name="first"'],
    [[undefined, true], false, undefined],
  ])('descriptors that say %j, by default %s: %s', (shown, byDefault, expected) => {
    expect(headers([FIRST, SECOND], shown, byDefault)['x-ratelimit-limit']).toBe(expected);
  });

  test('know the seconds of every window', () => {
    const windows = UnitSchema.values.map(({ name, number }) => {
      const text = headers([status({ requestsPerUnit: 1, unit: number }, 1, 1)], [])['x-ratelimit-limit'];
      return [name, text];
    });
    expect(Object.fromEntries(windows)).toEqual({
      UNKNOWN: '1',
      SECOND: '1, 1;w=1',
      MINUTE: '1, 1;w=60',
      HOUR: '1, 1;w=3600',
      DAY: '1, 1;w=86400',
      WEEK: '1, 1;w=604800',
      MONTH: '1, 1;w=2592000',
      YEAR: '1, 1;w=31536000',
    });
  });
});
