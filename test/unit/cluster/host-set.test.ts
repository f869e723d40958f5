import { describe, expect, test } from 'vitest';
import type { Host } from '../../../src/cluster/host.js';
import { membershipOf, partition, reconcileHosts } from '../../../src/cluster/host-set.js';
import type { ClusterLoadAssignment } from '../../../src/model/endpoint.js';
import { assignment, endpoint, endpoints, locality } from './fixtures.js';

const open = () => ({ service: () => Promise.reject(new Error('no network')), async close() {} });
const reconcile = (known: ReadonlyMap<string, Host>, given: ClusterLoadAssignment | undefined) =>
  reconcileHosts(known, given, open);
const at = (hosts: ReadonlyMap<string, Host>, address: string) => hosts.get(`${address}:80`);

describe('reconciling hosts', () => {
  const first = reconcile(new Map(), endpoints('a', 'b')).membership.hosts;

  test('keeps the object of an address that is still there', () => {
    const { membership, removed } = reconcile(first, endpoints('b', 'c'));
    expect(at(membership.hosts, 'b')).toBe(at(first, 'b'));
    expect(removed).toEqual([at(first, 'a')]);
    expect([...membership.hosts.keys()]).toEqual(['b:80', 'c:80']);
  });

  test('changes weight, health, labels and priority in place', () => {
    const moved = endpoint('a', {
      weight: 7,
      health: 'degraded',
      metadata: { 'envoy.lb': { version: 'v2' } },
    });
    const { membership } = reconcile(first, assignment(locality([moved], { priority: 1 })));
    const host = at(membership.hosts, 'a');
    expect(host).toBe(at(first, 'a'));
    expect(host).toMatchObject({ weight: 7, health: 'degraded', priority: 1, endpoint: moved });
  });

  test('makes a host new when what chooses its TLS changes', () => {
    const meshed = endpoint('a', { transportSocketMatch: { tlsMode: 'istio' } });
    const { membership, removed } = reconcile(first, assignment(locality([meshed])));
    expect(at(membership.hosts, 'a')).not.toBe(at(first, 'a'));
    expect(removed).toEqual([...first.values()]);
  });

  test('counts an address once, where it comes first', () => {
    const given = assignment(
      locality([endpoint('x'), endpoint('x')]),
      locality([endpoint('x')], { priority: 1 }),
    );
    const [high, low] = partition(reconcile(new Map(), given).membership);
    expect(high?.hosts.length).toBe(1);
    expect(low?.hosts.length).toBe(0);
  });

  test('removes everybody without an assignment', () => {
    const { membership, removed } = reconcile(first, undefined);
    expect(membership.hosts.size).toBe(0);
    expect(removed.length).toBe(2);
  });
});

describe('sorting hosts by health', () => {
  test('takes draining hosts out of the count, unhealthy ones not', () => {
    const given = assignment(
      locality([
        endpoint('a'),
        endpoint('b', { health: 'degraded' }),
        endpoint('c', { health: 'timeout' }),
        endpoint('d', { health: 'draining' }),
      ]),
    );
    const [set] = partition(reconcile(new Map(), given).membership);
    expect(set).toMatchObject({
      excluded: 1,
      healthy: [{ address: 'a:80' }],
      degraded: [{ address: 'b:80' }],
    });
    expect(set?.hosts.length).toBe(4);
  });

  test('counts an ejected host as unhealthy', () => {
    const { membership } = reconcile(new Map(), endpoints('a', 'b'));
    for (const host of membership.hosts.values()) host.ejected = host.address === 'a:80';
    expect(partition(membership)[0]?.healthy).toMatchObject([{ address: 'b:80' }]);
  });

  test('groups hosts by the priority they had when the assignment is not at hand', () => {
    const given = assignment(locality([endpoint('a')]), locality([endpoint('b')], { priority: 2 }));
    const sets = partition(membershipOf(reconcile(new Map(), given).membership.hosts));
    expect(sets.map(({ hosts }) => hosts.map(({ address }) => address))).toEqual([['a:80'], [], ['b:80']]);
  });
});
