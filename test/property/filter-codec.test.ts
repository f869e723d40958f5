import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rootPath } from '../../src/codec/path.js';
import { decodeRateLimits, encodeRateLimits } from '../../src/codec/rate-limit.js';
import { headerMatcher, queryParameterMatcher } from './arbitraries.js';
import { rateLimit } from './filter-arbitraries.js';

describe('rate limits', () => {
  test('decoding what was encoded gives the model back', () => {
    fc.assert(
      fc.property(rateLimit(headerMatcher(), queryParameterMatcher()), (limit) => {
        expect(decodeRateLimits(encodeRateLimits([limit]), rootPath('RDS r'))).toEqual([limit]);
      }),
    );
  });
});
