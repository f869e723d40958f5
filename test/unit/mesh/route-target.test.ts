import { beforeAll, describe, expect, test } from 'vitest';
import { type FilterConfig, NO_OVERRIDES } from '../../../src/model/filter-config.js';
import type { Route, VirtualHost } from '../../../src/model/route.js';
import { loadHashes, xxHash64 } from '../../../src/runtime/hash.js';
import { createExchange } from '../../../src/service/context.js';
import { cluster, endpoint, forward, host, snapshotOf } from '../../integration/support/static-mesh.js';
import { createDataPath, summaryOf } from './support.js';

/** A mesh with the host `web` and clusters v1, v2 at ports 1, 2; `extra` is known by another host only. */
function scene(routes: readonly Route[], change: Partial<VirtualHost> = {}) {
  const web = host('web:80', routes);
  const table = web.routes === undefined ? undefined : { ...web.routes };
  const virtualHosts = table?.virtualHosts.map((one) => ({ ...one, ...change })) ?? [];
  const other = host('other:80', [forward('extra')]);
  const path = createDataPath(
    snapshotOf(
      [table === undefined ? web : { ...web, routes: { ...table, virtualHosts } }, other],
      ['v1', 'v2', 'extra'].map((name, index) => cluster(name, [endpoint(index + 1)])),
    ),
  );
  for (const port of [1, 2, 3])
    path.network.serve(`127.0.0.1:${port}`, { status: 200, body: `port ${port}` });
  return path;
}

beforeAll(loadHashes);

describe('a cluster that a header names', () => {
  const named = forward('', { cluster: { kind: 'header', name: 'x-to' } });

  test('is taken by its first value; the clusters of other hosts are there, too', async () => {
    const path = scene([named]);
    const to = (name: string) => summaryOf(path.send('http://web', { header: { 'x-to': name } }));
    expect(await to('extra')).toEqual([200, undefined, 'port 3']);
    expect(await to('extra')).toEqual([200, undefined, 'port 3']);
  });

  test('is missing without the header, or when there is no such cluster: 503 or as the route says, NC', async () => {
    const path = scene([named]);
    expect(await summaryOf(path.send('http://web'))).toEqual([503, 'INMESH_NO_CLUSTER', '']);
    const other = scene([
      forward('', { cluster: { kind: 'header', name: 'x-to' }, clusterNotFoundStatus: 404 }),
    ]);
    const header = { 'x-to': 'none' };
    expect(await summaryOf(other.send('http://web', { header }))).toEqual([404, 'INMESH_NO_CLUSTER', '']);
    const gone = scene([forward('gone', { clusterNotFoundStatus: 500 })]);
    expect(await summaryOf(gone.send('http://web'))).toEqual([500, 'INMESH_NO_CLUSTER', '']);
  });
});

describe('weighted clusters', () => {
  const one = (name: string, weight: number) => ({ name, weight, filterOverrides: NO_OVERRIDES });

  test('may be named by headers each', async () => {
    const weighted = {
      kind: 'weighted' as const,
      clusters: [{ ...one('', 1), clusterHeader: 'x-to' }, one('v1', 0)],
      totalWeight: 1,
    };
    const path = scene([forward('', { cluster: weighted })]);
    const header = { 'x-to': 'v2' };
    expect(await summaryOf(path.send('http://web', { header }))).toEqual([200, undefined, 'port 2']);
    expect(await summaryOf(path.send('http://web'))).toEqual([503, 'INMESH_NO_CLUSTER', '']);
  });

  test('are chosen by the route’s hash policies when they say so', async () => {
    const path = scene([
      forward('', {
        cluster: {
          kind: 'weighted',
          clusters: [one('v1', 1), one('v2', 1)],
          totalWeight: 2,
          choice: { kind: 'hash' },
        },
        hashPolicies: [{ source: { kind: 'header', name: 'x-user' }, terminal: false }],
      }),
    ]);
    for (const user of ['a', 'b', 'c', 'd']) {
      const port = 1 + Number(xxHash64(user) % 2n);
      const answer = await summaryOf(path.send('http://web', { header: { 'x-user': user } }));
      expect(answer[2]).toBe(`port ${port}`);
    }
  });
});

describe('a virtual host that requires TLS', () => {
  const elsewhere: Route = {
    ...forward('v1'),
    match: { ...forward('v1').match, path: { kind: 'path', value: '/only', caseSensitive: true } },
  };

  test('sends plaintext to https before a route is looked for', async () => {
    const path = scene([elsewhere], { requireTls: 'all' });
    const response = await path.send('http://web', { authority: 'web:80', path: '/none?q' });
    expect([response.status, response.headers.get('location')]).toEqual([301, 'https://web:80/none?q']);
  });

  test('lets https through, and internal requests where only external ones must have it', async () => {
    const all = scene([elsewhere], { requireTls: 'all' });
    expect((await all.send('http://web', { scheme: 'https', path: '/only' })).status).toBe(200);
    const header = { 'x-envoy-internal': 'true' };
    expect((await all.send('http://web', { header, path: '/only' })).status).toBe(301);
    const external = scene([elsewhere], { requireTls: 'external-only' });
    expect((await external.send('http://web', { header, path: '/only' })).status).toBe(200);
    expect((await external.send('http://web', { path: '/only' })).status).toBe(301);
  });
});

describe('what a table says for all its routes', () => {
  test('filter configuration holds where nothing more specific is', async () => {
    const abort = (code: number): FilterConfig => ({
      kind: 'fault',
      delay: undefined,
      abort: { status: { kind: 'http', code }, percentage: { numerator: 100, denominator: 100 } },
      upstreamCluster: '',
      headers: [],
      maxActiveFaults: undefined,
    });
    const [own, inherited] = [forward('v1'), forward('v1')];
    const web = host('web:80', [
      {
        ...own,
        match: { ...own.match, path: { kind: 'path', value: '/own', caseSensitive: true } },
        filterOverrides: new Map([['fault', abort(418)]]),
      },
      inherited,
    ]);
    const filters = [
      { name: 'fault', config: { ...abort(500), abort: undefined } as FilterConfig },
      { name: 'router', config: { kind: 'router' } as const },
    ];
    const routes = web.routes && { ...web.routes, filterOverrides: new Map([['fault', abort(503)]]) };
    const listener = { ...web.listener, http: { ...web.listener.http, filters } };
    const path = createDataPath(snapshotOf([{ listener, routes }], [cluster('v1', [endpoint(1)])]));
    expect((await path.send('http://web', { path: '/own' })).status).toBe(418);
    expect((await path.send('http://web', { path: '/' })).status).toBe(503);
  });

  test('mirrors get copies of requests whose route and virtual host have none', async () => {
    const web = host('web:80', [forward('v1')]);
    const mirrors = [
      {
        target: { kind: 'cluster' as const, name: 'v2' },
        fraction: undefined,
        traceSampled: undefined,
        hostSuffix: true,
      },
    ];
    const routes = web.routes && { ...web.routes, mirrors };
    const clusters = [cluster('v1', [endpoint(1)]), cluster('v2', [endpoint(2)])];
    const path = createDataPath(snapshotOf([{ ...web, routes }], clusters));
    for (const port of [1, 2]) path.network.serve(`127.0.0.1:${port}`, { status: 200 });
    await path.send('http://web');
    expect([...path.network.counts().keys()].sort()).toEqual(['127.0.0.1:1', '127.0.0.1:2']);
  });
});

describe('virtual clusters', () => {
  const method = (value: string) => ({
    name: ':method',
    match: { kind: 'string' as const, matcher: { kind: 'exact' as const, value, ignoreCase: false } },
    invert: false,
    treatMissingAsEmpty: false,
  });

  test('name what a request counts to: the first that matches, else `other`; without any, nothing', async () => {
    const nameOf = async (change: Partial<VirtualHost>, method_: string) => {
      const context = createExchange('outbound', 0, 0.5);
      await scene([forward('v1')], change).send('http://web', { method: method_, context });
      return context.virtualClusterName;
    };
    const virtualClusters = [
      { name: 'reads', headers: [method('GET')] },
      { name: 'never', headers: [method('GET'), method('PUT')] },
    ];
    expect(await nameOf({ virtualClusters }, 'GET')).toBe('reads');
    expect(await nameOf({ virtualClusters }, 'PUT')).toBe('other');
    expect(await nameOf({}, 'GET')).toBeUndefined();
  });
});
