import { describe, expect, test } from 'vitest';
import type { PickContext } from '../../../src/cluster/lb/load-balancer.js';
import { createExchange } from '../../../src/service/context.js';
import { ANY, assignment, endpoint, endpoints, locality, request, world } from './fixtures.js';

function asking(address: string, strict = false, attemptCount = 0): PickContext {
  const context = { ...createExchange('outbound', 0, 0.5), overrideHost: { address, strict }, attemptCount };
  return { ...ANY, request: { ...request(), context } };
}

describe('a host that was asked for', () => {
  test('overrules load balancing', () => {
    const runtime = world().cluster({}, endpoints('a', 'b', 'c'));
    const picks = Array.from({ length: 6 }, () => runtime.pick(asking('b:80'))?.address);
    expect(new Set(picks)).toEqual(new Set(['b:80']));
  });

  test('that is not there leaves the choice to load balancing', () => {
    const runtime = world().cluster({}, endpoints('a'));
    expect(runtime.pick(asking('z:80'))?.address).toBe('a:80');
  });

  test('that is not there fails the request when it is strict', () => {
    const runtime = world().cluster({}, endpoints('a'));
    expect(runtime.pick(asking('z:80', true))).toBeUndefined();
  });

  test.each([
    ['unknown', 'b:80'],
    ['healthy', 'b:80'],
    ['degraded', 'b:80'],
    ['unhealthy', undefined],
    ['draining', undefined],
    ['timeout', undefined],
  ] as const)('with health %s', (health, expected) => {
    const hosts = [endpoint('a'), endpoint('b', { health })];
    const runtime = world().cluster({}, assignment(locality(hosts)));
    expect(runtime.pick(asking('b:80', true))?.address).toBe(expected);
  });

  test('is not asked again by a retry', () => {
    const runtime = world().cluster({}, endpoints('a'));
    expect(runtime.pick(asking('z:80', true, 1))?.address).toBe('a:80');
  });
});
