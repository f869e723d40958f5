import { describe, expect, test } from 'vitest';
import { OverloadDrops } from '../../../src/cluster/drop-overload.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { ANY, clusterConfig, endpoint, endpoints, request, world } from './fixtures.js';

describe('dropping for overload', () => {
  test('drops the share that was asked for, each category on its own', () => {
    const drops = new OverloadDrops(seededRandom(1));
    expect(drops.shed()).toBeUndefined();
    drops.update([
      { category: 'throttle', percentage: { numerator: 200_000, denominator: 1_000_000 } },
      { category: 'lb', percentage: { numerator: 50, denominator: 100 } },
    ]);
    let dropped = 0;
    for (let i = 0; i < 10_000; i++) if (drops.shed() === 'some') dropped++;
    expect(dropped / 10_000).toBeCloseTo(0.2 + 0.8 * 0.5, 1);
    expect((drops.counts['throttle'] ?? 0) / 10_000).toBeCloseTo(0.2, 1);
    expect((drops.counts['lb'] ?? 0) + (drops.counts['throttle'] ?? 0)).toBe(dropped);
  });

  test('says so when nothing gets through, and stops with the next assignment', () => {
    const { cluster } = world();
    const all = {
      ...endpoints('a'),
      dropOverloads: [{ category: 'all', percentage: { numerator: 100, denominator: 100 } as const }],
    };
    const runtime = cluster({}, all);
    expect(runtime.shed()).toBe('all');
    expect(runtime.stats().drops).toEqual({ all: 1 });
    runtime.update({ cluster: runtime.config, assignment: endpoints('a') });
    expect(runtime.shed()).toBeUndefined();
  });
});

test('with every change of membership the hosts that stay get new connections, when asked for', async () => {
  const { cluster, network } = world();
  const runtime = cluster({ closeConnectionsOnHostSetChange: true }, endpoints('a', 'b'));
  const send = () => runtime.send(runtime.hosts.get('a:80')!, request());
  await send();
  const first = network.open.get('a:80');
  const [a, b] = [endpoint('a', { weight: 2 }), endpoint('b')];
  const { localities, ...rest } = endpoints();
  const of = (...list: (typeof a)[]) => ({
    ...rest,
    localities: localities.map((one) => ({ ...one, endpoints: list })),
  });
  runtime.update({ cluster: clusterConfig(), assignment: of(a, b) });
  await send();
  expect(network.open.get('a:80')).toBe(first);
  runtime.update({ cluster: clusterConfig(), assignment: of(a) });
  await send();
  expect(network.open.get('a:80')).not.toBe(first);
  expect(runtime.pick(ANY)?.address).toBe('a:80');
});
