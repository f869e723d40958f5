import { beforeAll, expect, test } from 'vitest';
import { loadHashes } from '../../src/runtime/hash.js';
import { writeChart } from './world/svg.js';
import { World } from './world/world.js';

beforeAll(loadHashes);

const HOSTS = Array.from({ length: 10 }, (_, at) => `10.0.0.${at + 1}`);
const KEYS = 500;
const STEPS = 12;

/** Which host each key is sent to after every step of churn: hosts leave one by one and come back. */
async function churn(lbPolicy: string): Promise<Map<number, string>[]> {
  const world = new World({
    seed: 9,
    clients: 1,
    rps: 0,
    places: HOSTS.map((address) => ({ address })),
    server: { workers: 1000, serviceMs: 1, queueLimit: 1000, failureShare: 0 },
    config: {
      cluster: { lb_policy: lbPolicy },
      route: { hash_policy: [{ header: { header_name: 'x-key' } }] },
    },
  });
  const owners: Map<number, string>[] = [];
  for (let step = 0; step < STEPS; step++) {
    const gone = step <= STEPS / 2 ? step : STEPS - step;
    world.setPlaces(HOSTS.slice(0, HOSTS.length - Math.min(gone, 5)).map((address) => ({ address })));
    const map = new Map<number, string>();
    for (let key = 0; key < KEYS; key++) map.set(key, await world.hostFor({ 'x-key': `user-${key}` }));
    owners.push(map);
  }
  return owners;
}

const hostCount = (step: number) => 10 - Math.min(step <= STEPS / 2 ? step : STEPS - step, 5);

function moved(owners: readonly Map<number, string>[]): number[] {
  return owners.slice(1).map((now, at) => {
    const before = owners[at];
    let count = 0;
    for (const [key, host] of now) if (before?.get(key) !== host) count++;
    return (100 * count) / KEYS;
  });
}

test('a host that leaves or comes moves about its share of the keys, and no more', async () => {
  const [ring, maglev] = [await churn('RING_HASH'), await churn('MAGLEV')];
  const modulo = ring.map(
    (_, step) => new Map(Array.from({ length: KEYS }, (_, key) => [key, String(key % hostCount(step))])),
  );
  writeChart('hash-stability', {
    title: 'Keys that change their host when one of up to ten hosts leaves or comes',
    x: 'step (a host leaves, later comes back)',
    y: '% of keys',
    curves: [
      { name: 'ring hash', values: moved(ring) },
      { name: 'Maglev', values: moved(maglev) },
      { name: 'key modulo hosts', values: moved(modulo) },
    ],
  });
  for (const curve of [moved(ring), moved(maglev)]) {
    curve.forEach((percent, step) => {
      const fair = 100 / Math.max(hostCount(step), hostCount(step + 1));
      if (hostCount(step) === hostCount(step + 1)) expect(percent).toBe(0);
      else {
        expect(percent).toBeGreaterThan(0.3 * fair);
        expect(percent).toBeLessThan(2.2 * fair);
      }
    });
  }
  // Whoever comes back finds the keys it had.
  expect(ring.at(-1)).toEqual(ring[1]);
  expect(maglev.at(-1)).toEqual(maglev[1]);
});
