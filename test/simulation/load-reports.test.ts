import { expect, test } from 'vitest';
import { mean } from './world/recorder.js';
import { writeChart } from './world/svg.js';
import { World } from './world/world.js';

const END = 60;
/** Workers of each server: what they can do differs by a factor of eight. */
const CAPACITIES = { '10.0.0.1': 2, '10.0.0.2': 4, '10.0.0.3': 8, '10.0.0.4': 16 };
const ADDRESSES = Object.keys(CAPACITIES);
const WORKERS = Object.values(CAPACITIES);

/** The utilization of each server, second by second. */
async function run(
  cluster: Parameters<typeof clusterOf>[0],
): Promise<ReadonlyMap<string, readonly number[]>> {
  const world = new World({
    seed: 11,
    clients: 3,
    rps: 900,
    places: ADDRESSES.map((address) => ({ address })),
    server: { workers: 1, serviceMs: 20, queueLimit: 20, failureShare: 0 },
    servers: Object.fromEntries(
      Object.entries(CAPACITIES).map(([address, workers]) => [address, { workers }]),
    ),
    reportsLoad: true,
    config: { cluster: clusterOf(cluster) },
  });
  const utilizations = new Map(ADDRESSES.map((address) => [address, [] as number[]]));
  const before = new Map<string, number>();
  for (let second = 1; second <= END; second++) {
    await world.runUntil(second);
    for (const [address, workers] of Object.entries(CAPACITIES)) {
      const { busyMs } = world.serverAt(address);
      utilizations.get(address)?.push((busyMs - (before.get(address) ?? 0)) / (1000 * workers));
      before.set(address, busyMs);
    }
  }
  return utilizations;
}

function clusterOf(policy: 'round_robin' | 'client_side_weighted_round_robin') {
  if (policy === 'round_robin') return {};
  const type = `envoy.extensions.load_balancing_policies.${policy}.v3.ClientSideWeightedRoundRobin`;
  return {
    lb_policy: 'LOAD_BALANCING_POLICY_CONFIG',
    load_balancing_policy: {
      policies: [
        {
          typed_extension_config: { name: policy, typed_config: { '@type': `type.googleapis.com/${type}` } },
        },
      ],
    },
  };
}

test('hosts of unequal capacity come to be used equally, by what they report', async () => {
  const plain = await run('round_robin');
  const weighted = await run('client_side_weighted_round_robin');
  writeChart('load-reports', {
    title: 'Client-side weighted round robin: utilization of hosts with 2, 4, 8 and 16 workers',
    x: 'seconds',
    y: 'utilization in percent',
    spans: [{ from: 0, to: 10, label: 'blackout period' }],
    curves: [
      ...[...weighted].map(([address, values]) => ({
        name: `${CAPACITIES[address as keyof typeof CAPACITIES]} workers`,
        values: values.map((one) => 100 * one),
      })),
      { name: '2 workers, round robin', values: (plain.get('10.0.0.1') ?? []).map((one) => 100 * one) },
    ],
  });

  const late = (values: readonly number[] = []) => mean(values, 25, END - 1);
  const total = WORKERS.reduce((sum, one) => sum + one);
  // Whole milliseconds between arrivals make the rate a little lower than it is meant to be.
  const fair =
    ADDRESSES.reduce((sum, address, at) => sum + late(weighted.get(address)) * (WORKERS[at] ?? 0), 0) / total;
  for (const values of weighted.values()) {
    expect(late(values)).toBeGreaterThan(0.85 * fair);
    expect(late(values)).toBeLessThan(1.15 * fair);
  }
  expect(late(plain.get('10.0.0.1'))).toBeGreaterThan(0.95);
  expect(late(plain.get('10.0.0.4'))).toBeLessThan(0.5 * fair);
  // Until the blackout is over it is round robin.
  expect(mean(weighted.get('10.0.0.1') ?? [], 2, 8)).toBeGreaterThan(0.95);
});
