import { expect, test } from 'vitest';
import { ANY, clusterConfig, endpoints, world } from './fixtures.js';

const given = (staleAfterMs: number | undefined, ...addresses: readonly string[]) => ({
  ...endpoints(...addresses),
  staleAfterMs,
});

test('endpoints that get old go, unless something is received before, be it the same', async () => {
  const { cluster, clock } = world();
  const runtime = cluster({}, given(1000, 'a'));
  const receive = (assignment: ReturnType<typeof given>) =>
    runtime.update({ cluster: clusterConfig({}), assignment });
  await clock.advance(999);
  receive(given(1000, 'a'));
  await clock.advance(999);
  expect(runtime.pick(ANY)?.address).toBe('a:80');
  await clock.advance(1);
  expect(runtime.pick(ANY)).toBeUndefined();
  expect(runtime.hosts.size).toBe(0);
  receive(given(1000, 'a'));
  expect(runtime.pick(ANY)?.address).toBe('a:80');
  receive(given(undefined, 'a'));
  await clock.advance(100_000);
  expect(runtime.pick(ANY)?.address).toBe('a:80');
  await runtime.close();
  expect(clock.pending).toBe(0);
});
