import { describe, expect, test } from 'vitest';
import type { Cluster } from '../../../src/model/cluster.js';
import type { ClusterLoadAssignment } from '../../../src/model/endpoint.js';
import type { FilterExtension } from '../../../src/model/filter-extension.js';
import type { Listener } from '../../../src/model/listener.js';
import type { RouteConfiguration } from '../../../src/model/route.js';
import type { Secret } from '../../../src/model/secret.js';
import type { TlsSecrets, UpstreamTls } from '../../../src/model/tls.js';
import type { Found } from '../../../src/xds/found.js';
import type { ResourceView } from '../../../src/xds/resolution.js';
import { resolve } from '../../../src/xds/resolve.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from './fixtures.js';

interface Parts {
  listeners?: Record<string, Found<Listener>>;
  routes?: Record<string, Found<RouteConfiguration>>;
  clusters?: Record<string, Found<Cluster>>;
  assignments?: Record<string, Found<ClusterLoadAssignment>>;
  secrets?: Record<string, Found<Secret>>;
  extensions?: Record<string, Found<FilterExtension>>;
}

function viewOf(parts: Parts): ResourceView {
  return {
    listener: (name) => parts.listeners?.[name] ?? 'pending',
    routes: (name) => parts.routes?.[name] ?? 'pending',
    cluster: (name) => parts.clusters?.[name] ?? 'pending',
    assignment: (name) => parts.assignments?.[name] ?? 'pending',
    secret: (name) => parts.secrets?.[name] ?? 'pending',
    runtime: () => 'absent',
    virtualHosts: () => ({ hosts: [], isPending: false }),
    extension: (name) => parts.extensions?.[name] ?? 'pending',
  };
}

const whole = (): Required<Omit<Parts, 'secrets' | 'extensions'>> => ({
  listeners: { 'a:80': listenerOf('a:80', 'r') },
  routes: { r: routesTo('r', 'c1', 'c2') },
  clusters: { c1: clusterOf('c1'), c2: clusterOf('c2', 'eds-2') },
  assignments: { c1: assignmentOf('c1', 1), 'eds-2': assignmentOf('eds-2', 2) },
});

describe('resolve', () => {
  test('follows listeners to routes, clusters and endpoints', () => {
    const { wanted, missing, snapshot } = resolve(viewOf(whole()), ['a:80']);

    expect([...wanted.routes]).toEqual(['r']);
    expect([...wanted.clusters]).toEqual(['c1', 'c2']);
    expect([...wanted.assignments]).toEqual(['c1', 'eds-2']);
    expect(missing).toEqual([]);
    expect([...snapshot.clusters.keys()]).toEqual(['c1', 'c2']);
    expect(snapshot.outbound.get('a:80')?.routes?.name).toBe('r');
  });

  test('names what is missing at each step', () => {
    const parts = whole();
    delete parts.assignments['eds-2'];

    const { missing, snapshot } = resolve(viewOf(parts), ['a:80']);

    expect(missing).toEqual([{ kind: 'assignment', name: 'eds-2' }]);
    expect(snapshot.outbound.size).toBe(0);
  });

  test('a target that does not exist does not hold up the rest', () => {
    const parts = whole();
    parts.clusters['c2'] = 'absent';
    parts.assignments['c1'] = 'absent';

    const { missing, snapshot } = resolve(viewOf(parts), ['a:80']);

    expect(missing).toEqual([]);
    expect([...snapshot.clusters.keys()]).toEqual(['c1']);
    expect(snapshot.clusters.get('c1')?.assignment).toBeUndefined();
  });

  test('a listener keeps its old form until its new target is there', () => {
    const parts = whole();
    const first = resolve(viewOf(parts), ['a:80']).snapshot;
    parts.routes['r'] = routesTo('r', 'c1', 'c3');

    const waiting = resolve(viewOf(parts), ['a:80'], first);

    expect(waiting.snapshot).toBe(first);
    expect([...waiting.wanted.clusters].sort()).toEqual(['c1', 'c2', 'c3']);
    expect(waiting.missing).toEqual([{ kind: 'cluster', name: 'c3' }]);

    parts.clusters['c3'] = clusterOf('c3');
    parts.assignments['c3'] = assignmentOf('c3', 3);
    const second = resolve(viewOf(parts), ['a:80'], waiting.snapshot);

    expect([...second.snapshot.clusters.keys()].sort()).toEqual(['c1', 'c3']);
    expect([...second.wanted.clusters].sort()).toEqual(['c1', 'c3']);
  });

  test('a cluster whose new endpoint resource is awaited keeps serving its old endpoints', () => {
    const parts = whole();
    const first = resolve(viewOf(parts), ['a:80']).snapshot;
    parts.clusters['c1'] = clusterOf('c1', 'moved');
    parts.assignments['eds-2'] = assignmentOf('eds-2', 22);

    const { snapshot, missing } = resolve(viewOf(parts), ['a:80'], first);

    expect(missing).toEqual([{ kind: 'assignment', name: 'moved' }]);
    expect(snapshot.clusters.get('c1')).toBe(first.clusters.get('c1'));
    expect(snapshot.clusters.get('c2')?.assignment).toBe(parts.assignments['eds-2']);
  });

  test('one slow listener does not hold up the changes of another', () => {
    const parts = whole();
    parts.listeners['b:80'] = listenerOf('b:80', 'rb');
    parts.routes['rb'] = routesTo('rb', 'c1');
    const first = resolve(viewOf(parts), ['a:80', 'b:80']).snapshot;
    parts.routes['rb'] = routesTo('rb', 'slow');
    parts.routes['r'] = routesTo('r', 'c2');

    const { snapshot } = resolve(viewOf(parts), ['a:80', 'b:80'], first);

    expect(snapshot.outbound.get('a:80')?.routes).toBe(parts.routes['r']);
    expect(snapshot.outbound.get('b:80')).toBe(first.outbound.get('b:80'));
  });

  test('a cluster removed under a listener that keeps its old form stays until that form goes', () => {
    const parts = whole();
    const first = resolve(viewOf(parts), ['a:80']).snapshot;
    parts.listeners['a:80'] = listenerOf('a:80', 'r2');
    parts.clusters['c2'] = 'absent';

    const { snapshot } = resolve(viewOf(parts), ['a:80'], first);

    expect(snapshot).toBe(first);
  });

  test('keeps every object that did not change', () => {
    const parts = whole();
    const first = resolve(viewOf(parts), ['a:80']).snapshot;

    expect(resolve(viewOf(parts), ['a:80'], first).snapshot).toBe(first);

    parts.assignments['c1'] = assignmentOf('c1', 9);
    const second = resolve(viewOf(parts), ['a:80'], first).snapshot;
    expect(second).not.toBe(first);
    expect(second.outbound.get('a:80')).toBe(first.outbound.get('a:80'));
    expect(second.clusters.get('c2')).toBe(first.clusters.get('c2'));
    expect(second.clusters.get('c1')).not.toBe(first.clusters.get('c1'));
  });

  test('a refused listener without an old value is owned and answers nothing', () => {
    const { snapshot } = resolve(viewOf({ listeners: { 'a:80': 'refused' } }), ['a:80']);

    expect(snapshot.outbound.get('a:80')).toMatchObject({
      routes: { virtualHosts: [] },
      listener: { name: 'a:80' },
    });
    expect(resolve(viewOf({ listeners: { 'a:80': 'refused' } }), ['a:80'], snapshot).snapshot).toBe(snapshot);
  });
});

describe('secrets of a cluster', () => {
  const tls = (secrets: TlsSecrets): UpstreamTls => ({
    mode: 'simple',
    sni: undefined,
    subjectAltNames: [],
    alpn: [],
    secrets,
  });
  const secret = (pem: string): Secret => ({
    kind: 'validation',
    roots: { kind: 'inline', pem },
    crl: undefined,
    subjectAltNames: [],
  });
  const secured = (): ReturnType<typeof whole> => ({
    ...whole(),
    clusters: {
      c1: { ...clusterOf('c1'), tls: tls({ certificate: 'own', validation: 'roots' }) },
      c2: clusterOf('c2', 'eds-2'),
    },
  });

  test('are asked for, each once, and waited for', () => {
    const { wanted, missing, snapshot } = resolve(viewOf({ ...secured(), secrets: { own: secret('a') } }), [
      'a:80',
    ]);
    expect([...wanted.secrets]).toEqual(['own', 'roots']);
    expect(missing).toEqual([{ kind: 'secret', name: 'roots' }]);
    expect(snapshot.outbound.size).toBe(0);
  });

  test('come along; a new one changes nothing else', () => {
    const parts = secured();
    const first = resolve(viewOf({ ...parts, secrets: { own: secret('a'), roots: secret('b') } }), [
      'a:80',
    ]).snapshot;
    expect([...(first.secrets ?? [])].map(([name]) => name)).toEqual(['own', 'roots']);
    const next = resolve(
      viewOf({ ...parts, secrets: { own: secret('a2'), roots: secret('b') } }),
      ['a:80'],
      first,
    ).snapshot;
    expect(next.secrets?.get('own')).toEqual(secret('a2'));
    expect(next.clusters.get('c1')).toBe(first.clusters.get('c1'));
    expect(next.outbound.get('a:80')).toBe(first.outbound.get('a:80'));
  });

  test('that do not exist hold nothing up', () => {
    const secrets = { own: 'absent', roots: 'absent' } as const;
    const { missing, snapshot } = resolve(viewOf({ ...secured(), secrets }), ['a:80']);
    expect(missing).toEqual([]);
    expect(snapshot.clusters.has('c1')).toBe(true);
    expect(snapshot.secrets).toBeUndefined();
  });

  test('of a cluster that waits for new ones stay asked for', () => {
    const parts = secured();
    const secrets = { own: secret('a'), roots: secret('b') };
    const first = resolve(viewOf({ ...parts, secrets }), ['a:80']).snapshot;
    const changed = { ...parts.clusters, c1: { ...clusterOf('c1'), tls: tls({ certificate: 'other' }) } };
    const { wanted, snapshot } = resolve(viewOf({ ...parts, clusters: changed, secrets }), ['a:80'], first);
    expect([...wanted.secrets].sort()).toEqual(['other', 'own', 'roots']);
    expect(snapshot).toBe(first);
  });
});
