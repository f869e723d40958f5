import { describe, expect, test } from 'vitest';
import { compileRateLimits } from '../../../src/filters/rate-limit-descriptors.js';
import { type RouteRateLimits, selectRateLimits } from '../../../src/filters/route-rate-limits.js';
import type { RateLimit, RateLimitAction } from '../../../src/model/rate-limit.js';
import type { Request } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { makeRequest } from './support.js';

const limit = (change: Partial<RateLimit> = {}, ...actions: RateLimitAction[]): RateLimit => ({
  stage: 0,
  disableKey: '',
  actions: actions.length === 0 ? [{ kind: 'source-cluster' }] : actions,
  limit: undefined,
  hits: undefined,
  onStreamDone: false,
  rateLimitHeaders: undefined,
  ...change,
});

function describeRequest(one: RateLimit, request: Request) {
  const tools = { clock: createFakeClock(), node: { id: 'n', cluster: 'app' }, clusterName: 'backend' };
  return compileRateLimits([one], tools)?.(request) ?? [];
}

describe('rate limit descriptors', () => {
  test('a limit from dynamic metadata goes along; a malformed one does not', () => {
    const one = limit({ limit: { namespace: 'n', keys: ['limit'] } });
    const request = makeRequest();
    const at = (value: unknown) => {
      request.context.dynamicMetadata = new Map([['n', { limit: value }]]);
      return describeRequest(one, request)[0]?.limit;
    };
    expect(at({ requests_per_unit: 42, unit: 'HOUR' })).toEqual({ requestsPerUnit: 42, unit: 'HOUR' });
    expect(at({ requests_per_unit: 42, unit: 'FORTNIGHT' })).toBeUndefined();
    expect(at({ requests_per_unit: '42', unit: 'HOUR' })).toBeUndefined();
    expect(at('none')).toBeUndefined();
  });

  test.each([
    ['7', 7],
    ['7.9', 7],
    ['0', 0],
    ['1000000000', 1_000_000_000],
  ])('hits %j of a format count', (text, hits) => {
    const one = limit({ hits: { count: '%REQ(x-hits)%', isRefund: true } });
    expect(describeRequest(one, makeRequest({ header: { 'x-hits': text } }))).toMatchObject([
      { hits, isRefund: true },
    ]);
  });

  test.each(['', 'many', '-1', '1000000001'])('hits %j drop the descriptor', (text) => {
    const one = limit({ hits: { count: '%REQ(x-hits)%', isRefund: false } });
    expect(describeRequest(one, makeRequest({ header: { 'x-hits': text } }))).toEqual([]);
  });

  test('requests of this process have no remote address, and so no descriptor of it', () => {
    expect(describeRequest(limit({}, { kind: 'remote-address' }), makeRequest())).toEqual([]);
  });

  test('the clusters at both ends', () => {
    const one = limit({}, { kind: 'source-cluster' }, { kind: 'destination-cluster' });
    expect(describeRequest(one, makeRequest())[0]?.entries).toEqual([
      { key: 'source_cluster', value: 'app' },
      { key: 'destination_cluster', value: 'backend' },
    ]);
  });
});

describe('the limits of a route and its virtual host', () => {
  const ofRoute = limit();
  const ofHost = limit();
  const second = limit({ stage: 1 });
  const both: RouteRateLimits = {
    route: [ofRoute, second],
    virtualHost: [ofHost],
    includeVirtualHost: false,
  };
  const hostOnly: RouteRateLimits = { ...both, route: [] };

  test('override takes those of the virtual host when the route has none of any stage', () => {
    expect(selectRateLimits(both, 0, 'override')).toEqual([ofRoute]);
    expect(selectRateLimits({ ...both, route: [second] }, 0, 'override')).toEqual([]);
    expect(selectRateLimits(hostOnly, 0, 'override')).toEqual([ofHost]);
  });

  test('include takes both, ignore only the route’s', () => {
    expect(selectRateLimits(both, 0, 'include')).toEqual([ofRoute, ofHost]);
    expect(selectRateLimits(hostOnly, 0, 'ignore')).toEqual([]);
  });

  test('the route’s own word for include goes first', () => {
    expect(selectRateLimits({ ...both, includeVirtualHost: true }, 0, 'ignore')).toEqual([ofRoute, ofHost]);
  });
});
