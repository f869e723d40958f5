import type { JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { mean } from './world/recorder.js';
import { writeChart } from './world/svg.js';
import { World } from './world/world.js';

const ADDRESSES = Array.from({ length: 10 }, (_, at) => `10.0.0.${at + 1}`);
const [DOWN_FROM, DOWN_TO, END] = [10, 20, 60];

/** Ten servers that can do twice what is asked of them; for ten seconds they take fifteen times as long. */
async function storm(seed: number, retries: JsonObject): Promise<World> {
  const world = new World({
    seed,
    clients: 5,
    rps: 200,
    places: ADDRESSES.map((address) => ({ address })),
    server: { workers: 2, serviceMs: 50, queueLimit: 100_000, failureShare: 0 },
    config: {
      cluster: {
        circuit_breakers: {
          thresholds: [{ max_requests: 1_000_000, max_pending_requests: 1_000_000, ...retries }],
        },
      },
      route: {
        timeout: '10s',
        retry_policy: { retry_on: '5xx,reset,connect-failure', num_retries: 3, per_try_timeout: '0.5s' },
      },
    },
  });
  await world.runUntil(DOWN_FROM);
  for (const { behaviour } of world.servers.values()) behaviour.serviceMs *= 15;
  await world.runUntil(DOWN_TO);
  for (const { behaviour } of world.servers.values()) behaviour.serviceMs /= 15;
  await world.runUntil(END);
  return world;
}

/** First second after the trouble from which on 99 % succeed. */
function recoveredAt(world: World): number {
  const curve = world.record.success().slice(0, END - 5);
  const last = curve.findLastIndex((value) => value < 99);
  return last === curve.length - 1 ? Number.POSITIVE_INFINITY : last + 1;
}

test('a retry budget keeps a slow phase from becoming a retry storm that outlives it', async () => {
  const free = await storm(1, { max_retries: 1_000_000 });
  const budget = await storm(1, {
    retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 3 },
  });

  const amplification = ({ record }: World) =>
    mean(
      record.curve(({ attempts }) => attempts),
      DOWN_FROM + 2,
      DOWN_TO,
    ) / 200;
  const curves = (of: (world: World) => number[]) => [
    { name: 'without budget', values: of(free).slice(0, END - 5) },
    { name: 'budget 20 %', values: of(budget).slice(0, END - 5) },
  ];
  const spans = [{ from: DOWN_FROM, to: DOWN_TO, label: 'servers slow' }];
  const x = 'seconds';
  writeChart('retry-storm-success', {
    title: 'Retry storm: answers that succeed',
    x,
    y: '% of requests',
    spans,
    curves: curves(({ record }) => record.success()),
  });
  writeChart('retry-storm-attempts', {
    title: 'Retry storm: attempts at the servers',
    x,
    y: 'attempts per second',
    spans,
    curves: curves(({ record }) => record.curve(({ attempts }) => attempts)),
  });

  expect(amplification(free)).toBeGreaterThan(2.5);
  expect(amplification(budget)).toBeLessThan(1.25);
  // The queues that the storm filled keep it alive long after the servers are well again.
  expect(recoveredAt(free)).toBe(Number.POSITIVE_INFINITY);
  expect(recoveredAt(budget)).toBeLessThan(DOWN_TO + 15);
});
