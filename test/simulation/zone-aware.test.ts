import { expect, test } from 'vitest';
import { mean } from './world/recorder.js';
import { writeChart } from './world/svg.js';
import { World } from './world/world.js';
import type { Place } from './world/xds.js';

const ZONES = ['a', 'b', 'c'];
const place = (net: number, zone: string, at: number): Place => ({
  address: `10.${net}.${zone.charCodeAt(0) - 96}.${at + 1}`,
  zone,
});
const CALLERS = ZONES.flatMap((zone) => [0, 1].map((at) => place(1, zone, at)));
const HOSTS = ZONES.flatMap((zone) => [0, 1, 2].map((at) => place(2, zone, at)));
/** Zone a without two of its three hosts. */
const FEWER = HOSTS.filter(({ zone }, at) => zone !== 'a' || at === 0);
const [LOST, BACK, END] = [15, 35, 50];

test('requests stay in their zone as far as it has the capacity, and the rest is spread', async () => {
  const world = new World({
    seed: 13,
    clients: CALLERS.length,
    callers: CALLERS,
    rps: 300,
    places: HOSTS,
    server: { workers: 100, serviceMs: 5, queueLimit: 100, failureShare: 0 },
    config: {},
  });
  await world.runUntil(LOST);
  world.setPlaces(FEWER);
  await world.runUntil(BACK);
  world.setPlaces(HOSTS);
  await world.runUntil(END);

  const stayed = (zone: string) => world.record.stayed(zone).slice(0, END - 1);
  writeChart('zone-aware', {
    title: 'Zone-aware routing: requests that stay in the zone of their caller',
    x: 'seconds',
    y: '% of the requests of a zone',
    spans: [{ from: LOST, to: BACK, label: 'zone a has one host of three' }],
    curves: ZONES.map((zone) => ({ name: `zone ${zone}`, values: stayed(zone) })),
  });

  for (const zone of ZONES) {
    expect(mean(stayed(zone), 0, LOST)).toBe(100);
    expect(mean(stayed(zone), BACK + 1, END - 1)).toBe(100);
  }
  // A seventh of the hosts serves a third of the callers: 3/7 of them; the others have more than they need.
  expect(mean(stayed('a'), LOST + 1, BACK)).toBeGreaterThan(38);
  expect(mean(stayed('a'), LOST + 1, BACK)).toBeLessThan(48);
  expect(mean(stayed('b'), LOST + 1, BACK)).toBe(100);
  // So every host has about the same to do.
  const perHost = FEWER.map(({ address }) => mean(world.record.at(`${address}:80`), LOST + 1, BACK));
  expect(Math.max(...perHost)).toBeLessThan(1.35 * Math.min(...perHost));
});
