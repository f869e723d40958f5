import { describe, expect, test } from 'vitest';
import { priorityLoad } from '../../../src/cluster/priority.js';

const level = (hosts: number, healthy: number, degraded = 0, excluded = 0) => ({
  hosts,
  healthy,
  degraded,
  excluded,
  overprovisioningFactor: 140,
});

describe('the load of priorities', () => {
  test('stays on the first priority while overprovisioning covers the loss', () => {
    expect(priorityLoad([level(4, 3), level(4, 4)], 50).healthy).toEqual([100, 0]);
    expect(priorityLoad([level(4, 2), level(4, 4)], 50).healthy).toEqual([70, 30]);
  });

  test('goes to degraded hosts for what healthy ones do not cover', () => {
    const load = priorityLoad([level(4, 1, 3)], 50);
    expect(load).toMatchObject({ healthy: [35], degraded: [65], panic: [false] });
  });

  test('judges panic only when the whole cluster can not carry the load', () => {
    expect(priorityLoad([level(10, 1), level(10, 10)], 50).panic).toEqual([false, false]);
    expect(priorityLoad([level(10, 1), level(10, 6)], 50).panic).toEqual([true, false]);
  });

  test('follows the number of hosts in total panic', () => {
    expect(priorityLoad([level(1, 0), level(2, 0)], 50)).toMatchObject({
      healthy: [34, 66],
      degraded: [0, 0],
      panic: [true, true],
    });
  });

  test('leaves nobody to pick when panic is off and nobody is healthy', () => {
    expect(priorityLoad([level(2, 0), level(2, 0)], 0)).toMatchObject({
      healthy: [100, 0],
      degraded: [0, 0],
      panic: [false, false],
    });
  });

  test('does not count excluded hosts', () => {
    expect(priorityLoad([level(4, 2, 0, 2), level(4, 4)], 50).healthy).toEqual([100, 0]);
  });
});
