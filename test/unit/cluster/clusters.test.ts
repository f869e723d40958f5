import { describe, expect, test } from 'vitest';
import { createClusters } from '../../../src/cluster/clusters.js';
import type { Cluster } from '../../../src/model/cluster.js';
import type { ClusterLoadAssignment } from '../../../src/model/endpoint.js';
import type { ResolvedCluster } from '../../../src/model/snapshot.js';
import { Completion } from '../../../src/service/completion.js';
import { ANY, clusterConfig, endpoints, outlierConfig, request, world } from './fixtures.js';

const resolved = (
  config: Partial<Cluster>,
  assignment: ClusterLoadAssignment | undefined,
): ResolvedCluster => ({
  cluster: clusterConfig(config),
  assignment,
});
const named = (...list: readonly ResolvedCluster[]) => new Map(list.map((one) => [one.cluster.name, one]));

describe('reconciling clusters', () => {
  test('makes what is new and drops what is gone', async () => {
    const clusters = createClusters(world().tools);
    clusters.reconcile(
      named(resolved({ name: 'a' }, endpoints('x')), resolved({ name: 'b' }, endpoints('y'))),
    );
    expect([...clusters.values()].map(({ name }) => name)).toEqual(['a', 'b']);
    clusters.reconcile(named(resolved({ name: 'b' }, endpoints('y'))));
    expect(clusters.get('a')).toBeUndefined();
    expect(clusters.get('b')?.pick(ANY)?.address).toBe('y:80');
    await clusters.close();
  });

  test('keeps the object, its hosts and breakers when the configuration is equal', async () => {
    const clusters = createClusters(world().tools);
    clusters.reconcile(named(resolved({}, endpoints('x'))));
    const before = clusters.get('reviews');
    const host = before?.pick(ANY);
    before?.breakers.default.requests.tryAcquire();
    clusters.reconcile(named(resolved({}, endpoints('x', 'y'))));
    expect(clusters.get('reviews')).toBe(before);
    expect(before?.hosts.get('x:80')).toBe(host);
    expect(before?.hosts.size).toBe(2);
    expect(before?.breakers.default.requests.active).toBe(1);
    await clusters.close();
  });

  test('takes hosts over with their connections when the configuration changes', async () => {
    const { tools, network } = world();
    const clusters = createClusters(tools);
    clusters.reconcile(named(resolved({}, endpoints('x', 'y'))));
    const before = clusters.get('reviews')!;
    for (let i = 0; i < 2; i++) await before.send(before.pick(ANY)!, request());
    const transport = network.open.get('x:80');
    clusters.reconcile(named(resolved({ lbPolicy: { kind: 'random' } }, endpoints('x'))));
    const after = clusters.get('reviews')!;
    expect(after).not.toBe(before);
    expect(after.hosts.get('x:80')).toBe(before.hosts.get('x:80'));
    expect([...network.open]).toEqual([['x:80', transport]]);
    // A request that was routed before the change still arrives.
    expect((await before.send(before.hosts.get('x:80')!, request())).status).toBe(200);
    await clusters.close();
    expect(network.open.size).toBe(0);
  });

  test('makes hosts new when their connections would be made another way', async () => {
    const { tools, network } = world();
    const clusters = createClusters(tools);
    clusters.reconcile(named(resolved({}, endpoints('x'))));
    const before = clusters.get('reviews')!;
    await before.send(before.pick(ANY)!, request());
    const tls = { mode: 'mesh', sni: undefined, subjectAltNames: [], alpn: [] } as const;
    clusters.reconcile(named(resolved({ tls }, endpoints('x'))));
    expect(network.open.size).toBe(0);
    const after = clusters.get('reviews')!;
    await after.send(after.pick(ANY)!, request());
    expect(network.open.get('x:80')?.tls).toEqual(tls);
    await clusters.close();
  });

  test('keeps a host ejected over a change and takes it back in time', async () => {
    const { tools, clock, ejections } = world({ status: 500 });
    const clusters = createClusters(tools);
    const outlierDetection = outlierConfig({ maxEjectionPercent: 50 });
    clusters.reconcile(named(resolved({ outlierDetection }, endpoints('x', 'y'))));
    const before = clusters.get('reviews')!;
    const victim = before.hosts.get('x:80')!;
    for (let i = 0; i < 5; i++) await before.send(victim, request());
    expect(victim.ejected).toBe(true);
    clusters.reconcile(
      named(
        resolved({ outlierDetection, connectTimeoutMs: 1000, panicThresholdPercent: 0 }, endpoints('x', 'y')),
      ),
    );
    const after = clusters.get('reviews')!;
    expect(after.hosts.get('x:80')).toBe(victim);
    expect(Array.from({ length: 4 }, () => after.pick(ANY)?.address)).toEqual(Array(4).fill('y:80'));
    await clock.advance(30_000);
    expect(ejections.at(-1)).toMatchObject({ action: 'uneject', host: 'x:80' });
    await clusters.close();
    expect(clock.pending).toBe(0);
  });

  test('takes ejected hosts back at once when outlier detection is switched off', async () => {
    const { tools } = world({ status: 500 });
    const clusters = createClusters(tools);
    clusters.reconcile(named(resolved({ outlierDetection: outlierConfig() }, endpoints('x', 'y'))));
    const before = clusters.get('reviews')!;
    const victim = before.hosts.get('x:80')!;
    for (let i = 0; i < 5; i++) await before.send(victim, request());
    clusters.reconcile(named(resolved({}, endpoints('x', 'y'))));
    expect(victim.ejected).toBe(false);
    await clusters.close();
  });

  test('lets running exchanges of a gone cluster end', async () => {
    const completion = new Completion();
    const { tools } = world({ status: 200, completion });
    const clusters = createClusters(tools);
    clusters.reconcile(named(resolved({}, endpoints('x'))));
    const runtime = clusters.get('reviews')!;
    const host = runtime.pick(ANY)!;
    const response = await runtime.send(host, request());
    clusters.reconcile(new Map());
    expect(response.completion.end).toBeUndefined();
    completion.settle();
    expect(host.activeRequests).toBe(0);
    await clusters.close();
    await clusters.close();
  });
});
