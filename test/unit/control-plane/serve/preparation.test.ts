import { expect, test } from 'vitest';
import type { PublishedState } from '../../../../src/control-plane/serve/client-session.js';
import { clusterOf } from '../../xds/fixtures.js';
import { ModelClient } from './model-client.js';
import { CDS, World } from './world.js';

/** A client that asked for all clusters, and gets its next turn from the tests. */
function asking() {
  const world = new World();
  const client = new ModelClient(world, 'delta');
  client.subscribe(CDS, ['*']);
  client.connect();
  client.rest();
  return { world, client };
}

/** A state that takes some steps to make; `made` hears what is made, and whether at once. */
function slow(world: World, revision: number, made: (what: string) => void, count = 3): PublishedState {
  const set = world.set();
  return {
    revision,
    resourcesFor: () => {
      made(`${revision} at once`);
      return set;
    },
    *stepsFor() {
      for (let step = 0; step < count; step++) yield;
      made(`${revision}`);
      return set;
    },
  };
}

test('what a push needs is made with pauses before it, and once', () => {
  const { world, client } = asking();
  const made: string[] = [];
  world.clusters = new Map([['a', clusterOf('a')]]);
  world.published = slow(world, 1, (what) => made.push(what));
  const steps = client.session?.prepare();
  let pauses = 0;
  while (steps?.next().done === false) pauses++;
  client.session?.push();
  client.rest();
  expect({ made, pauses, held: [...client.holding(CDS).held.keys()] }).toEqual({
    made: ['1'],
    pauses: 3,
    held: ['a'],
  });
});

test('a state that is overtaken while it is made is left there', () => {
  const { world, client } = asking();
  const made: string[] = [];
  world.published = slow(world, 1, (what) => made.push(what));
  const steps = client.session?.prepare();
  steps?.next();
  world.clusters = new Map([['b', clusterOf('b')]]);
  world.published = slow(world, 2, (what) => made.push(what));
  while (steps?.next().done === false);
  client.session?.push();
  client.rest();
  expect(made).toEqual(['2']);
  expect([...client.holding(CDS).held.keys()]).toEqual(['b']);
});

test('a client hears something though there is something newer at every pause', () => {
  const { world, client } = asking();
  const made: string[] = [];
  let revision = 0;
  const publish = () => {
    world.clusters = new Map([['a', { ...clusterOf('a'), connectTimeoutMs: ++revision }]]);
    world.published = slow(world, revision, (what) => made.push(what), 10);
  };
  publish();
  const steps = client.session?.prepare();
  let turns = 0;
  for (; turns < 1_000 && steps?.next().done === false; turns++) publish();
  client.session?.push();
  client.rest();
  expect(turns).toBeLessThan(1_000);
  expect(client.holding(CDS).held.size).toBe(1);
});
