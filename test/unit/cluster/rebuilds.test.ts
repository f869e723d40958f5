import { expect, test } from 'vitest';
import { Rebuilds } from '../../../src/cluster/rebuilds.js';
import { createAgenda } from '../../../src/runtime/agenda.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { ANY, assignment, clusterConfig, endpoint, locality, world } from './fixtures.js';

test('changes that follow each other within the window are applied together at its end', async () => {
  const clock = createFakeClock();
  const times: number[] = [];
  const rebuilds = new Rebuilds(1000, {
    clock,
    agenda: createAgenda(clock),
    rebuild: () => times.push(clock.now()),
  });
  rebuilds.soon();
  rebuilds.soon();
  await clock.advance(0);
  expect(times).toEqual([0]);
  await clock.advance(300);
  rebuilds.soon();
  await clock.advance(300);
  rebuilds.soon();
  await clock.advance(1000);
  expect(times).toEqual([0, 1000]);
  // What can't wait takes along what does.
  rebuilds.soon();
  rebuilds.now();
  await clock.advance(5000);
  expect(times).toEqual([0, 1000, 1600]);
  rebuilds.soon();
  rebuilds.close();
  await clock.advance(0);
  expect(times).toHaveLength(3);
  expect(clock.pending).toBe(0);
});

test('in a cluster, a change of health waits and one of membership does not', async () => {
  const { cluster, clock } = world();
  const sick = (names: string, ill: string) =>
    assignment(
      locality(
        [...names].map((name) => endpoint(name, { health: ill.includes(name) ? 'unhealthy' : 'healthy' })),
      ),
    );
  const runtime = cluster({ updateMergeWindowMs: 1000, panicThresholdPercent: 0 }, sick('ab', ''));
  const picked = () => new Set(Array.from({ length: 6 }, () => runtime.pick(ANY)?.address));
  runtime.update({ cluster: clusterConfig(), assignment: sick('ab', 'a') });
  await clock.advance(500);
  expect(picked()).toEqual(new Set(['a:80', 'b:80']));
  await clock.advance(500);
  expect(picked()).toEqual(new Set(['b:80']));
  runtime.update({ cluster: clusterConfig(), assignment: sick('abc', 'ab') });
  expect(picked()).toEqual(new Set(['c:80']));
  await runtime.close();
});
