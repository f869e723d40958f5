import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { afterEach, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import type { DnsCacheConfig } from '../../../src/model/dns-cache.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import { cluster, createStaticMesh, forward, host, snapshotOf } from '../support/static-mesh.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const CACHE: DnsCacheConfig = {
  name: 'names',
  lookupFamily: undefined,
  refreshRateMs: 60_000,
  minRefreshRateMs: 5000,
  failureRefresh: undefined,
  hostTtlMs: 300_000,
  maxHosts: 2,
  maxPendingRequests: 1024,
  preresolve: [],
  queryTimeoutMs: 5000,
};
const REWRITE: FilterConfig = {
  kind: 'forward-proxy-route',
  hostRewrite: { kind: 'header', value: 'x-to' },
};

test('requests go to the host that they name, by the address that it has', async () => {
  const server = createServer((incoming, response) => response.end(`hello ${incoming.headers.host}`));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const asked: string[] = [];
  const proxy = host('proxy:80', [{ ...forward('anybody'), filterOverrides: new Map([['names', REWRITE]]) }]);
  const filters = [
    { name: 'names', config: { kind: 'forward-proxy', cache: CACHE, saveUpstreamAddress: false } as const },
    ...proxy.listener.http.filters,
  ];
  const mesh = createStaticMesh(
    snapshotOf(
      [{ ...proxy, listener: { ...proxy.listener, http: { ...proxy.listener.http, filters } } }],
      [
        cluster('anybody', [], {
          discovery: { kind: 'forward-proxy', cache: CACHE, allowInsecure: true },
          lbPolicy: { kind: 'cluster-provided' },
        }),
      ],
    ),
    {},
    undefined,
    {},
    async (name) => {
      asked.push(name);
      if (!name.endsWith('.test')) throw new Error(`queryA ENOTFOUND ${name}`);
      return ['127.0.0.1'];
    },
  );
  const dispatcher = new MeshDispatcher(mesh);
  closers.push(
    () => mesh.close(),
    () => dispatcher.close(),
  );
  const get = async (to: string) => {
    const { statusCode, body } = await request('http://proxy/', { dispatcher, headers: { 'x-to': to } });
    return [statusCode, await body.text()];
  };
  expect(await get(`a.test:${port}`)).toEqual([200, `hello a.test:${port}`]);
  expect(await get(`a.test:${port}`)).toEqual([200, `hello a.test:${port}`]);
  expect(await get(`nowhere:${port}`)).toEqual([503, 'DNS resolution failure']);
  // The name that failed takes a place until it is asked for again.
  expect(await get(`b.test:${port}`)).toEqual([503, 'DNS cache overflow']);
  expect(asked).toEqual(['a.test', 'nowhere']);
});
