import { describe, expect, test } from 'vitest';
import { createOutlierMonitor } from '../../../../src/cluster/outlier/monitor.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';
import { host, outlierConfig } from '../fixtures.js';

function start(advanceMs = 0) {
  const clock = createFakeClock();
  const one = host('a');
  const hosts = new Map([[one.address, one]]);
  let changes = 0;
  const monitor = createOutlierMonitor(outlierConfig(), {
    clock,
    random: () => 0,
    hosts: () => hosts,
    onChange: () => {
      changes++;
    },
    onEvent: () => {},
  });
  const eject = () => {
    for (let i = 0; i < 5; i++) monitor.reportStatus(one, 500);
  };
  return { clock, one, monitor, eject, changes: () => changes, started: clock.advance(advanceMs) };
}

describe('the outlier monitor', () => {
  test('takes a host back on a tick, which falls on a multiple of the interval', async () => {
    const { clock, one, eject, changes, started } = start(4000);
    await started;
    eject();
    await clock.advance(30_000);
    // Due after 34 s, but the tick comes at 40 s.
    expect(one.ejected).toBe(true);
    await clock.advance(6000);
    expect(one.ejected).toBe(false);
    expect(changes()).toBe(2);
  });

  test('keeps no timer while nothing is ejected or cooling down', async () => {
    const { clock, eject } = start();
    expect(clock.pending).toBe(0);
    eject();
    expect(clock.pending).toBe(1);
    await clock.advance(60_000);
    expect(clock.pending).toBe(0);
  });

  test('stops when it is closed', async () => {
    const { clock, one, monitor, eject } = start();
    eject();
    monitor.close();
    expect(clock.pending).toBe(0);
    one.ejected = false;
    eject();
    expect(one.ejected).toBe(false);
  });
});
