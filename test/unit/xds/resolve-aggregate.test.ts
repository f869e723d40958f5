import { describe, expect, test } from 'vitest';
import type { Cluster } from '../../../src/model/cluster.js';
import { EMPTY_SNAPSHOT, type Snapshot } from '../../../src/model/snapshot.js';
import type { Found } from '../../../src/xds/found.js';
import type { ResourceView } from '../../../src/xds/resolution.js';
import { resolve } from '../../../src/xds/resolve.js';
import { forward, host } from '../../integration/support/static-mesh.js';
import { clusterConfig } from '../cluster/fixtures.js';

function aggregate(name: string, clusters: readonly string[]): Cluster {
  return clusterConfig({ name, discovery: { kind: 'aggregate', clusters } });
}

function leaf(name: string): Cluster {
  return clusterConfig({ name, discovery: { kind: 'eds', serviceName: name } });
}

function resolveWith(
  clusters: Readonly<Record<string, Found<Cluster>>>,
  previous: Snapshot = EMPTY_SNAPSHOT,
) {
  const { listener, routes } = host('reviews:80', [forward('all')]);
  const view: ResourceView = {
    listener: () => listener,
    routes: () => routes ?? 'absent',
    cluster: (name) => clusters[name] ?? 'absent',
    assignment: (name) => ({
      clusterName: name,
      localities: [],
      overprovisioningFactor: 140,
      weightedPriorityHealth: false,
    }),
    secret: () => 'absent',
    runtime: () => 'absent',
    virtualHosts: () => ({ hosts: [], isPending: false }),
    extension: () => 'absent',
  };
  return resolve(view, ['reviews:80'], previous);
}

describe('an aggregate cluster in the configuration', () => {
  test('brings its members and their endpoints', () => {
    const { wanted, snapshot } = resolveWith({
      all: aggregate('all', ['a', 'b']),
      a: leaf('a'),
      b: leaf('b'),
    });
    expect([...wanted.clusters].sort()).toEqual(['a', 'all', 'b']);
    expect([...wanted.assignments].sort()).toEqual(['a', 'b']);
    expect([...snapshot.clusters.keys()].sort()).toEqual(['a', 'all', 'b']);
  });

  test('is waited for until its members are answered; one that does not exist is no member', () => {
    const clusters = { all: aggregate('all', ['a', 'b']), a: leaf('a') };
    const waiting = resolveWith({ ...clusters, b: 'pending' });
    expect(waiting.snapshot.outbound.size).toBe(0);
    expect(waiting.missing).toEqual([{ kind: 'cluster', name: 'b' }]);
    const { snapshot } = resolveWith({ ...clusters, b: 'absent' });
    expect([...snapshot.clusters.keys()].sort()).toEqual(['a', 'all']);
    // A new member of one that serves is waited for, while the old form serves.
    const grown = resolveWith({ all: aggregate('all', ['a', 'c']), a: clusters.a, c: 'pending' }, snapshot);
    expect(grown.snapshot.clusters.get('all')).toBe(snapshot.clusters.get('all'));
    expect(grown.snapshot.outbound.size).toBe(1);
  });

  test('may go round in circles, and in diamonds of any depth, in linear time', () => {
    const circle = resolveWith({
      all: aggregate('all', ['a', 'all']),
      a: aggregate('a', ['all', 'b']),
      b: leaf('b'),
    });
    expect([...circle.snapshot.clusters.keys()].sort()).toEqual(['a', 'all', 'b']);
    const diamonds: Record<string, Cluster> = { all: aggregate('all', ['0a', '0b']) };
    for (let level = 0; level < 60; level++) {
      for (const side of ['a', 'b']) {
        const name = `${level}${side}`;
        diamonds[name] = level === 59 ? leaf(name) : aggregate(name, [`${level + 1}a`, `${level + 1}b`]);
      }
    }
    expect(resolveWith(diamonds).snapshot.clusters.size).toBe(121);
  });
});
