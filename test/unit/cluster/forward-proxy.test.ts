import { describe, expect, test } from 'vitest';
import type { ClusterRuntime } from '../../../src/cluster/cluster.js';
import { createClusters } from '../../../src/cluster/clusters.js';
import type { Cluster, ForwardProxyDiscovery } from '../../../src/model/cluster.js';
import { Abort } from '../../../src/runtime/abort.js';
import { ANY, clusterConfig, request, world } from './fixtures.js';

const DISCOVERY: ForwardProxyDiscovery = {
  kind: 'forward-proxy',
  cache: {
    name: 'cache',
    lookupFamily: undefined,
    refreshRateMs: 60_000,
    minRefreshRateMs: 5000,
    failureRefresh: undefined,
    hostTtlMs: 90_000,
    maxHosts: 10,
    maxPendingRequests: 10,
    preresolve: [],
    queryTimeoutMs: 5000,
  },
  allowInsecure: true,
};
const PROXY: Partial<Cluster> = { discovery: DISCOVERY, lbPolicy: { kind: 'cluster-provided' } };

function proxies(...names: readonly string[]) {
  const { tools, network, clock } = world();
  const addresses = new Map([['a', '10.0.0.1']]);
  const clusters = createClusters({
    ...tools,
    resolveName: async (name) => {
      const address = addresses.get(name);
      if (address === undefined) throw new Error('ENOTFOUND');
      return [address];
    },
  });
  const apply = (change: Partial<Cluster> = {}) =>
    clusters.reconcile(
      new Map(
        names.map((name) => [
          name,
          { cluster: clusterConfig({ ...PROXY, ...change, name }), assignment: undefined },
        ]),
      ),
    );
  apply();
  const of = (name: string): ClusterRuntime => {
    const found = clusters.get(name);
    if (found === undefined) throw new Error(`no cluster ${name}`);
    return found;
  };
  return { clusters, of, addresses, network, clock, apply };
}

const pick = (cluster: ClusterRuntime, authority: string) =>
  cluster.pick({ ...ANY, request: request({ authority }) });
const resolve = (cluster: ClusterRuntime, authority: string) =>
  cluster.forwardProxy?.resolve(authority, new Abort());

describe('a dynamic forward proxy', () => {
  test('has a host for a name once it is resolved', async () => {
    const { of, clusters } = proxies('p');
    expect(pick(of('p'), 'a')).toBeUndefined();
    await resolve(of('p'), 'A:80');
    const host = pick(of('p'), 'a');
    expect(host).toMatchObject({ address: '10.0.0.1:80', hostname: 'a' });
    expect(pick(of('p'), 'a:80')).toBe(host);
    expect(pick(of('p'), 'a:81')).toBeUndefined();
    expect(
      of('p')
        .stats()
        .hosts.map(({ address }) => address),
    ).toEqual(['10.0.0.1:80']);
    await clusters.close();
  });

  test('goes to port 443 with TLS', async () => {
    const { of, apply, clusters } = proxies('p');
    apply({
      tls: { mode: 'simple', roots: 'system', sni: undefined, subjectAltNames: [], alpn: [] } as never,
    });
    await resolve(of('p'), 'a');
    expect(pick(of('p'), 'a')?.address).toBe('10.0.0.1:443');
    await clusters.close();
  });

  test('takes the name from filter state when it is there', async () => {
    const { of, clusters } = proxies('p');
    await resolve(of('p'), 'a:8080');
    const asked = request({ authority: 'elsewhere' });
    asked.context.filterState = new Map<string, unknown>([
      ['envoy.upstream.dynamic_host', 'a'],
      ['envoy.upstream.dynamic_port', '8080'],
    ]);
    expect(of('p').pick({ ...ANY, request: asked })?.address).toBe('10.0.0.1:8080');
    await clusters.close();
  });

  test('moves to the address that a name has now, and forgets names', async () => {
    const { of, addresses, clock, network, clusters } = proxies('p');
    await resolve(of('p'), 'a');
    const old = pick(of('p'), 'a');
    if (old === undefined) throw new Error('no host');
    await of('p').send(old, request());
    addresses.set('a', '10.0.0.9');
    await clock.advance(60_000);
    expect(pick(of('p'), 'a')?.address).toBe('10.0.0.9:80');
    expect(old.isRetired).toBe(true);
    expect([...network.open.keys()]).toEqual([]);
    await clock.advance(180_000);
    expect(of('p').hosts.size).toBe(0);
    expect(pick(of('p'), 'a')).toBeUndefined();
    await clusters.close();
    expect(clock.pending).toBe(0);
  });

  test('has nobody for a host that is ejected', async () => {
    const { of, clusters } = proxies('p');
    await resolve(of('p'), 'a');
    const host = pick(of('p'), 'a');
    if (host === undefined) throw new Error('no host');
    host.ejected = true;
    expect(pick(of('p'), 'a')).toBeUndefined();
    await clusters.close();
  });

  test('shares names with others of the same cache, and with its successor', async () => {
    const { of, clusters, apply } = proxies('p', 'q');
    await resolve(of('p'), 'a');
    expect(pick(of('q'), 'a')?.address).toBe('10.0.0.1:80');
    const before = of('p');
    apply({ connectTimeoutMs: 1 });
    expect(of('p')).not.toBe(before);
    expect(pick(of('p'), 'a')?.address).toBe('10.0.0.1:80');
    await clusters.close();
  });
});
