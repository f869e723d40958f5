import { describe, expect, test } from 'vitest';
import type { Host } from '../../../../src/cluster/host.js';
import { OutlierDetector, type OutlierEvent } from '../../../../src/cluster/outlier/detector.js';
import type { OutlierDetection } from '../../../../src/model/cluster.js';
import { host, outlierConfig } from '../fixtures.js';

const SUCCESS_RATE = {
  minimumHosts: 5,
  requestVolume: 100,
  stdevFactor: 1900,
  enforcingPercent: 100,
  enforcingLocalOriginPercent: 100,
};
const FAILURE_PERCENTAGE = {
  threshold: 85,
  minimumHosts: 5,
  requestVolume: 50,
  enforcingPercent: 100,
  enforcingLocalOriginPercent: 100,
};
const OFF = { threshold: 1_000_000, enforcingPercent: 0 };

function detect(config: Partial<OutlierDetection>, count = 5) {
  const all = Array.from({ length: count }, (_, i) => host(`h${i}`));
  const hosts = new Map(all.map((one): [string, Host] => [one.address, one]));
  const time = { now: 0 };
  const events: OutlierEvent[] = [];
  const quiet = { consecutive5xx: OFF, consecutiveGatewayFailure: OFF, consecutiveLocalOriginFailure: OFF };
  const detector = new OutlierDetector(outlierConfig({ ...quiet, ...config }), {
    random: () => 0,
    now: () => time.now,
    hosts: () => hosts,
    onChange: () => {},
    onEvent: (event) => events.push(event),
  });
  /** So many answers of each host, and how many of them are failures. */
  const interval = (requests: number, failures: Readonly<Record<number, number>>) => {
    for (const [i, one] of all.entries()) {
      for (let n = 0; n < requests; n++) detector.reportStatus(one, n < (failures[i] ?? 0) ? 500 : 200);
    }
    time.now += 10_000;
    return detector.tick();
  };
  return { detector, all, events, interval, time };
}

describe('success rate', () => {
  test('ejects a host far below the mean, and tells by which figures', () => {
    const { detector, all, events, interval } = detect({ successRate: SUCCESS_RATE });
    interval(100, { 4: 50 });
    expect(all.map(({ ejected }) => ejected)).toEqual([false, false, false, false, true]);
    expect(events).toEqual([
      {
        host: 'h4:80',
        action: 'eject',
        type: 'SuccessRate',
        enforced: true,
        ejections: 1,
        sinceLastActionMs: undefined,
        successRate: { host: 50, average: 90, threshold: 52 },
      },
    ]);
    expect(detector.stats()).toMatchObject({
      ejectionsActive: 1,
      detected: { SuccessRate: 1 },
      enforced: { SuccessRate: 1 },
      successRate: { average: 90, threshold: 52 },
      localOriginSuccessRate: { average: -1, threshold: -1 },
    });
  });

  test('judges nobody when too few hosts had enough requests', () => {
    const { detector, all, interval } = detect({ successRate: SUCCESS_RATE });
    interval(99, { 4: 99 });
    expect(all.some(({ ejected }) => ejected)).toBe(false);
    expect(detector.stats().successRate.average).toBe(-1);
    // Enough for the failure percentage, so the rate is known all the same.
    expect(all[4]?.outlier.external.rate).toBe(0);
  });

  test('publishes nothing in a cluster that is too small for either detector', () => {
    const { all, interval } = detect({ successRate: SUCCESS_RATE }, 4);
    interval(100, { 0: 100 });
    expect(all[0]?.outlier.external.rate).toBe(-1);
  });

  test('looks at one interval at a time, and forgets it after a quiet one', () => {
    const { all, interval } = detect({ successRate: SUCCESS_RATE });
    expect(interval(100, {})).toBe(true);
    expect(all[0]?.outlier.external.rate).toBe(100);
    expect(interval(0, {})).toBe(false);
    expect(all[0]?.outlier.external.rate).toBe(-1);
  });

  test('leaves out hosts that are ejected already', () => {
    const { detector, interval } = detect({ successRate: { ...SUCCESS_RATE, minimumHosts: 4 } });
    interval(100, { 4: 50 });
    interval(100, { 4: 100 });
    expect(detector.stats().successRate.average).toBe(100);
  });

  test('of this side of the wire has its own figures when split off', () => {
    const { detector, all, events } = detect({
      successRate: { ...SUCCESS_RATE, enforcingPercent: 0 },
      splitExternalLocalOriginErrors: true,
    });
    for (const [i, one] of all.entries()) {
      for (let n = 0; n < 100; n++) {
        detector.reportLocalOrigin(one, i === 4 && n < 50 ? 'timeout' : 'connect-success');
      }
    }
    detector.tick();
    expect(events.map(({ host: at, type }) => [at, type])).toEqual([['h4:80', 'SuccessRateLocalOrigin']]);
    expect(detector.stats().localOriginSuccessRate).toEqual({ average: 90, threshold: 52 });
    expect(detector.stats().successRate.average).toBe(-1);
  });
});

describe('failure percentage', () => {
  const config = {
    successRate: { ...SUCCESS_RATE, enforcingPercent: 0 },
    failurePercentage: FAILURE_PERCENTAGE,
  };

  test('ejects from the threshold on', () => {
    const { all, events, interval } = detect(config);
    interval(100, { 0: 84, 1: 85 });
    expect(all.map(({ ejected }) => ejected)).toEqual([false, true, false, false, false]);
    expect(events.filter(({ enforced }) => enforced)).toMatchObject([
      { host: 'h1:80', type: 'FailurePercentage', successRate: { host: 15 } },
    ]);
  });

  test('does nothing to a host that success rate ejected in the same tick', () => {
    const { detector, events, interval } = detect({ ...config, successRate: SUCCESS_RATE });
    interval(100, { 4: 100 });
    expect(events).toHaveLength(1);
    expect(detector.stats()).toMatchObject({ ejectionsActive: 1, detected: { SuccessRate: 1 } });
  });

  test('stays within the cap', () => {
    const { detector, interval } = detect({ ...config, maxEjectionPercent: 40 });
    interval(100, { 0: 100, 1: 100, 2: 100 });
    expect(detector.stats()).toMatchObject({
      ejectionsActive: 2,
      ejectionsOverflow: 1,
      enforced: { FailurePercentage: 2 },
    });
  });
});

describe('hosts that call themselves degraded', () => {
  test('are lowered in rank until their time is over, and are never ejected for it', () => {
    const { detector, all, events, time } = detect({ detectDegradedHosts: true, maxEjectionPercent: 0 });
    const one = all[0]!;
    detector.reportDegraded(one);
    detector.reportDegraded(one);
    expect([one.health, one.ejected]).toEqual(['degraded', false]);
    time.now = 29_999;
    detector.tick();
    expect(one.health).toBe('degraded');
    time.now = 30_000;
    detector.tick();
    expect(one.health).toBe('healthy');
    expect(events.map(({ action, type }) => `${action} ${type}`)).toEqual([
      'eject Degraded',
      'uneject Degraded',
    ]);
  });

  test('stay degraded longer the second time, and calm down', () => {
    const { detector, all, time } = detect({ detectDegradedHosts: true });
    const one = all[0]!;
    detector.reportDegraded(one);
    time.now = 30_000;
    detector.tick();
    detector.reportDegraded(one);
    time.now = 89_999;
    detector.tick();
    expect(one.health).toBe('degraded');
    time.now = 90_000;
    detector.tick();
    expect(one.health).toBe('healthy');
    while (one.outlier.degradedBackoff > 0) {
      time.now += 10_000;
      detector.tick();
    }
    expect(time.now).toBe(110_000);
  });

  test('are let be without the setting', () => {
    const { detector, all, events } = detect({});
    detector.reportDegraded(all[0]!);
    expect([all[0]?.health, events]).toEqual(['healthy', []]);
  });
});
