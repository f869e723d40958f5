import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { createBreaker, type Permits } from '../../src/cluster/breaker.js';
import type { Host } from '../../src/cluster/host.js';
import { partition, reconcileHosts } from '../../src/cluster/host-set.js';
import { EdfSchedule } from '../../src/cluster/lb/edf.js';
import { createBalancer } from '../../src/cluster/lb/policies.js';
import { priorityLoad } from '../../src/cluster/priority.js';
import { DEFAULT_THRESHOLDS } from '../../src/model/cluster.js';
import type { EndpointHealth } from '../../src/model/endpoint.js';
import type { LbPolicy } from '../../src/model/lb-policy.js';
import { loadHashes, xxHash64 } from '../../src/runtime/hash.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';
import {
  ANY,
  assignment,
  balancerTools,
  endpoint,
  locality,
  MAGLEV,
  RING,
  request,
} from '../unit/cluster/fixtures.js';

beforeAll(loadHashes);

const open = () => ({ service: () => Promise.reject(new Error('no network')), async close() {} });
const seed = fc.integer({ min: 0, max: 2 ** 31 });
const policy: fc.Arbitrary<LbPolicy> = fc.constantFrom<LbPolicy>(
  { kind: 'round-robin' },
  { kind: 'least-request', choiceCount: 2, activeRequestBias: 1 },
  { kind: 'random' },
  { kind: 'random', locality: { kind: 'weighted' } },
  RING,
  MAGLEV,
  { kind: 'pick-first', shuffle: true },
  { kind: 'pick-first', shuffle: false, locality: { kind: 'weighted' } },
  {
    kind: 'override-host',
    sources: [{ kind: 'header', name: 'x-to' }],
    selectedHostKey: undefined,
    child: RING,
  },
  {
    kind: 'subset',
    fallback: 'any-endpoint',
    defaultSubset: {},
    selectors: [],
    localityWeightAware: true,
    scaleLocalityWeight: true,
    panicModeAny: false,
    listAsAny: false,
    fallbackList: false,
    allowRedundantKeys: false,
    child: { kind: 'random', locality: { kind: 'weighted' } },
  },
);
const health = fc.constantFrom<EndpointHealth>(
  'unknown',
  'healthy',
  'unhealthy',
  'draining',
  'degraded',
  'timeout',
);
const member = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
  weight: fc.integer({ min: 1, max: 4 }),
  health,
  tlsMode: fc.constantFrom('istio', 'disabled'),
});
const place = fc.record({
  members: fc.array(member, { maxLength: 6 }),
  priority: fc.integer({ min: 0, max: 2 }),
  weight: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
});
const assignments = fc.array(place, { maxLength: 4 }).map((places) =>
  assignment(
    ...places.map(({ members, priority, weight }) =>
      locality(
        members.map(({ name, tlsMode, ...rest }) =>
          endpoint(name, { ...rest, transportSocketMatch: { tlsMode } }),
        ),
        { priority, weight },
      ),
    ),
  ),
);
const ejections = fc.array(fc.constantFrom('a:80', 'b:80', 'c:80'), { maxLength: 3 });

describe('the picker of a cluster', () => {
  test('never picks an unusable host without panic, and always picks one when there is a usable one', () => {
    fc.assert(
      fc.property(assignments, ejections, policy, seed, (given, ejected, lbPolicy, start) => {
        const { membership } = reconcileHosts(new Map(), given, open);
        for (const address of ejected) {
          const host = membership.hosts.get(address);
          if (host !== undefined) host.ejected = true;
        }
        const picker = createBalancer(lbPolicy, balancerTools(start, { panicThresholdPercent: 0 })).picker(
          partition(membership),
        );
        const isUsable = (host: Host) => host.health !== 'unhealthy';
        const usable = [...membership.hosts.values()].some(isUsable);
        for (let i = 0; i < 30; i++) {
          const host = picker(ANY, 0);
          expect(host !== undefined).toBe(usable);
          if (host !== undefined) expect(isUsable(host)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('always picks somebody in panic when there is anybody', () => {
    fc.assert(
      fc.property(assignments, policy, seed, (given, lbPolicy, start) => {
        const { membership } = reconcileHosts(new Map(), given, open);
        for (const host of membership.hosts.values()) host.ejected = true;
        const picker = createBalancer(lbPolicy, balancerTools(start)).picker(partition(membership));
        for (let i = 0; i < 10; i++) expect(picker(ANY, 0) !== undefined).toBe(membership.hosts.size > 0);
      }),
    );
  });
});

describe('a hash table of hosts', () => {
  const names = fc.uniqueArray(fc.integer({ min: 0, max: 200 }), { minLength: 3, maxLength: 20 });
  const keyCount = 400;
  const picks = (lbPolicy: LbPolicy, members: readonly number[]) => {
    const given = assignment(locality(members.map((one) => endpoint(`10.0.0.${one}`))));
    const { membership } = reconcileHosts(new Map(), given, open);
    const picker = createBalancer(lbPolicy, balancerTools(1)).picker(partition(membership));
    const head = request();
    return Array.from({ length: keyCount }, (_, i) => {
      const key = xxHash64(`key ${i}`);
      return picker({ ...ANY, request: head, hash: () => key }, 0)?.address ?? '';
    });
  };

  test.each([
    { ...RING, minimumRingSize: 4096 },
    { ...MAGLEV, tableSize: 65_537 },
  ])('$kind: when one of n hosts goes, its keys move and few others', (lbPolicy) => {
    fc.assert(
      fc.property(names, (members) => {
        const before = picks(lbPolicy, members);
        const gone = `10.0.0.${members[0]}:80`;
        const after = picks(lbPolicy, members.slice(1));
        let moved = 0;
        before.forEach((host, i) => {
          expect(after[i]).not.toBe(gone);
          if (host !== gone && host !== after[i]) moved++;
        });
        // The others stand on the ring more often now, by 1/n; Maglev trades a few places for even shares.
        const share = lbPolicy.kind === 'maglev' ? 0.1 : 1 / members.length;
        expect(moved).toBeLessThanOrEqual(keyCount * share + 4 * Math.sqrt(keyCount * share));
      }),
      { numRuns: 30 },
    );
  });

  test('the same key finds the same host, whatever happened before', () => {
    fc.assert(
      fc.property(names, fc.constantFrom<LbPolicy>(RING, MAGLEV), (members, lbPolicy) => {
        expect(picks(lbPolicy, members)).toEqual(picks(lbPolicy, members));
      }),
      { numRuns: 20 },
    );
  });
});

describe('an EDF schedule', () => {
  test('gives each item its share to within a pick per item, from any start', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(weights, fc.integer({ min: 0, max: 429_496_728 }), (list, prepicks) => {
        const schedule = new EdfSchedule([...list.keys()], (i) => list[i] ?? 1, prepicks);
        const total = list.reduce((sum, weight) => sum + weight, 0);
        const counts = list.map(() => 0);
        for (let i = 0; i < 10 * total; i++) counts[schedule.pick() ?? 0]!++;
        for (const [i, weight] of list.entries()) {
          expect(Math.abs(counts[i]! - 10 * weight)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});

describe('the load of priorities', () => {
  test('always adds up to 100 percent', () => {
    const level = fc
      .tuple(fc.nat(9), fc.nat(9), fc.nat(9), fc.nat(9), fc.integer({ min: 100, max: 300 }))
      .map(([healthy, degraded, excluded, other, overprovisioningFactor]) => ({
        hosts: healthy + degraded + excluded + other,
        healthy,
        degraded,
        excluded,
        overprovisioningFactor,
      }));
    fc.assert(
      fc.property(fc.array(level, { minLength: 1, maxLength: 5 }), fc.nat(100), (levels, threshold) => {
        const load = priorityLoad(levels, threshold);
        const shares = [...load.healthy, ...load.degraded];
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(100);
        expect(Math.min(...shares)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

/** Takes a permit if there is one and checks that it was within the limit. */
function take(permits: Permits): void {
  const { limit } = permits;
  if (permits.tryAcquire()) expect(permits.active).toBeLessThanOrEqual(limit);
  else expect(permits.active).toBeGreaterThanOrEqual(limit);
}

describe('a circuit breaker', () => {
  test('never has more permits out than its limits, under any order of events', () => {
    const events = fc.array(
      fc.record({ what: fc.constantFrom('requests' as const, 'retries' as const), ends: fc.boolean() }),
      { maxLength: 200 },
    );
    const retryBudget = fc.option(fc.record({ budgetPercent: fc.nat(100), minRetryConcurrency: fc.nat(3) }), {
      nil: undefined,
    });
    const thresholds = fc
      .record({ maxRequests: fc.nat(8), maxRetries: fc.nat(4), retryBudget })
      .map((some) => ({ ...DEFAULT_THRESHOLDS, ...some }));
    fc.assert(
      fc.property(events, thresholds, (list, config) => {
        const breaker = createBreaker(config, { clock: createFakeClock(), multiplexes: false });
        for (const { what, ends } of list) {
          const permits = breaker[what];
          if (!ends) take(permits);
          else if (permits.active > 0) permits.release();
          expect(breaker.requests.active).toBeLessThanOrEqual(config.maxRequests);
        }
      }),
    );
  });
});

describe('reconciling hosts', () => {
  test('keeps a host exactly when its address and labels stay, and removes the rest', () => {
    fc.assert(
      fc.property(assignments, assignments, (first, second) => {
        const old = reconcileHosts(new Map(), first, open).membership.hosts;
        const labels = new Map(
          [...old].map(([address, { endpoint: one }]) => [address, one.transportSocketMatch]),
        );
        const { membership, removed } = reconcileHosts(old, second, open);
        for (const [address, host] of membership.hosts) {
          const same = labels.get(address)?.['tlsMode'] === host.endpoint.transportSocketMatch['tlsMode'];
          expect(old.get(address) === host).toBe(same);
        }
        const kept = [...old.values()].filter((host) => membership.hosts.get(host.address) === host);
        expect(new Set([...removed, ...kept])).toEqual(new Set(old.values()));
        expect(removed.length + kept.length).toBe(old.size);
      }),
    );
  });
});
