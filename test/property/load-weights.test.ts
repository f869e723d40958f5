import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createBalancer } from '../../src/cluster/lb/policies.js';
import { readLoadReport } from '../../src/codec/load-report.js';
import {
  balanceLocalities,
  type LocalityGroup,
  type Member,
} from '../../src/control-plane/compile/locality-balance.js';
import type { LocalityPlan } from '../../src/control-plane/compile/locality-setting.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';
import { ANY, balancerTools, host, hostSet } from '../unit/cluster/fixtures.js';

test('whatever servers say of their load, it is a report of finite amounts or none', () => {
  const anyText = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(fc.constantFrom('TEXT ', 'JSON ', 'BIN '), fc.oneof(fc.string(), fc.base64String(), fc.json()))
      .map((parts) => parts.join('')),
    fc
      .array(
        fc.tuple(
          fc.constantFrom('eps', 'rps_fractional', 'named_metrics.a', 'utilization.b', 'x'),
          fc.double(),
        ),
      )
      .map((entries) => `TEXT ${entries.map(([name, value]) => `${name}=${value}`).join()}`),
  );
  fc.assert(
    fc.property(fc.option(anyText, { nil: undefined }), anyText, (bin, text) => {
      const report = readLoadReport(bin, text);
      if (report === undefined) return;
      const { utilization, requestCost, namedMetrics, ...numbers } = report;
      for (const value of Object.values(numbers)) expect(Number.isFinite(value) && value >= 0).toBe(true);
      for (const map of [utilization, requestCost, namedMetrics]) {
        for (const value of map.values()) expect(Number.isFinite(value)).toBe(true);
      }
    }),
  );
});

test('shares are off the weights that hosts reported by one request at most', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 2, maxLength: 8 }),
      async (weights) => {
        const clock = createFakeClock();
        const policy = {
          kind: 'client-side-wrr' as const,
          oobPeriodMs: undefined,
          blackoutMs: 0,
          expirationMs: 60_000,
          updateMs: 100,
          errorPenalty: 1,
          metricNames: [],
        };
        const hosts = weights.map((_, i) => host(`h${i}`));
        const picker = createBalancer(policy, { ...balancerTools(1), clock }).picker([hostSet(hosts)]);
        for (const [i, weight] of weights.entries()) {
          const report = readLoadReport(undefined, `TEXT rps_fractional=${weight},cpu_utilization=1`);
          if (report !== undefined) hosts[i]?.load?.take(report, clock.now());
        }
        await clock.advance(100);
        const counts = new Map(hosts.map((one) => [one, 0]));
        const total = weights.reduce((sum, weight) => sum + weight);
        for (let i = 0; i < total; i++) {
          const picked = picker(ANY, 0);
          if (picked !== undefined) counts.set(picked, (counts.get(picked) ?? 0) + 1);
        }
        for (const [i, one] of hosts.entries()) {
          expect(Math.abs((counts.get(one) ?? 0) - (weights[i] ?? 0))).toBeLessThanOrEqual(2);
        }
      },
    ),
    { numRuns: 30 },
  );
});

const place = fc.record({
  region: fc.constantFrom('r1', 'r2', 'r3'),
  zone: fc.constantFrom('z1', 'z2'),
  subZone: fc.constantFrom('', 's1'),
});
const member: fc.Arbitrary<Member> = fc.record({
  labels: fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('1', '2')),
  weight: fc.integer({ min: 1, max: 10 }),
});
const groups: fc.Arbitrary<LocalityGroup<Member>[]> = fc.array(
  fc.record({
    locality: place,
    priority: fc.constant(0),
    weight: fc.integer({ min: 1, max: 100 }),
    members: fc.array(member, { minLength: 1, maxLength: 3 }),
  }),
  { maxLength: 6 },
);
const plan: fc.Arbitrary<LocalityPlan> = fc.record({
  kind: fc.constantFrom('locality' as const, 'zone-aware' as const),
  setting: fc.record({
    failover: fc.array(fc.record({ from: fc.constantFrom('r1', 'r2'), to: fc.constantFrom('r2', 'r3') })),
    failoverPriority: fc.array(fc.constantFrom('a', 'b', 'a=1')),
  }),
  hasFailover: fc.boolean(),
});

test('failover loses no endpoint, has no gap in its priorities, and never puts a farther region first', () => {
  fc.assert(
    fc.property(groups, plan, place, (given, how, locality) => {
      const result = balanceLocalities(given, how, { locality, labels: { a: '1', app: 'client' } });
      const members = (list: readonly LocalityGroup<Member>[]) => new Set(list.flatMap((one) => one.members));
      expect(members(result)).toEqual(members(given));
      const priorities = [...new Set(result.map(({ priority }) => priority))].sort((x, y) => x - y);
      expect(priorities).toEqual(priorities.map((_, i) => i));
      if ((how.setting.failoverPriority ?? []).length > 0) return;
      if (how.kind === 'locality' && !how.hasFailover) return;
      const own = result.filter((one) => one.locality.region === locality.region);
      const others = result.filter((one) => one.locality.region !== locality.region);
      for (const near of own) for (const far of others) expect(near.priority).toBeLessThan(far.priority);
    }),
  );
});
