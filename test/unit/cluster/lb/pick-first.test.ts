import { describe, expect, test } from 'vitest';
import { createBalancer } from '../../../../src/cluster/lb/policies.js';
import type { PickFirstPolicy } from '../../../../src/model/lb-policy.js';
import {
  ANY,
  assignment,
  balancerTools,
  endpoint,
  endpoints,
  host,
  hostSet,
  locality,
  request,
  world,
} from '../fixtures.js';

const FIRST: PickFirstPolicy = { kind: 'pick-first', shuffle: false };

describe('pick first', () => {
  test('stays with the first host', () => {
    const cluster = world().cluster({ lbPolicy: FIRST }, endpoints('a', 'b', 'c'));
    for (let i = 0; i < 5; i++) expect(cluster.pick(ANY)?.address).toBe('a:80');
  });

  test('moves on when its host is down, and does not go back', () => {
    const hosts = [host('a'), host('b'), host('c')];
    const [a, b] = hosts;
    if (a === undefined || b === undefined) throw new Error('no hosts');
    const balancer = createBalancer(FIRST, balancerTools(1));
    expect(balancer.picker([hostSet(hosts)])(ANY, 0)).toBe(a);
    a.ejected = true;
    expect(balancer.picker([hostSet(hosts)])(ANY, 0)).toBe(b);
    a.ejected = false;
    expect(balancer.picker([hostSet(hosts)])(ANY, 0)).toBe(b);
    expect(balancer.picker([hostSet([a])])(ANY, 0)).toBe(a);
  });

  test('moves on when its host can not be connected to, and comes round', async () => {
    const { cluster } = world({ failure: 'connect' });
    const runtime = cluster({ lbPolicy: FIRST }, endpoints('a', 'b'));
    const tried: (string | undefined)[] = [];
    for (let i = 0; i < 3; i++) {
      const one = runtime.pick(ANY);
      tried.push(one?.address);
      if (one !== undefined) await expect(runtime.send(one, request())).rejects.toThrow();
    }
    expect(tried).toEqual(['a:80', 'b:80', 'a:80']);
  });

  test('shuffles the hosts once for each list', () => {
    const names = ['a', 'b', 'c', 'd'];
    const firsts = Array.from({ length: 40 }, (_, seed) => {
      const hosts = names.map((name) => host(name));
      const picker = createBalancer({ ...FIRST, shuffle: true }, balancerTools(seed)).picker([
        hostSet(hosts),
      ]);
      const first = picker(ANY, 0);
      for (let i = 0; i < 3; i++) expect(picker(ANY, 0)).toBe(first);
      return first?.endpoint.address.address;
    });
    expect([...new Set(firsts)].sort()).toEqual(names);
  });

  test('has a host for each locality where weights choose the locality', () => {
    const zone = (name: string) => ({ region: 'r', zone: name, subZone: '' });
    const given = assignment(
      locality([endpoint('a'), endpoint('b')], { weight: 3, locality: zone('x') }),
      locality([endpoint('c'), endpoint('d')], { weight: 1, locality: zone('y') }),
    );
    const cluster = world().cluster({ lbPolicy: { ...FIRST, locality: { kind: 'weighted' } } }, given);
    const picks = Array.from({ length: 400 }, () => cluster.pick(ANY)?.address);
    expect(picks.filter((one) => one === 'a:80')).toHaveLength(300);
    expect(picks.filter((one) => one === 'c:80')).toHaveLength(100);
  });

  test('goes to another host on a retry', () => {
    const cluster = world().cluster({ lbPolicy: FIRST }, endpoints('a', 'b'));
    const a = cluster.pick(ANY);
    if (a === undefined) throw new Error('no host');
    expect(cluster.pick({ ...ANY, avoid: [a] })?.address).toBe('b:80');
    expect(cluster.pick(ANY)).toBe(a);
  });
});
