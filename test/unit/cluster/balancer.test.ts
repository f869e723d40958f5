import { describe, expect, test } from 'vitest';
import { partition, reconcileHosts } from '../../../src/cluster/host-set.js';
import { pickAvoiding } from '../../../src/cluster/lb/avoiding.js';
import { createBalancer } from '../../../src/cluster/lb/policies.js';
import type { ClusterLoadAssignment, Endpoint } from '../../../src/model/endpoint.js';
import type { LbPolicy } from '../../../src/model/lb-policy.js';
import { ANY, assignment, balancerTools, endpoint, endpoints, host, locality } from './fixtures.js';

const noNetwork = () => ({ service: () => Promise.reject(new Error('no network')), async close() {} });

function shares(
  given: ClusterLoadAssignment,
  picks = 1000,
  panicThresholdPercent = 50,
  policy: LbPolicy = { kind: 'round-robin' },
) {
  const { membership } = reconcileHosts(new Map(), given, noNetwork);
  const picker = createBalancer(policy, balancerTools(11, { panicThresholdPercent })).picker(
    partition(membership),
  );
  const counts: Record<string, number> = {};
  for (let i = 0; i < picks; i++) {
    const address = picker(ANY, 0)?.endpoint.address.address ?? 'nobody';
    counts[address] = (counts[address] ?? 0) + 1;
  }
  return counts;
}

const many = (name: string, count: number, more: Partial<Endpoint> = {}) =>
  Array.from({ length: count }, (_, i) => endpoint(`${name}${i}`, more));

describe('the picker of a cluster', () => {
  test('spreads over all healthy hosts', () => {
    expect(shares(endpoints('a', 'b'))).toEqual({ a: 500, b: 500 });
  });

  test('weighted_priority_health: weights of hosts, not their number, decide what a priority can take', () => {
    const given = assignment(
      locality([endpoint('light'), endpoint('heavy', { weight: 9, health: 'unhealthy' })]),
      locality([endpoint('backup')], { priority: 1 }),
    );
    // Envoy: 140 % of 1 of 2 hosts is 70 %; 140 % of weight 1 of 10 is 14 %.
    const picked = (weightedPriorityHealth: boolean) =>
      shares({ ...given, weightedPriorityHealth }, 20_000)['light'] ?? 0;
    expect(picked(false) / 20_000).toBeCloseTo(0.7, 1);
    expect(picked(true) / 20_000).toBeCloseTo(0.14, 1);
  });

  test('has nobody without endpoints', () => {
    expect(shares(assignment(), 5)).toEqual({ nobody: 5 });
    expect(shares(assignment(locality([])), 5)).toEqual({ nobody: 5 });
  });

  test('leaves unhealthy and draining hosts out', () => {
    const given = assignment(
      locality([
        endpoint('a'),
        endpoint('b', { health: 'healthy' }),
        endpoint('c', { health: 'unhealthy' }),
        endpoint('d', { health: 'draining' }),
      ]),
    );
    expect(shares(given)).toEqual({ a: 500, b: 500 });
  });

  test('uses all hosts in panic', () => {
    const given = assignment(locality([endpoint('a'), ...many('b', 3, { health: 'unhealthy' })]));
    expect(Object.keys(shares(given)).sort()).toEqual(['a', 'b0', 'b1', 'b2']);
  });

  test('never panics with a threshold of 0', () => {
    const given = assignment(locality([endpoint('a'), ...many('b', 3, { health: 'unhealthy' })]));
    expect(shares(given, 100, 0)).toEqual({ a: 100 });
    expect(shares(assignment(locality(many('b', 3, { health: 'timeout' }))), 10, 0)).toEqual({ nobody: 10 });
  });

  test('sends to the second priority what the first can not carry', () => {
    const given = assignment(
      locality([endpoint('a'), endpoint('b', { health: 'unhealthy' })]),
      locality([endpoint('c')], { priority: 1 }),
    );
    const { a = 0, c = 0 } = shares(given, 10_000);
    expect(a + c).toBe(10_000);
    expect(a).toBeGreaterThan(6800);
    expect(a).toBeLessThan(7200);
  });

  test('treats a priority that nobody uses as empty', () => {
    expect(shares(assignment(locality([endpoint('a')], { priority: 3 })), 10)).toEqual({ a: 10 });
  });

  test('follows the weights of localities, then spreads inside them', () => {
    const given = assignment(
      locality(many('a', 2), { weight: 1 }),
      locality(many('b', 4), { weight: 2, locality: { region: 'r', zone: '', subZone: '' } }),
      locality(many('c', 1), { locality: { region: 's', zone: '', subZone: '' } }),
    );
    const policy: LbPolicy = { kind: 'round-robin', locality: { kind: 'weighted' } };
    expect(shares(given, 1200, 50, policy)).toEqual({ a0: 200, a1: 200, b0: 200, b1: 200, b2: 200, b3: 200 });
    // Envoy: only with locality weighting.
    expect(shares(given, 700)).toEqual({ a0: 100, a1: 100, b0: 100, b1: 100, b2: 100, b3: 100, c0: 100 });
  });

  test('gives degraded hosts what healthy ones do not cover', () => {
    const given = assignment(locality([endpoint('a'), ...many('d', 1, { health: 'degraded' })]));
    const { a = 0, d0 = 0 } = shares(given, 10_000);
    expect(a + d0).toBe(10_000);
    expect(a).toBeGreaterThan(6800);
    expect(a).toBeLessThan(7200);
  });
});

describe('avoiding hosts that were tried', () => {
  const [a, b] = [host('a'), host('b')];

  test('asks again until another host comes up', () => {
    const answers = [a, a, b];
    const context = { ...ANY, avoid: [a], selectionAttempts: 3 };
    expect(pickAvoiding(() => answers.shift(), context)).toBe(b);
  });

  test('takes the last candidate when the attempts are used up', () => {
    const answers = [a, a, b];
    const context = { ...ANY, avoid: [a], selectionAttempts: 1 };
    expect(pickAvoiding(() => answers.shift(), context)).toBe(a);
    expect(answers).toEqual([b]);
  });
});
