import { expect, test } from 'vitest';
import { mean } from './world/recorder.js';
import { writeChart } from './world/svg.js';
import { World } from './world/world.js';

const OLD = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
const NEW = '10.0.0.9';
const [JOINS, WINDOW, END] = [10, 30, 60];

/** Four hosts, and a fifth that joins. */
async function join(lbPolicy: string, window: number | undefined, aggression?: number): Promise<World> {
  const config = window === undefined ? {} : { slow_start_config: slowStart(window, aggression) };
  const world = new World({
    seed: 5,
    clients: 1,
    rps: 250,
    places: OLD.map((address) => ({ address })),
    server: { workers: 100, serviceMs: 5, queueLimit: 100, failureShare: 0 },
    config: { cluster: { lb_policy: lbPolicy, [`${lbPolicy.toLowerCase()}_lb_config`]: config } },
  });
  await world.runUntil(JOINS);
  world.setPlaces([...OLD, NEW].map((address) => ({ address })));
  await world.runUntil(END);
  return world;
}

function slowStart(window: number, aggression = 1) {
  return {
    slow_start_window: `${window}s`,
    aggression: { default_value: aggression, runtime_key: 'aggression' },
  };
}

const newcomer = ({ record }: World) => record.at(`${NEW}:80`).slice(0, END - 1);

test('a new host gets its share at once without slow start, and grows into it with', async () => {
  const none = await join('ROUND_ROBIN', undefined);
  const linear = await join('ROUND_ROBIN', WINDOW);
  const steep = await join('ROUND_ROBIN', WINDOW, 2);
  const least = await join('LEAST_REQUEST', WINDOW);
  writeChart('slow-start', {
    title: 'Slow start: requests at a host that joins four others',
    x: 'seconds',
    y: 'requests per second',
    spans: [{ from: JOINS, to: JOINS + WINDOW, label: 'slow start window' }],
    curves: [
      { name: 'none', values: newcomer(none) },
      { name: 'aggression 1', values: newcomer(linear) },
      { name: 'aggression 2', values: newcomer(steep) },
      { name: 'least request', values: newcomer(least) },
    ],
  });

  const share = 250 / 5;
  expect(mean(newcomer(none), JOINS + 1, JOINS + 5)).toBeGreaterThan(0.85 * share);
  for (const world of [linear, least]) {
    // A weight of 10 % at first, then age by window: w / (4 + w) of the requests.
    const [early, middle] = [
      mean(newcomer(world), JOINS, JOINS + 3),
      mean(newcomer(world), JOINS + 13, JOINS + 17),
    ];
    expect(early).toBeLessThan(0.3 * share);
    expect(middle).toBeGreaterThan(0.4 * share);
    expect(middle).toBeLessThan(0.7 * share);
    expect(mean(newcomer(world), JOINS + WINDOW + 2, END - 1)).toBeGreaterThan(0.85 * share);
  }
  // Aggression above 1 raises the weight early: age ^ (1 / aggression).
  expect(mean(newcomer(steep), JOINS + 5, JOINS + 10)).toBeGreaterThan(
    1.3 * mean(newcomer(linear), JOINS + 5, JOINS + 10),
  );
});
