import { afterEach, describe, expect, test } from 'vitest';
import type { Mesh } from '../../../src/index.js';
import { istio, service, World } from './features-world.js';

let world: World;

afterEach(() => world.close());

/** Three instances of `echo` that answer with their number, placed by the given consistent hash. */
async function echoPlacedBy(consistentHash: string): Promise<Mesh> {
  world = await World.start(
    service('echo') +
      istio(
        'DestinationRule',
        'echo',
        `host: echo\ntrafficPolicy: { loadBalancer: { consistentHash: ${consistentHash} } }`,
      ),
  );
  for (const number of ['1', '2', '3']) {
    await world.serve({ service: 'echo' }, (_request, response) => response.end(number));
  }
  return world.join();
}

const bodyOf = async (response: Response): Promise<string> => response.text();

describe('consistent hashing of a DestinationRule', () => {
  test('by a header: one value, one instance; many values, all of them', async () => {
    const client = await echoPlacedBy('{ httpHeaderName: x-user, ringHash: {} }');
    const ask = async (user: string) =>
      bodyOf(await client.fetch('http://echo/', { headers: { 'x-user': user } }));
    const users = Array.from({ length: 60 }, (_, i) => `user-${i}`);
    const first = await Promise.all(users.map(ask));
    expect(await Promise.all(users.map(ask))).toEqual(first);
    expect(new Set(first)).toEqual(new Set(['1', '2', '3']));
  });

  test('by a cookie: who has none is given one, and stays where it leads', async () => {
    const client = await echoPlacedBy('{ httpCookie: { name: session, ttl: 60s, path: / }, maglev: {} }');
    const instances = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const first = await client.fetch('http://echo/');
      const given = first.headers.get('set-cookie') ?? '';
      expect(given).toMatch(/^session="[0-9a-f]{16}"; Max-Age=60; Path=\/; HttpOnly$/);
      const instance = await bodyOf(first);
      instances.add(instance);
      const cookie = given.split(';')[0] ?? '';
      const second = await client.fetch('http://echo/', { headers: { cookie } });
      expect(await bodyOf(second)).toBe(instance);
      expect(second.headers.has('set-cookie')).toBe(false);
    }
    expect(instances.size).toBeGreaterThan(1);
  });

  test('by a query parameter', async () => {
    const client = await echoPlacedBy('{ httpQueryParameterName: key }');
    const ask = async (key: number) => bodyOf(await client.fetch(`http://echo/?key=${key}`));
    const keys = Array.from({ length: 20 }, (_, i) => i);
    const first = await Promise.all(keys.map(ask));
    expect(await Promise.all(keys.map(ask))).toEqual(first);
    expect(new Set(first).size).toBeGreaterThan(1);
  });
});
