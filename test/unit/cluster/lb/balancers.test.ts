import { describe, expect, test } from 'vitest';
import type { Host } from '../../../../src/cluster/host.js';
import { createBalancer } from '../../../../src/cluster/lb/policies.js';
import type { LbPolicy } from '../../../../src/model/lb-policy.js';
import { ANY, balancerTools, host, hostSet } from '../fixtures.js';

const policies: readonly LbPolicy[] = [
  { kind: 'round-robin' },
  { kind: 'least-request', choiceCount: 2, activeRequestBias: 1 },
  { kind: 'random' },
];

/** A picker from hosts that are all of one priority and locality. */
function balancer(policy: LbPolicy, seed: number) {
  const balance = createBalancer(policy, balancerTools(seed));
  return (hosts: readonly Host[]) => {
    const picker = balance.picker([hostSet(hosts)]);
    return () => picker(ANY, 0);
  };
}

function count(policy: LbPolicy, weights: readonly number[], picks: number, seed = 3): number[] {
  const hosts = weights.map((weight, i) => host(`h${i}`, { weight }));
  const picker = balancer(policy, seed)(hosts);
  const counts = hosts.map(() => 0);
  for (let i = 0; i < picks; i++) {
    const picked = picker();
    const at = picked === undefined ? -1 : hosts.indexOf(picked);
    counts[at] = (counts[at] ?? 0) + 1;
  }
  return counts;
}

describe.each(policies)('the load balancer $kind', (policy) => {
  test('picks nobody of nobody', () => {
    expect(balancer(policy, 1)([])()).toBeUndefined();
  });

  test('picks the only host', () => {
    const one = host('a');
    const picker = balancer(policy, 1)([one]);
    for (let i = 0; i < 10; i++) expect(picker()).toBe(one);
  });

  test('gives idle hosts of equal weight equal shares', () => {
    const picks = 12_000;
    for (const share of count(policy, [1, 1, 1, 1], picks)) {
      // Four standard deviations of a fair draw.
      expect(Math.abs(share - picks / 4)).toBeLessThan(4 * Math.sqrt(picks * 0.25 * 0.75));
    }
  });

  test('draws the same hosts again from the same seed', () => {
    expect(count(policy, [1, 2, 3], 50, 9)).toEqual(count(policy, [1, 2, 3], 50, 9));
  });
});

describe.each(policies.filter(({ kind }) => kind !== 'random'))('the weighted balancer $kind', (policy) => {
  test('gives idle hosts shares by weight', () => {
    // A schedule is off by one pick at most.
    count(policy, [1, 2, 5], 800).forEach((share, i) => {
      expect(Math.abs(share - [100, 200, 500][i]!)).toBeLessThanOrEqual(1);
    });
  });
});

describe('round robin', () => {
  test('takes hosts in turn', () => {
    const hosts = ['a', 'b', 'c'].map((name) => host(name));
    const picker = balancer({ kind: 'round-robin' }, 5)(hosts);
    const first = Array.from({ length: 3 }, () => picker());
    expect(new Set(first).size).toBe(3);
    expect(Array.from({ length: 3 }, () => picker())).toEqual(first);
  });

  test('keeps its place over updates of the list', () => {
    const hosts = ['a', 'b', 'c'].map((name) => host(name));
    const balance = balancer({ kind: 'round-robin' }, 5);
    const picked = Array.from({ length: 6 }, () => balance(hosts)());
    expect(new Set(picked).size).toBe(3);
  });
});

describe('least request', () => {
  const policy: LbPolicy = { kind: 'least-request', choiceCount: 2, activeRequestBias: 1 };

  test('prefers the idle one of two hosts', () => {
    const [busy, idle] = [host('busy'), host('idle')];
    busy.activeRequests = 10;
    const picker = balancer(policy, 2)([busy, idle]);
    const picks = Array.from({ length: 400 }, () => picker());
    // The busy one is taken only when both draws fall on it.
    const taken = picks.filter((one) => one === busy).length;
    expect(taken).toBeGreaterThan(60);
    expect(taken).toBeLessThan(140);
  });

  test('divides a weight by the active requests when weights differ', () => {
    const [busy, idle] = [host('busy', { weight: 4 }), host('idle', { weight: 2 })];
    busy.activeRequests = 3;
    const picker = balancer(policy, 2)([busy, idle]);
    const taken = Array.from({ length: 300 }, () => picker()).filter((one) => one === busy).length;
    expect(taken).toBe(100);
  });

  test('looks at weights only with a bias of 0', () => {
    const [busy, idle] = [host('busy', { weight: 4 }), host('idle', { weight: 2 })];
    busy.activeRequests = 3;
    const picker = balancer({ ...policy, activeRequestBias: 0 }, 2)([busy, idle]);
    const taken = Array.from({ length: 300 }, () => picker()).filter((one) => one === busy).length;
    expect(taken).toBe(200);
  });
});
