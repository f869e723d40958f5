import { describe, expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import type { SnapshotCache } from '../../../src/xds/cache.js';
import { xdsServer } from '../../../src/xds/server.js';
import type { StoredResource } from '../../../src/xds/store.js';
import type { AdsState } from '../../integration/support/ads-state.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from './fixtures.js';
import { portsOf, startFleet } from './fleet.js';

const far = (kind: string, id: string) => `xdstp://far/${kind}/${id}`;
const FAR_ROUTES = far('envoy.config.route.v3.RouteConfiguration', 'shop');
const FAR_CLUSTER = far('envoy.config.cluster.v3.Cluster', 'shop?b=2&a=1');
const FAR_ENDPOINTS = far('envoy.config.endpoint.v3.ClusterLoadAssignment', 'shop');

const servers = [xdsServer({ target: 'near' })];
const authorities = new Map([['far', [xdsServer({ target: 'far' })]]]);

function near(state: AdsState): void {
  state.put(LISTENER, 'shop:80', listenerOf('shop:80', FAR_ROUTES));
  state.put(LISTENER, 'own:80', listenerOf('own:80', 'own'));
  state.put(ROUTE_CONFIGURATION, 'own', routesTo('own', 'own'));
  state.put(CLUSTER, 'own', clusterOf('own'));
  state.put(CLUSTER_LOAD_ASSIGNMENT, 'own', assignmentOf('own', 1));
  state.publish();
}

function farAway(state: AdsState): void {
  state.put(ROUTE_CONFIGURATION, FAR_ROUTES, routesTo(FAR_ROUTES, FAR_CLUSTER));
  const canonical = far('envoy.config.cluster.v3.Cluster', 'shop?a=1&b=2');
  state.put(CLUSTER, canonical, clusterOf(canonical, FAR_ENDPOINTS));
  state.put(CLUSTER_LOAD_ASSIGNMENT, FAR_ENDPOINTS, assignmentOf(FAR_ENDPOINTS, 2));
  state.publish();
}

describe('federation (gRFC A47)', () => {
  test('each name is asked of its authority, in canonical form', async () => {
    const fleet = startFleet(['near', 'far'], { servers, authorities }, (all) => {
      near(all.near.state);
      farAway(all.far.state);
    });
    await fleet.clock.advance(100);
    expect([...fleet.client.published.value.snapshot.outbound.keys()].sort()).toEqual(['own:80', 'shop:80']);
    // As the route spells it.
    expect(portsOf(fleet.client.published.value, FAR_CLUSTER)).toEqual([2]);
    expect(portsOf(fleet.client.published.value, 'own')).toEqual([1]);
    const askedOf = (state: AdsState) => new Set(state.seen.flatMap(({ names }) => names));
    expect([...askedOf(fleet.servers.near.state)].filter((name) => name.startsWith('xdstp:'))).toEqual([]);
    expect([...askedOf(fleet.servers.far.state)].every((name) => name.startsWith('xdstp://far/'))).toBe(true);
    expect(fleet.rejected).toEqual([]);

    fleet.servers.far.state.put(CLUSTER_LOAD_ASSIGNMENT, FAR_ENDPOINTS, assignmentOf(FAR_ENDPOINTS, 22));
    fleet.servers.far.state.publish();
    await fleet.clock.advance(100);
    expect(portsOf(fleet.client.published.value, FAR_CLUSTER)).toEqual([22]);
    await fleet.client.close();
    expect(fleet.clock.pending).toBe(0);
  });

  test('an authority is connected to when something of it is wanted', async () => {
    const fleet = startFleet(['near', 'far'], { servers, authorities }, (all) => {
      near(all.near.state);
      all.near.state.remove(LISTENER, 'shop:80');
    });
    await fleet.clock.advance(100);
    expect(fleet.servers.far.attempts).toEqual([]);
    await fleet.client.close();
  });

  test('an authority that is away holds nobody else up', async () => {
    const fleet = startFleet(['near', 'far'], { servers, authorities }, (all) => {
      near(all.near.state);
      farAway(all.far.state);
      all.far.isUp = false;
    });
    await fleet.clock.advance(100);
    expect(portsOf(fleet.client.published.value, 'own')).toEqual([1]);
    expect(fleet.client.published.value.source).toBe('control-plane');

    fleet.servers.far.isUp = true;
    await fleet.clock.advance(2000);
    expect(portsOf(fleet.client.published.value, FAR_CLUSTER)).toEqual([2]);
    await fleet.client.close();
  });

  test('authorities with the same server share one stream, and a response removes nothing of the other', async () => {
    const shared = new Map([['far', [xdsServer({ target: 'near' })]]]);
    const fleet = startFleet(['near'], { servers, authorities: shared }, (all) => {
      near(all.near.state);
      farAway(all.near.state);
    });
    await fleet.clock.advance(100);
    expect(fleet.servers.near.streams).toBe(1);
    expect(portsOf(fleet.client.published.value, FAR_CLUSTER)).toEqual([2]);
    expect(portsOf(fleet.client.published.value, 'own')).toEqual([1]);
    await fleet.client.close();
  });

  test('nobody waits for a name whose authority is not configured', async () => {
    const fleet = startFleet(['near'], { servers }, (all) => near(all.near.state));
    await fleet.clock.advance(100);
    expect(portsOf(fleet.client.published.value, 'own')).toEqual([1]);
    expect(fleet.client.published.value.snapshot.outbound.get('shop:80')).toMatchObject({
      routes: undefined,
    });
    await fleet.client.close();
  });
});

describe('collections of listeners (xRFC TP1)', () => {
  const all = far('envoy.config.listener.v3.Listener', '*');
  const listener = (id: string) => far('envoy.config.listener.v3.Listener', id);
  const delta = {
    servers: [xdsServer({ target: 'near', protocol: 'delta' })],
    authorities: new Map([['far', [xdsServer({ target: 'far', protocol: 'delta' })]]]),
    outboundNames: [all],
  };
  function putFar(state: AdsState, id: string): void {
    state.put(LISTENER, listener(id), listenerOf(listener(id), FAR_ROUTES));
  }

  test('bring what there is, what is added, and what is removed', async () => {
    const fleet = startFleet(['near', 'far'], delta, (servers) => {
      near(servers.near.state);
      servers.near.state.remove(LISTENER, 'shop:80');
      farAway(servers.far.state);
      putFar(servers.far.state, 'a:80');
      putFar(servers.far.state, 'deeper/b:80');
    });
    const listeners = () => [...fleet.client.published.value.snapshot.outbound.keys()].sort();
    await fleet.clock.advance(100);
    expect(fleet.history).toHaveLength(1);
    expect(listeners()).toEqual(['own:80', listener('a:80')]);
    putFar(fleet.servers.far.state, 'c:80');
    fleet.servers.far.state.publish();
    await fleet.clock.advance(100);
    expect(listeners()).toEqual(['own:80', listener('a:80'), listener('c:80')]);

    fleet.servers.far.drop();
    fleet.servers.far.state.remove(LISTENER, listener('a:80'));
    await fleet.clock.advance(5000);
    expect(listeners()).toEqual(['own:80', listener('c:80')]);
    expect(fleet.rejected).toEqual([]);
    await fleet.client.close();
  });

  test('hold nobody up when their authority is away', async () => {
    const fleet = startFleet(['near', 'far'], delta, (servers) => {
      near(servers.near.state);
      servers.far.isUp = false;
    });
    await fleet.clock.advance(100);
    expect(portsOf(fleet.client.published.value, 'own')).toEqual([1]);
    await fleet.client.close();
  });
});

describe('separate streams', () => {
  test('each type has its own service; all of them make one configuration', async () => {
    const separate = [xdsServer({ target: 'near', streams: 'separate' })];
    const fleet = startFleet(['near'], { servers: separate }, (all) => {
      near(all.near.state);
      all.near.state.remove(LISTENER, 'shop:80');
    });
    await fleet.clock.advance(100);
    expect(portsOf(fleet.client.published.value, 'own')).toEqual([1]);
    expect([...fleet.servers.near.methods].sort()).toEqual([
      '/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters',
      '/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints',
      '/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners',
      '/envoy.service.route.v3.RouteDiscoveryService/StreamRoutes',
    ]);
    expect(fleet.client.connected.value.state).toBe('connected');
    fleet.servers.near.goDown();
    await fleet.clock.advance(10);
    expect(fleet.client.connected.value.state).toBe('disconnected');
    fleet.servers.near.isUp = true;
    await fleet.clock.advance(5000);
    expect(fleet.client.connected.value.state).toBe('connected');
    await fleet.client.close();
    expect(fleet.clock.pending).toBe(0);
  });
});

describe('the caches of authorities', () => {
  test('each is filled by, and speaks for, its own authority; what is in use from the disk tells its age', async () => {
    const saved = new Map<string, readonly StoredResource[]>();
    const cacheOf = (authority: string): SnapshotCache => ({
      load: async () => {
        const resources = saved.get(authority);
        return resources && { resources, savedAt: authority === 'far' ? 7 : 9 };
      },
      save: async (resources) => void saved.set(authority, resources),
    });
    const first = startFleet(['near', 'far'], { servers, authorities, cacheOf }, (all) => {
      near(all.near.state);
      farAway(all.far.state);
    });
    await first.clock.advance(100);
    await first.client.close();
    expect(
      saved
        .get('far')
        ?.map(({ name }) => name)
        .every((name) => name.startsWith('xdstp://far/')),
    ).toBe(true);
    expect(
      saved
        .get('#old')
        ?.map(({ name }) => name)
        .sort(),
    ).toEqual(['own', 'own', 'own', 'own:80', 'shop:80']);

    // A file with names of somebody else is not believed.
    saved.set('far', [...(saved.get('far') ?? []), ...(saved.get('#old') ?? [])]);
    const second = startFleet(['near', 'far'], { servers, authorities, cacheOf }, (all) => {
      near(all.near.state);
      all.far.isUp = false;
    });
    await second.clock.advance(0);
    expect(second.history[0]).toMatchObject({ source: 'cache', savedAt: 7 });
    await second.clock.advance(100);
    expect(second.client.published.value.source).toBe('control-plane');
    expect(portsOf(second.client.published.value, FAR_CLUSTER)).toEqual([2]);
    expect(second.client.servers()).toMatchObject([
      { authority: '#old', target: 'near', state: 'connected', savedAtMs: undefined },
      { authority: 'far', target: 'far', savedAtMs: 7 },
    ]);
    farAway(second.servers.far.state);
    second.servers.far.isUp = true;
    await second.clock.advance(3000);
    expect(second.client.servers()[1]).toMatchObject({ state: 'connected', savedAtMs: undefined });
    await second.client.close();
  });
});
