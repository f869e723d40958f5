import { describe, expect, test } from 'vitest';
import type { Host } from '../../../../src/cluster/host.js';
import { createBalancer } from '../../../../src/cluster/lb/policies.js';
import { createSlowStart } from '../../../../src/cluster/lb/slow-start.js';
import type { LbPolicy, SlowStart } from '../../../../src/model/lb-policy.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';
import { ANY, balancerTools, host, hostSet } from '../fixtures.js';

const SLOW: SlowStart = { windowMs: 60_000, aggression: 1, minWeightPercent: 10 };

describe('the factor of a slow start', () => {
  test.each([
    // Envoy: at least the minimum, then the part of the window raised to 1 / aggression.
    [{}, 0, 0.1],
    [{}, 3_000, 0.1],
    [{}, 30_000, 0.5],
    [{ aggression: 2 }, 15_000, 0.5],
    [{ aggression: 0.5 }, 30_000, 0.25],
    [{ minWeightPercent: 0 }, 0, 1 / 60_000],
    [{ minWeightPercent: 60 }, 30_000, 0.6],
    [{}, 60_000, 1],
    [{}, 90_000, 1],
  ] as const)('%o after %i ms is %d', async (more, ageMs, expected) => {
    const clock = createFakeClock();
    const slowStart = createSlowStart({ ...SLOW, ...more }, clock);
    const one = host('a');
    slowStart?.enter([one]);
    await clock.advance(ageMs);
    expect(slowStart?.factor(one)).toBeCloseTo(expected, 9);
  });

  test('begins when the host is there and healthy, and is none without a window', async () => {
    const clock = createFakeClock();
    expect(createSlowStart({ ...SLOW, windowMs: 0 }, clock)).toBeUndefined();
    const slowStart = createSlowStart(SLOW, clock);
    const sick = host('a', { health: 'unhealthy' });
    expect(slowStart?.enter([sick])).toBe(true);
    await clock.advance(70_000);
    expect(slowStart?.enter([sick])).toBe(false);
    sick.move({ endpoint: { ...sick.endpoint, health: 'healthy' }, locality: sick.locality, priority: 0 });
    expect(slowStart?.enter([sick])).toBe(true);
    expect(slowStart?.factor(sick)).toBe(0.1);
  });
});

const policies: readonly LbPolicy[] = [
  { kind: 'round-robin', slowStart: SLOW },
  { kind: 'least-request', choiceCount: 2, activeRequestBias: 1, slowStart: SLOW },
];

describe.each(policies)('a new host under $kind', (policy) => {
  test('gets little at first and its whole share in the end', async () => {
    const clock = createFakeClock();
    const balancer = createBalancer(policy, balancerTools(4, { clock }));
    const old = ['a', 'b', 'c'].map((name) => host(name));
    balancer.picker([hostSet(old)]);
    await clock.advance(120_000);
    const fresh = host('d');
    const picker = balancer.picker([hostSet([...old, fresh])]);
    const share = (picks: number) => {
      let count = 0;
      for (let i = 0; i < picks; i++) if (picker(ANY, 0) === fresh) count++;
      return count / picks;
    };
    // Weights 1, 1, 1 and 0.1.
    expect(share(3100)).toBeCloseTo(0.1 / 3.1, 2);
    await clock.advance(30_000);
    expect(share(3500)).toBeCloseTo(0.5 / 3.5, 1);
    await clock.advance(31_000);
    expect(share(4000)).toBeCloseTo(0.25, 1);
  });
});

describe('least request over all hosts', () => {
  const policy: LbPolicy = { kind: 'least-request', choiceCount: 2, activeRequestBias: 1, fullScan: true };
  const picks = (hosts: readonly Host[], count: number) => {
    const picker = createBalancer(policy, balancerTools(4)).picker([hostSet(hosts)]);
    return Array.from({ length: count }, () => picker(ANY, 0));
  };

  test('always finds the idle one', () => {
    const hosts = Array.from({ length: 20 }, (_, i) => host(`h${i}`));
    hosts.forEach((one, i) => {
      one.activeRequests = i === 13 ? 1 : 2;
    });
    expect(new Set(picks(hosts, 50))).toEqual(new Set([hosts[13]]));
  });

  test('gives equally busy ones equal chances', () => {
    const hosts = ['a', 'b', 'c', 'd'].map((name) => host(name));
    hosts[0]!.activeRequests = 5;
    const taken = picks(hosts, 3000);
    for (const one of hosts.slice(1)) {
      expect(Math.abs(taken.filter((picked) => picked === one).length - 1000)).toBeLessThan(120);
    }
    expect(taken).not.toContain(hosts[0]);
  });
});
