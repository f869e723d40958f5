import { describe, expect, test } from 'vitest';
import type { Host } from '../../../../src/cluster/host.js';
import { createBalancer } from '../../../../src/cluster/lb/policies.js';
import { weighReports } from '../../../../src/cluster/orca/load-weight.js';
import type { ClientSideWrrPolicy } from '../../../../src/model/lb-policy.js';
import type { LoadReport } from '../../../../src/model/load-report.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';
import { ANY, balancerTools, host, hostSet } from '../fixtures.js';

const POLICY: ClientSideWrrPolicy = {
  kind: 'client-side-wrr',
  oobPeriodMs: undefined,
  blackoutMs: 10_000,
  expirationMs: 180_000,
  updateMs: 1000,
  errorPenalty: 1,
  metricNames: [],
};

function report(more: Partial<LoadReport> = {}): LoadReport {
  return {
    cpuUtilization: 0,
    memUtilization: 0,
    applicationUtilization: 0,
    rps: 0,
    eps: 0,
    utilization: new Map(),
    requestCost: new Map(),
    namedMetrics: new Map(),
    ...more,
  };
}

describe('the weight of a report', () => {
  const weigh = (more: Partial<LoadReport>, names: readonly string[] = [], penalty = 1) =>
    weighReports(names, penalty)(report(more));

  test('is requests per second by utilization', () => {
    expect(weigh({ rps: 1000, applicationUtilization: 0.5 })).toBe(2000);
    expect(weigh({ rps: 1000, applicationUtilization: 0.5, cpuUtilization: 1 })).toBe(2000);
    expect(weigh({ rps: 1000, cpuUtilization: 0.25 })).toBe(4000);
  });

  test('counts failures as utilization', () => {
    expect(weigh({ rps: 1000, eps: 100, applicationUtilization: 0.5 }, [], 2)).toBe(1428);
    expect(weigh({ rps: 1000, eps: 100, applicationUtilization: 0.5 }, [], 0)).toBe(2000);
  });

  test('takes the largest of the metrics that are named first', () => {
    const given = {
      rps: 100,
      applicationUtilization: 0.5,
      cpuUtilization: 0.8,
      namedMetrics: new Map([
        ['queue', 0.1],
        ['gpu', 0.2],
      ]),
      utilization: new Map([['disk', 0.25]]),
    };
    expect(weigh(given, ['named_metrics.queue'])).toBe(1000);
    expect(weigh(given, ['named_metrics.*'])).toBe(500);
    expect(weigh(given, ['named_metrics.queue', 'utilization.disk'])).toBe(400);
    expect(weigh(given, ['cpu_utilization'])).toBe(125);
    expect(weigh(given, ['named_metrics.nothing', 'toString', '__proto__.x'])).toBe(200);
  });

  test('is none without a rate or a utilization, and never below 1', () => {
    expect(weigh({ applicationUtilization: 0.5 })).toBeUndefined();
    expect(weigh({ rps: 10 })).toBeUndefined();
    expect(weigh({ rps: 0.1, cpuUtilization: 0.9 })).toBe(1);
    expect(weigh({ rps: 1e300, cpuUtilization: 1e-300 })).toBe(2 ** 32 - 1);
  });
});

describe('shares of requests', () => {
  function started(names: readonly string[], more: Partial<ClientSideWrrPolicy> = {}) {
    const clock = createFakeClock();
    const hosts = names.map((name) => host(name, { weight: name === 'a' ? 50 : 1 }));
    const balancer = createBalancer({ ...POLICY, ...more }, { ...balancerTools(3), clock });
    let picker = balancer.picker([hostSet(hosts)]);
    const shares = (picks: number) => {
      const counts = new Map<string, number>();
      for (let i = 0; i < picks; i++) {
        const name = picker(ANY, 0)?.endpoint.address.address ?? '';
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
      return Object.fromEntries(counts);
    };
    const says = (one: Host | undefined, weight: number) =>
      one?.load?.take(report({ rps: weight, cpuUtilization: 1 }), clock.now());
    const update = (next: readonly Host[]) => {
      picker = balancer.picker([hostSet(next)]);
    };
    return { clock, hosts, balancer, shares, says, update };
  }

  test('are equal until hosts reported for the blackout period, whatever weights EDS has', async () => {
    const { clock, hosts, shares, says } = started(['a', 'b']);
    for (let second = 0; second < 10; second++) {
      expect(shares(10)).toEqual({ a: 5, b: 5 });
      says(hosts[0], 300);
      says(hosts[1], 100);
      await clock.advance(1000);
    }
    await clock.advance(1000);
    expect(shares(40)).toEqual({ a: 30, b: 10 });
  });

  test('of hosts that say nothing are those of the median', async () => {
    const { clock, hosts, shares, says } = started(['a', 'b', 'c', 'd'], { blackoutMs: 0 });
    says(hosts[0], 100);
    says(hosts[1], 300);
    says(hosts[2], 800);
    await clock.advance(1000);
    expect(shares(150)).toEqual({ a: 10, b: 30, c: 80, d: 30 });
    says(hosts[3], 800);
    await clock.advance(1000);
    expect(shares(200)).toEqual({ a: 10, b: 30, c: 80, d: 80 });
  });

  test('go back when reports are too old, and wait out the blackout again', async () => {
    const { clock, hosts, shares, says } = started(['a', 'b'], { blackoutMs: 5000, expirationMs: 20_000 });
    says(hosts[0], 300);
    says(hosts[1], 100);
    await clock.advance(6000);
    expect(shares(40)).toEqual({ a: 30, b: 10 });
    await clock.advance(20_000);
    expect(shares(40)).toEqual({ a: 20, b: 20 });
    says(hosts[0], 300);
    says(hosts[1], 100);
    await clock.advance(3000);
    expect(shares(40)).toEqual({ a: 20, b: 20 });
    await clock.advance(3000);
    expect(shares(40)).toEqual({ a: 30, b: 10 });
  });

  test('of a new host are those of the median, and grow where it starts slowly', async () => {
    const { clock, hosts, shares, says, update } = started(['a', 'b'], {
      blackoutMs: 0,
      slowStart: { windowMs: 10_000, aggression: 1, minWeightPercent: 10 },
    });
    await clock.advance(11_000);
    says(hosts[0], 200);
    says(hosts[1], 200);
    await clock.advance(1000);
    update([...hosts, host('c')]);
    const { c = 0 } = shares(210);
    expect(c).toBeLessThan(14);
    await clock.advance(11_000);
    update(hosts.slice(0, 1));
    expect(shares(3)).toEqual({ a: 3 });
  });

  test('nothing runs while nobody reports, nor after the end', async () => {
    const { clock, hosts, balancer, says } = started(['a', 'b'], { blackoutMs: 0, expirationMs: 5000 });
    expect(clock.pending).toBe(0);
    says(hosts[0], 100);
    expect(clock.pending).toBe(1);
    await clock.advance(10_000);
    expect(clock.pending).toBe(0);
    says(hosts[0], 100);
    balancer.close?.();
    expect(clock.pending).toBe(0);
    says(hosts[0], 100);
    expect(clock.pending).toBe(0);
  });
});
