import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeFilter,
  decodeOverrides,
  encodeFilter,
  encodeOverrides,
} from '../../src/codec/filter-config.js';
import { rootPath } from '../../src/codec/path.js';
import { decodeRateLimits, encodeRateLimits } from '../../src/codec/rate-limit.js';
import type { FilterConfig } from '../../src/model/filter-config.js';
import { LOCAL_FILTERS } from '../unit/codec/filter-samples.js';
import { headerMatcher, queryParameterMatcher, stringMatcher } from './arbitraries.js';
import { extAuthzConfig, extAuthzRouteConfig } from './authz-arbitraries.js';
import {
  forwardProxyConfig,
  forwardProxyRouteConfig,
  globalRateLimitConfig,
  globalRateLimitRouteConfig,
  localRateLimitConfig,
  rateLimit,
} from './filter-arbitraries.js';

const ENTRY = { name: 'f', isOptional: false, direction: 'outbound' } as const;

const limits = () => rateLimit(headerMatcher(), queryParameterMatcher());

describe('decoding what was encoded gives the model back', () => {
  test('for rate limits', () => {
    fc.assert(
      fc.property(limits(), (limit) => {
        expect(decodeRateLimits(encodeRateLimits([limit]), rootPath('RDS r'))).toEqual([limit]);
      }),
    );
  });

  test.each([
    ['local rate limits', localRateLimitConfig(limits())],
    ['global rate limits', globalRateLimitConfig(limits())],
    ['dynamic forward proxies', forwardProxyConfig()],
    ['external authorization', extAuthzConfig(stringMatcher())],
  ])('for %s', (_name, configs) => {
    fc.assert(
      fc.property(configs as fc.Arbitrary<FilterConfig>, (config) => {
        expect(decodeFilter(encodeFilter(config), ENTRY, rootPath('LDS l'))).toEqual(config);
      }),
    );
  });

  test.each([
    ['global rate limits', globalRateLimitRouteConfig(limits())],
    ['dynamic forward proxies', forwardProxyRouteConfig()],
    ['external authorization', extAuthzRouteConfig()],
  ])('for %s of routes', (_name, configs) => {
    fc.assert(
      fc.property(configs as fc.Arbitrary<FilterConfig>, (config) => {
        const overrides = new Map<string, FilterConfig>([['a', config]]);
        expect(decodeOverrides(encodeOverrides(overrides), rootPath('RDS r'))).toEqual(overrides);
      }),
    );
  });

  test('for every sample', () => {
    for (const config of LOCAL_FILTERS) {
      expect(decodeFilter(encodeFilter(config), ENTRY, rootPath('LDS l'))).toEqual(config);
    }
  });

  test('for filters that are disabled at a route', () => {
    const overrides = new Map<string, FilterConfig>([['a', { kind: 'disabled' }]]);
    expect(decodeOverrides(encodeOverrides(overrides), rootPath('RDS r'))).toEqual(overrides);
  });
});
