import { expect, test } from 'vitest';
import { mean } from './world/recorder.js';
import { writeChart } from './world/svg.js';
import { World } from './world/world.js';

const ADDRESSES = Array.from({ length: 10 }, (_, at) => `10.0.0.${at + 1}`);
const SICK = '10.0.0.3';
const [SICK_FROM, SICK_TO, END] = [10, 60, 150];

test('a host that fails is ejected, for longer each time, and gets its share back once it is well', async () => {
  const world = new World({
    seed: 7,
    clients: 1,
    rps: 200,
    places: ADDRESSES.map((address) => ({ address })),
    server: { workers: 100, serviceMs: 10, queueLimit: 100, failureShare: 0 },
    config: {
      cluster: {
        outlier_detection: {
          consecutive_5xx: 5,
          enforcing_consecutive_5xx: 100,
          interval: '1s',
          base_ejection_time: '5s',
          max_ejection_percent: 10,
        },
      },
    },
  });
  await world.runUntil(SICK_FROM);
  world.serverAt(SICK).behaviour.failureShare = 1;
  await world.runUntil(SICK_TO);
  world.serverAt(SICK).behaviour.failureShare = 0;
  await world.runUntil(END);

  const spans = [{ from: SICK_FROM, to: SICK_TO, label: 'one of ten hosts fails' }];
  const [sick, well] = [world.record.at(`${SICK}:80`), world.record.at('10.0.0.4:80')];
  const cut = (values: readonly number[]) => values.slice(0, END - 1);
  writeChart('ejection-requests', {
    title: 'Ejection and return: requests at a host',
    x: 'seconds',
    y: 'requests per second',
    spans,
    curves: [
      { name: 'the host that fails', values: cut(sick) },
      { name: 'another host', values: cut(well) },
    ],
  });
  writeChart('ejection-failures', {
    title: 'Ejection and return: failed answers',
    x: 'seconds',
    y: '% of requests',
    spans,
    curves: [{ name: 'failed', values: cut(world.record.success().map((value) => 100 - value)) }],
  });

  const failed = world.record.curve(({ requests, successes }) => requests - successes);
  const total = failed.reduce((sum, count) => sum + count, 0);
  // Five in a row for each ejection, and what was under way: without ejection it would be a tenth of 10,000.
  expect(total).toBeGreaterThanOrEqual(5);
  expect(total).toBeLessThan(60);
  // Ejected for 5, 10, 15, 20 s ...: in the fifty seconds it was let in at most five times.
  const letIn = sick
    .slice(SICK_FROM, SICK_TO)
    .filter((count, at, all) => count > 0 && (all[at - 1] ?? 0) === 0);
  expect(letIn.length).toBeLessThanOrEqual(5);
  expect(mean(sick, 100, END - 1)).toBeGreaterThan(0.9 * mean(well, 100, END - 1));
  expect(mean(sick, 100, END - 1)).toBeLessThan(1.1 * mean(well, 100, END - 1));
});

test('ejection never takes more hosts than its cap, also when all of them fail', async () => {
  const world = new World({
    seed: 11,
    clients: 1,
    rps: 200,
    places: ADDRESSES.map((address) => ({ address })),
    server: { workers: 100, serviceMs: 10, queueLimit: 100, failureShare: 1 },
    config: {
      cluster: {
        outlier_detection: {
          consecutive_5xx: 3,
          interval: '1s',
          base_ejection_time: '30s',
          max_ejection_percent: 30,
        },
      },
    },
  });
  await world.runUntil(20);
  const served = ADDRESSES.filter((address) => {
    const curve = world.record.at(`${address}:80`);
    return mean(curve, 10, 19) > 0;
  });
  expect(served.length).toBe(7);
});

test('the same seed gives the same run, another seed another one', async () => {
  const run = async (seed: number) => {
    const world = new World({
      seed,
      clients: 2,
      rps: 100,
      places: ADDRESSES.map((address) => ({ address })),
      server: { workers: 2, serviceMs: 30, queueLimit: 5, failureShare: 0.2 },
      config: { cluster: { outlier_detection: { consecutive_5xx: 3 } } },
    });
    await world.runUntil(5);
    return ADDRESSES.map((address) => world.record.at(`${address}:80`));
  };
  const first = await run(3);
  expect(await run(3)).toEqual(first);
  expect(await run(4)).not.toEqual(first);
});
