import { describe, expect, test } from 'vitest';
import { createCluster } from '../../../../src/cluster/cluster.js';
import type { HostSet } from '../../../../src/cluster/host-set.js';
import { partition, reconcileHosts } from '../../../../src/cluster/host-set.js';
import { createLbCounts } from '../../../../src/cluster/lb/lb-counts.js';
import { createBalancer } from '../../../../src/cluster/lb/policies.js';
import { planZones } from '../../../../src/cluster/lb/zone-plan.js';
import { LocalZone } from '../../../../src/cluster/zone.js';
import type { Endpoint } from '../../../../src/model/endpoint.js';
import { DEFAULT_ZONE_AWARE, type ZoneAware } from '../../../../src/model/lb-policy.js';
import { ANY, assignment, balancerTools, clusterConfig, endpoint, locality, world } from '../fixtures.js';

const place = (zone: string) => ({ region: 'r', zone, subZone: '' });
const noNetwork = () => ({ service: () => Promise.reject(new Error('no network')), async close() {} });
let next = 0;

/** Hosts by zone: a number, or endpoints. */
function setOf(zones: Readonly<Record<string, number | readonly Partial<Endpoint>[]>>): HostSet {
  const localities = Object.entries(zones).map(([zone, members]) => {
    const list = typeof members === 'number' ? Array.from({ length: members }, () => ({})) : members;
    const endpoints = list.map((more) => endpoint(`10.0.${next >> 8}.${next++ & 255}`, more));
    return locality(endpoints, { locality: place(zone) });
  });
  const { membership } = reconcileHosts(new Map(), assignment(...localities), noNetwork);
  return partition(membership)[0]!;
}

const plan = (set: HostSet, local: HostSet | undefined, more: Partial<ZoneAware> = {}) =>
  planZones(set, local, place('a'), { ...DEFAULT_ZONE_AWARE, ...more }, createLbCounts());

describe('zone-aware routing does not apply', () => {
  const upstream = setOf({ a: 3, b: 3 });
  const local = setOf({ a: 1, b: 1 });

  test.each([
    ['while the local cluster is not known', upstream, undefined, {}],
    ['to an upstream in one zone', setOf({ a: 6 }), local, {}],
    ['with callers in one zone', upstream, setOf({ a: 2 }), {}],
    ['without callers in the own zone', upstream, setOf({ b: 1, c: 1 }), {}],
    ['to a small upstream', setOf({ a: 3, b: 2 }), local, {}],
    ['to an upstream below the configured size', upstream, local, { minClusterSize: 7 }],
  ] as const)('%s', (_, set, callers, more) => {
    expect(plan(set, callers, more)).toBeUndefined();
  });
});

describe('a plan of zones', () => {
  test('keeps everything in the own zone when it has its share', () => {
    expect(plan(setOf({ b: 3, a: 3 }), setOf({ a: 1, b: 1 }))).toMatchObject({ direct: true });
    expect(plan(setOf({ b: 4, a: 2 }), setOf({ a: 1, b: 1 }))).toMatchObject({ direct: false });
  });

  test('spreads the rest by what other zones have left', () => {
    // Envoy's own example: callers 40 40 20 percent, upstream 25 50 25.
    const found = plan(setOf({ c: 2, a: 2, b: 4 }), setOf({ a: 4, b: 4, c: 2 }));
    expect(found).toMatchObject({ direct: false, localShare: 6250, residual: [0, 1000, 1500] });
    expect(found?.order.map(({ locality: { zone } }) => zone)).toEqual(['a', 'b', 'c']);
  });

  test('can be forced to the own zone', () => {
    const [upstream, local] = [setOf({ a: 1, b: 9 }), setOf({ a: 1, b: 1 })];
    expect(plan(upstream, local)).toMatchObject({ direct: false });
    expect(plan(upstream, local, { forceLocalityDirect: true })).toMatchObject({ direct: true });
    expect(plan(upstream, local, { forceLocalZoneMinSize: 1 })).toMatchObject({ direct: true });
    expect(plan(upstream, local, { forceLocalZoneMinSize: 2 })).toMatchObject({ direct: false });
    expect(plan(upstream, setOf({ a: 2 }), { forceLocalZoneMinSize: 1 })).toMatchObject({ direct: true });
  });

  test('compares zones by weight where that is asked for', () => {
    const upstream = setOf({ a: [{ weight: 5 }], b: Array.from({ length: 5 }, () => ({})) });
    const local = setOf({ a: 1, b: 1 });
    expect(plan(upstream, local)).toMatchObject({ direct: false });
    expect(plan(upstream, local, { basis: 'weight' })).toMatchObject({ direct: true });
  });

  test('sends all of it away when the own zone has no upstream', () => {
    const found = plan(setOf({ b: 3, c: 3 }), setOf({ a: 1, b: 1 }));
    expect(found).toMatchObject({ direct: false, localShare: 0, residual: [0, 5000] });
  });
});

describe('the picker', () => {
  test('counts as Envoy does how it chose the zone', () => {
    const [local, counts] = [new LocalZone('me', place('a')), createLbCounts()];
    local.publish(setOf({ a: 1, b: 9 }));
    const upstream = setOf({ a: 3, b: 3 });
    const pick = (set: HostSet, times: number) => {
      const picker = createBalancer({ kind: 'random' }, balancerTools(5, { zone: local, counts })).picker([
        set,
      ]);
      for (let i = 0; i < times; i++) picker(ANY, 0);
    };
    pick(upstream, 10);
    expect(counts).toMatchObject({ zoneRoutingAllDirectly: 10, recalculateZoneStructures: 1 });
    local.publish(setOf({ a: 3, b: 1 }));
    pick(upstream, 100);
    const { zoneRoutingSampled, zoneRoutingCrossZone } = counts;
    expect(zoneRoutingSampled + zoneRoutingCrossZone).toBe(100);
    expect(zoneRoutingSampled).toBeGreaterThan(50);
    pick(setOf({ a: 1, b: 1 }), 5);
    expect(counts).toMatchObject({ zoneClusterTooSmall: 1, zoneNoCapacityLeft: 0, healthyPanic: 0 });
    const sick = { health: 'unhealthy' } as const;
    pick(setOf({ a: [sick, sick, {}] }), 7);
    expect(counts.healthyPanic).toBe(7);
    local.publish(setOf({ a: [{}, sick, sick], b: [sick] }));
    pick(upstream, 4);
    expect(counts.localClusterNotOk).toBe(4);
  });

  const zone = () => new LocalZone('me', place('a'));
  const shares = (set: HostSet, local: LocalZone, more: Partial<ZoneAware> = {}, picks = 4000) => {
    const policy = { kind: 'random' as const, locality: { ...DEFAULT_ZONE_AWARE, ...more } };
    const picker = createBalancer(policy, balancerTools(5, { zone: local })).picker([set]);
    const counts: Record<string, number> = {};
    for (let i = 0; i < picks; i++) {
      const name = picker(ANY, 0)?.locality.zone ?? 'nobody';
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  };

  test('follows the plan, and the local cluster when it changes', () => {
    const local = zone();
    const upstream = setOf({ a: 2, b: 4, c: 2 });
    expect(Object.keys(shares(upstream, local)).sort()).toEqual(['a', 'b', 'c']);
    local.publish(setOf({ a: 4, b: 4, c: 2 }));
    const { a = 0, b = 0, c = 0 } = shares(upstream, local);
    expect(a / 4000).toBeCloseTo(0.625, 1);
    expect(b / c).toBeGreaterThan(1.6);
    expect(b / c).toBeLessThan(2.5);
    local.publish(setOf({ a: 1, b: 9 }));
    expect(shares(upstream, local)).toEqual({ a: 4000 });
  });

  test('holds for a part of the requests only', () => {
    const local = zone();
    local.publish(setOf({ a: 1, b: 9 }));
    const { a = 0 } = shares(setOf({ a: 3, b: 3 }), local, { routingEnabledPercent: 50 });
    expect(a / 4000).toBeCloseTo(0.75, 1);
  });

  test('pauses, or fails, while the local cluster is in panic', () => {
    const local = zone();
    const sick = { health: 'unhealthy' } as const;
    local.publish(setOf({ a: [{}, sick, sick], b: [sick] }));
    expect(Object.keys(shares(setOf({ a: 3, b: 3 }), local)).sort()).toEqual(['a', 'b']);
    expect(shares(setOf({ a: 3, b: 3 }), local, { failTrafficOnPanic: true }, 10)).toEqual({ nobody: 10 });
  });

  test('fails in a panic of the upstream where that is asked for', () => {
    const sick = { health: 'unhealthy' } as const;
    const set = setOf({ a: [sick, sick, {}] });
    expect(shares(set, zone(), {}, 30)).toEqual({ a: 30 });
    expect(shares(set, zone(), { failTrafficOnPanic: true }, 30)).toEqual({ nobody: 30 });
  });
});

test('the local cluster tells the others where callers are', () => {
  const local = new LocalZone('reviews', place('a'));
  const tools = { ...world().tools, zone: local };
  const given = assignment(locality([endpoint('a')], { locality: place('a') }));
  createCluster({ cluster: clusterConfig({ name: 'other' }), assignment: given }, tools);
  expect(local.set).toBeUndefined();
  createCluster({ cluster: clusterConfig(), assignment: given }, tools);
  expect(local.set?.hosts).toHaveLength(1);
});
