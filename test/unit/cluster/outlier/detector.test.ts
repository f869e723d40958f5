import { describe, expect, test } from 'vitest';
import type { Host } from '../../../../src/cluster/host.js';
import { OutlierDetector } from '../../../../src/cluster/outlier/detector.js';
import type { OutlierDetection } from '../../../../src/model/cluster.js';
import { host, outlierConfig } from '../fixtures.js';

function detect(config: Partial<OutlierDetection>, count = 4, draw = 0) {
  const hosts = new Map<string, Host>();
  for (let i = 0; i < count; i++) {
    const one = host(`h${i}`);
    hosts.set(one.address, one);
  }
  const time = { now: 0 };
  const events: string[] = [];
  const detector = new OutlierDetector(outlierConfig(config), {
    random: () => draw,
    now: () => time.now,
    hosts: () => hosts,
    onChange: () => {},
    onEvent: ({ host: address, action, type, enforced }) =>
      events.push(`${action} ${address} ${type}${enforced ? '' : ' unenforced'}`),
  });
  const all = [...hosts.values()];
  const report = (at: number, ...statuses: number[]) => {
    for (const status of statuses) detector.reportStatus(all[at]!, status);
  };
  const tick = (now: number) => {
    time.now = now;
    detector.tick();
  };
  return { detector, hosts: all, known: hosts, events, report, tick, time };
}

const fail5 = [500, 500, 500, 500, 500];

describe('consecutive failures', () => {
  test('eject a host when their number reaches the threshold', () => {
    const { report, hosts, events } = detect({});
    report(0, 500, 503, 599, 501);
    expect(hosts[0]?.ejected).toBe(false);
    report(0, 500);
    expect(hosts[0]?.ejected).toBe(true);
    expect(events).toEqual(['eject h0:80 Consecutive5xx']);
  });

  test('start anew after a response that is no 5xx', () => {
    const { report, hosts } = detect({});
    report(0, 500, 500, 500, 500, 404, 500, 500, 500, 500);
    expect(hosts[0]?.ejected).toBe(false);
  });

  test('are counted for each host on its own', () => {
    const { report, hosts } = detect({});
    report(0, 500, 500, 500, 500);
    report(1, 500, 500, 500, 500);
    expect(hosts.some(({ ejected }) => ejected)).toBe(false);
  });

  test('at the gateway are 502, 503 and 504 only', () => {
    const gateway = { threshold: 2, enforcingPercent: 100 };
    const { report, events } = detect({ consecutiveGatewayFailure: gateway });
    report(0, 502, 500, 503);
    expect(events).toEqual([]);
    report(0, 504);
    expect(events).toEqual(['eject h0:80 ConsecutiveGatewayFailure']);
  });

  test('are only told of when the enforcing percentage lets them pass', () => {
    const { report, hosts, events } = detect({ consecutive5xx: { threshold: 5, enforcingPercent: 0 } });
    report(0, ...fail5, ...fail5);
    expect(hosts[0]?.ejected).toBe(false);
    expect(events).toEqual(Array(2).fill('eject h0:80 Consecutive5xx unenforced'));
  });

  test('of a host that is gone do nothing', () => {
    const { report, hosts, known, events } = detect({});
    known.delete('h0:80');
    report(0, ...fail5);
    expect(hosts[0]?.ejected).toBe(false);
    expect(events).toEqual([]);
  });
});

describe('results of this side of the wire', () => {
  test('count as 504 and 503 unless they are split off', () => {
    const { detector, hosts } = detect({});
    for (let i = 0; i < 4; i++) detector.reportLocalOrigin(hosts[0]!, 'timeout');
    detector.reportLocalOrigin(hosts[0]!, 'connect-success');
    detector.reportLocalOrigin(hosts[0]!, 'connect-failure');
    expect(hosts[0]?.ejected).toBe(true);
  });

  test('have a counter of their own when split off', () => {
    const { detector, hosts, report, events } = detect({ splitExternalLocalOriginErrors: true });
    for (let i = 0; i < 4; i++) detector.reportLocalOrigin(hosts[0]!, 'timeout');
    report(0, 500, 200);
    expect(events).toEqual([]);
    detector.reportLocalOrigin(hosts[0]!, 'connect-failure');
    expect(events).toEqual(['eject h0:80 ConsecutiveLocalOriginFailure']);
  });

  test('start anew after a connection was made, when split off', () => {
    const { detector, hosts } = detect({ splitExternalLocalOriginErrors: true });
    for (let i = 0; i < 8; i++) {
      if (i === 4) detector.reportLocalOrigin(hosts[0]!, 'connect-success');
      detector.reportLocalOrigin(hosts[0]!, 'timeout');
    }
    expect(hosts[0]?.ejected).toBe(false);
  });
});

describe('the number of ejected hosts', () => {
  test('stays within the percentage', () => {
    const { detector, report, hosts } = detect({ maxEjectionPercent: 50 });
    for (let i = 0; i < 4; i++) report(i, ...fail5);
    expect(hosts.map(({ ejected }) => ejected)).toEqual([true, true, false, false]);
    expect(detector.stats()).toMatchObject({ ejectionsActive: 2, ejectionsOverflow: 2 });
  });

  test('is none at 10 percent of fewer than 10 hosts', () => {
    const { report, hosts } = detect({ maxEjectionPercent: 10 }, 9);
    report(0, ...fail5);
    expect(hosts[0]?.ejected).toBe(false);
  });

  test('may be one whatever the percentage, when told so', () => {
    const { report, hosts } = detect({ maxEjectionPercent: 10, alwaysEjectOneHost: true }, 2);
    report(0, ...fail5);
    report(1, ...fail5);
    expect(hosts.map(({ ejected }) => ejected)).toEqual([true, false]);
  });
});

describe('an ejection', () => {
  test('ends on the first tick after its time, not before', () => {
    const { report, tick, hosts, events } = detect({});
    report(0, ...fail5);
    tick(29_999);
    expect(hosts[0]?.ejected).toBe(true);
    tick(30_000);
    expect(hosts[0]?.ejected).toBe(false);
    expect(events.at(-1)).toBe('uneject h0:80 Consecutive5xx');
  });

  test('lasts longer each time, up to the maximum', () => {
    const { report, tick, hosts, time } = detect({ maxEjectionTimeMs: 70_000 });
    const lasted: number[] = [];
    for (let round = 0; round < 4; round++) {
      const from = time.now;
      report(0, ...fail5);
      while (hosts[0]?.ejected === true) tick(time.now + 5000);
      lasted.push(time.now - from);
    }
    expect(lasted).toEqual([30_000, 60_000, 70_000, 70_000]);
  });

  test('gets shorter again with each quiet interval', () => {
    const { report, tick, hosts } = detect({});
    report(0, ...fail5);
    tick(30_000);
    report(0, ...fail5);
    expect(hosts[0]?.outlier.backoff).toBe(2);
    tick(90_000);
    tick(95_000);
    expect(hosts[0]?.outlier.backoff).toBe(2);
    tick(100_000);
    tick(110_000);
    tick(120_000);
    expect(hosts[0]?.outlier.backoff).toBe(0);
  });

  test('is lengthened by its jitter', () => {
    const { report, tick, hosts } = detect({ maxEjectionTimeJitterMs: 999 }, 4, 0.5);
    report(0, ...fail5);
    // Envoy: `random % 1000`, and half of 2^32 is 2147483648.
    expect(hosts[0]?.outlier.jitterMs).toBe(648);
    tick(30_647);
    expect(hosts[0]?.ejected).toBe(true);
    tick(30_648);
    expect(hosts[0]?.ejected).toBe(false);
  });

  test('leaves the host with fresh counters', () => {
    const { report, tick, hosts } = detect({});
    report(0, ...fail5, 500, 500, 500);
    tick(30_000);
    report(0, 500, 500, 500, 500);
    expect(hosts[0]?.ejected).toBe(false);
    report(0, 500);
    expect(hosts[0]?.ejected).toBe(true);
  });
});
