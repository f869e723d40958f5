import { expect, test } from 'vitest';
import { assignmentOf, clusterOf } from '../../xds/fixtures.js';
import { ModelClient } from './model-client.js';
import { CDS, EDS, World } from './world.js';

/** A client that was told everything and came back with it; its stream takes one response, of the type asked for first. */
function returned(first = CDS): { readonly world: World; readonly client: ModelClient } {
  const world = new World();
  world.clusters = new Map([['a', clusterOf('a')]]);
  world.endpoints = new Map([['a', assignmentOf('a', 1)]]);
  world.publish();
  const client = new ModelClient(world, 'delta');
  const names = new Map([
    [CDS, ['*']],
    [EDS, ['a', 'b']],
  ]);
  for (const type of first === CDS ? [CDS, EDS] : [EDS, CDS]) client.subscribe(type, names.get(type) ?? []);
  client.connect();
  client.rest();
  client.drop();
  client.window = 0;
  client.connect();
  return { world, client };
}

test('what a returning client gives up and wants again before it was told anything is sent', () => {
  const { world, client } = returned();
  client.subscribe(EDS, ['b']);
  client.subscribe(EDS, ['a', 'b']);
  client.rest();
  expect(client.holding(EDS).held.get('a')).toBe(world.expected(EDS, 'a'));
});

test('the same holds for what only the wildcard brought', () => {
  const { world, client } = returned(EDS);
  client.subscribe(CDS, ['b']);
  client.subscribe(CDS, ['*']);
  client.rest();
  expect(client.holding(CDS).held.get('a')).toBe(world.expected(CDS, 'a'));
});

test('what a returning client still has is not sent again', () => {
  const { world, client } = returned();
  const before = client.holding(EDS).responses;
  client.rest();
  expect(client.holding(EDS).held.get('a')).toBe(world.expected(EDS, 'a'));
  expect(client.holding(EDS).responses - before).toBeLessThanOrEqual(1);
});
