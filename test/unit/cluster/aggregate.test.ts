import { describe, expect, test } from 'vitest';
import { createClusters } from '../../../src/cluster/clusters.js';
import type { Cluster } from '../../../src/model/cluster.js';
import type { ClusterLoadAssignment } from '../../../src/model/endpoint.js';
import type { ResolvedCluster } from '../../../src/model/snapshot.js';
import { ANY, assignment, clusterConfig, endpoint, endpoints, locality, request, world } from './fixtures.js';

function aggregate(name: string, members: readonly string[]): Cluster {
  return clusterConfig({
    name,
    discovery: { kind: 'aggregate', clusters: members },
    lbPolicy: { kind: 'cluster-provided' },
  });
}

function scene(members: Readonly<Record<string, ClusterLoadAssignment>>, more: readonly Cluster[] = []) {
  const base = world();
  const clusters = createClusters(base.tools);
  const apply = (now: Readonly<Record<string, ClusterLoadAssignment>>) =>
    clusters.reconcile(
      new Map<string, ResolvedCluster>([
        ['all', { cluster: aggregate('all', ['a', 'b']), assignment: undefined }],
        ...more.map((cluster) => [cluster.name, { cluster, assignment: undefined }] as const),
        ...Object.entries(now).map(
          ([name, given]) => [name, { cluster: clusterConfig({ name }), assignment: given }] as const,
        ),
      ]),
    );
  apply(members);
  const all = clusters.get('all')!;
  const share = (count = 2000) => {
    const picked: Record<string, number> = {};
    for (let i = 0; i < count; i++) {
      const key = all.pick(ANY)?.address.split(':')[0] ?? 'none';
      picked[key] = (picked[key] ?? 0) + 1 / count;
    }
    return picked;
  };
  return { ...base, clusters, all, apply, share };
}

const health = (names: string, sick: number): ClusterLoadAssignment =>
  assignment(
    locality([...names].map((name, i) => endpoint(name, { health: i < sick ? 'unhealthy' : 'healthy' }))),
  );

describe('an aggregate cluster', () => {
  test('sends everything to its first member while that can take it', () => {
    const { share } = scene({ a: endpoints('a1', 'a2'), b: endpoints('b1') });
    expect(Object.keys(share()).sort()).toEqual(['a1', 'a2']);
  });

  test('fails over as far as the first member lacks hosts, and wholly when it has none', () => {
    // Of four hosts two are left: 1.4 x 50 % = 70 %.
    const { share, apply } = scene({ a: health('wxyz', 2), b: endpoints('b1') });
    expect(share()['b1']).toBeCloseTo(0.3, 1);
    apply({ a: health('wxyz', 4), b: endpoints('b1') });
    expect(share()).toEqual({ b1: expect.closeTo(1, 5) });
    apply({ a: health('wxyz', 0), b: endpoints('b1') });
    expect(share()['b1']).toBeUndefined();
    apply({ b: endpoints('b2') });
    expect(share()).toEqual({ b2: expect.closeTo(1, 5) });
  });

  test('the priorities of its members follow each other', () => {
    const both = assignment(
      locality([endpoint('p', { health: 'unhealthy' })]),
      locality([endpoint('q')], { priority: 1 }),
    );
    const { share } = scene({ a: both, b: endpoints('b1') });
    expect(share()).toEqual({ q: expect.closeTo(1, 5) });
  });

  test('degraded hosts of an earlier member come after healthy ones of a later', () => {
    const degraded = assignment(locality([endpoint('d', { health: 'degraded' })]));
    const { share, apply } = scene({ a: degraded, b: endpoints('b1') });
    expect(share()).toEqual({ b1: expect.closeTo(1, 5) });
    apply({ a: degraded, b: health('x', 1) });
    expect(share()).toEqual({ d: expect.closeTo(1, 5) });
  });

  test('its members send, count and eject', async () => {
    const { all, clusters } = scene({ a: endpoints('a1'), b: endpoints('b1') });
    const host = all.pick(ANY)!;
    expect(all.memberOf(host)).toBe(clusters.get('a'));
    await all.send(host, request());
    expect(clusters.get('a')?.stats().hosts[0]).toMatchObject({ requests: 1 });
    expect(all.stats().hosts).toEqual([]);
    expect([...all.hosts.keys()]).toEqual(['a1:80', 'b1:80']);
  });

  test('nests, counts each member once, and survives circles', () => {
    const { share } = scene({ c: endpoints('c1') }, [
      aggregate('a', ['b', 'all', 'c']),
      aggregate('b', ['a', 'c', 'missing']),
    ]);
    expect(share()).toEqual({ c1: expect.closeTo(1, 5) });
  });

  test('without members it has no host', () => {
    const { share } = scene({});
    expect(share(5)).toEqual({ none: expect.closeTo(1, 5) });
  });
});
