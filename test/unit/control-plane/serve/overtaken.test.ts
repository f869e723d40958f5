import { expect, test } from 'vitest';
import { assignmentOf, clusterOf } from '../../xds/fixtures.js';
import { ModelClient } from './model-client.js';
import { CDS, EDS, World } from './world.js';

test('a client that asks for something else before it was answered comes to rest', () => {
  const world = new World();
  for (const name of ['c', 'd']) {
    const bad = assignmentOf(name, 3);
    world.spoil(EDS, bad);
    world.endpoints = new Map(world.endpoints).set(name, bad);
  }
  const client = new ModelClient(world, 'state of the world');
  client.subscribe(CDS, ['*']);
  client.connect();
  world.publish();
  client.subscribe(EDS, ['c', 'd']);
  client.subscribe(EDS, ['a']);
  client.rest();
  expect(client.holding(EDS).responses).toBeLessThan(5);
});

test('a removal that waits for a slow client is heard by one that asks for all again', () => {
  const world = new World();
  const client = new ModelClient(world, 'delta');
  client.subscribe(CDS, ['*']);
  client.connect();
  world.clusters = new Map([['c', clusterOf('c')]]);
  world.publish();
  world.clusters = new Map();
  client.window = 1;
  client.subscribe(CDS, ['a']);
  client.up();
  client.subscribe(CDS, ['*']);
  world.publish();
  client.rest();
  expect([...client.holding(CDS).held.keys()]).toEqual([]);
});

test('what is removed while a client asks for all a second time is told', () => {
  const world = new World();
  world.clusters = new Map([['c', clusterOf('c')]]);
  world.publish();
  const client = new ModelClient(world, 'delta');
  client.subscribe(CDS, ['*']);
  client.connect();
  client.rest();
  expect([...client.holding(CDS).held.keys()]).toEqual(['c']);

  world.clusters = new Map();
  client.holding(CDS).names = new Set();
  client.subscribe(CDS, ['*']);
  world.publish();
  client.rest();
  expect([...client.holding(CDS).held.keys()]).toEqual([]);
});
