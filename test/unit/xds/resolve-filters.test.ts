import { describe, expect, test } from 'vitest';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import type { HttpConnectionManager, InboundListener } from '../../../src/model/listener.js';
import type { RouteConfiguration } from '../../../src/model/route.js';
import type { ResourceView } from '../../../src/xds/resolution.js';
import { resolve } from '../../../src/xds/resolve.js';
import { configOf, providerOf } from '../filters/jwt-fixtures.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from './fixtures.js';

/** Clusters that filters ask are followed like those of routes. */

const asking = (cluster: string): FilterConfig => {
  const uri = { uri: 'http://keys', cluster, timeoutMs: 1000 };
  const jwks = { kind: 'remote', uri, cacheDurationMs: 1, asyncFetch: undefined, retry: undefined } as const;
  return configOf({ p: providerOf('', { jwks }) });
};

const filtersOf = (config: FilterConfig): HttpConnectionManager['filters'] => [
  { name: 'jwt', config },
  { name: 'router', config: { kind: 'router' } },
];

const OUTBOUND = { ...listenerOf('a:80', 'r') };
const TABLE = routesTo('r', 'c1');

function inbound(http: Partial<HttpConnectionManager>): InboundListener {
  const routes = { kind: 'inline' as const, config: { name: '', virtualHosts: [] } };
  return {
    kind: 'inbound',
    name: 'in',
    address: undefined,
    filterChains: [
      { name: '', transportProtocol: '', tls: undefined, http: { routes, filters: [], ...http } },
    ],
  };
}

/** Everything is there but what is named. */
function viewOf(
  listener: ReturnType<ResourceView['listener']>,
  table: RouteConfiguration = TABLE,
  pending = '',
): ResourceView {
  return {
    listener: () => listener,
    routes: () => table,
    cluster: (name) => (name === pending ? 'pending' : clusterOf(name)),
    assignment: (name) => assignmentOf(name, 1),
    secret: () => 'absent',
    runtime: () => 'absent',
    virtualHosts: () => ({ hosts: [], isPending: false }),
    extension: () => 'absent',
  };
}

describe('a cluster that a filter asks', () => {
  test('of an outbound listener is wanted and served', () => {
    const listener = { ...OUTBOUND, http: { ...OUTBOUND.http, filters: filtersOf(asking('keys')) } };
    const { wanted, snapshot } = resolve(viewOf(listener), ['a:80']);
    expect([...wanted.clusters]).toEqual(['c1', 'keys']);
    expect([...snapshot.clusters.keys()]).toEqual(['c1', 'keys']);
  });

  test('of an override on any level is wanted', () => {
    const [host] = TABLE.virtualHosts;
    const overrides = (cluster: string) => new Map([['jwt', asking(cluster)]]);
    const table = {
      ...TABLE,
      virtualHosts: TABLE.virtualHosts.map((one) => ({
        ...one,
        filterOverrides: overrides('of-host'),
        routes: one.routes.map((route) => ({ ...route, filterOverrides: overrides('of-route') })),
      })),
    };
    expect(host).toBeDefined();
    const { wanted } = resolve(viewOf(OUTBOUND, table), ['a:80']);
    expect([...wanted.clusters].sort()).toEqual(['c1', 'of-host', 'of-route']);
  });

  test('of an inbound listener is waited for: until it is there the listener is not let in', () => {
    const listener = inbound({ filters: filtersOf(asking('keys')) });
    const waiting = resolve(viewOf(listener, TABLE, 'keys'), ['in']);
    expect([...waiting.wanted.clusters]).toEqual(['keys']);
    expect(waiting.missing).toEqual([{ kind: 'cluster', name: 'keys' }]);
    expect(waiting.snapshot.inbound.size).toBe(0);
    const { snapshot } = resolve(viewOf(listener), ['in'], waiting.snapshot);
    expect(snapshot.inbound.get('in')).toBe(listener);
    expect([...snapshot.clusters.keys()]).toEqual(['keys']);
  });

  test('stays while the old form of its listener is in force', () => {
    const old = inbound({ filters: filtersOf(asking('old')) });
    const first = resolve(viewOf(old), ['in']).snapshot;
    const next = inbound({ filters: filtersOf(asking('new')) });
    const { wanted, snapshot } = resolve(viewOf(next, TABLE, 'new'), ['in'], first);
    expect([...wanted.clusters].sort()).toEqual(['new', 'old']);
    expect(snapshot.inbound.get('in')).toBe(old);
    expect([...snapshot.clusters.keys()]).toEqual(['old']);
  });
});
