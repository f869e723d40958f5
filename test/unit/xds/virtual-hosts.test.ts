import { describe, expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import { VIRTUAL_HOST } from '../../../src/codec/virtual-host.js';
import type { VirtualHost } from '../../../src/model/route.js';
import type { ProtocolKind } from '../../../src/xds/engine.js';
import { xdsServer } from '../../../src/xds/server.js';
import { hasHost, withHosts } from '../../../src/xds/virtual-hosts.js';
import type { AdsState } from '../../integration/support/ads-state.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from './fixtures.js';
import { startFleet } from './fleet.js';

const SERVER = 'ads:1';

/** A virtual host for one domain that forwards to one cluster. */
function hostFor(domain: string, cluster: string): VirtualHost {
  const [host] = routesTo(domain, cluster).virtualHosts;
  if (host === undefined) throw new Error('a table has a host');
  return { ...host, domains: [domain] };
}

function putCluster(state: AdsState, name: string): void {
  state.put(CLUSTER, name, clusterOf(name));
  state.put(CLUSTER_LOAD_ASSIGNMENT, name, assignmentOf(name, 8080));
}

function putHost(state: AdsState, name: string, cluster: string): void {
  state.put(VIRTUAL_HOST, `shop/${name}`, hostFor(name, cluster));
  putCluster(state, cluster);
}

/** A listener whose table begins with the host `first` and has more to give. */
async function start(protocol: ProtocolKind, prepare: (state: AdsState) => void = () => {}) {
  const fleet = startFleet([SERVER], { servers: [xdsServer({ target: SERVER, protocol })] }, (servers) => {
    const { state } = servers[SERVER];
    state.put(LISTENER, 'shop:80', listenerOf('shop:80', 'shop'));
    const own = hostFor('first', 'c1');
    state.put(ROUTE_CONFIGURATION, 'shop', {
      name: 'shop',
      virtualHosts: [own],
      virtualHostDiscovery: true,
    });
    putCluster(state, 'c1');
    prepare(state);
    state.publish();
  });
  await fleet.clock.advance(100);
  return { ...fleet, state: fleet.servers[SERVER].state, server: fleet.servers[SERVER] };
}

type Started = Awaited<ReturnType<typeof start>>;

const domainsOf = ({ client }: Started) =>
  client.published.value.snapshot.outbound
    .get('shop:80')
    ?.routes?.virtualHosts.flatMap(({ domains }) => domains);

/** Asks for a host; its outcome as it is now. */
function ask({ client }: Started, host: string) {
  const asked: { outcome: boolean | 'waiting'; stop: () => void } = { outcome: 'waiting', stop: () => {} };
  asked.stop = client.wantVirtualHost('shop', host, (isThere) => {
    asked.outcome = isThere;
  });
  return asked;
}

const namesAsked = ({ state }: Started) =>
  state.seen.filter(({ typeUrl }) => typeUrl === VIRTUAL_HOST.typeUrl).flatMap(({ names }) => [...names]);

describe.each(['delta', 'sotw'] as const)('virtual hosts on demand (%s)', (protocol) => {
  test('a table begins with its own hosts, and one that is asked for joins them with its cluster', async () => {
    const world = await start(protocol, (state) => putHost(state, 'second', 'c2'));
    expect(domainsOf(world)).toEqual(['first']);

    const asked = ask(world, 'SECOND');
    await world.clock.advance(100);
    expect(asked.outcome).toBe(true);
    expect(domainsOf(world)).toEqual(['first', 'second']);
    expect(world.client.published.value.snapshot.clusters.has('c2')).toBe(true);
    expect(namesAsked(world)).toEqual(['shop', 'shop/second']);
    await world.client.close();
    expect(world.clock.pending).toBe(0);
  });

  test('state of the world has a stream of its own for them', async () => {
    const world = await start(protocol);
    const separate = '/envoy.service.route.v3.VirtualHostDiscoveryService/DeltaVirtualHosts';
    expect(world.server.methods.has(separate)).toBe(protocol === 'sotw');
    await world.client.close();
  });

  test('a host that does not exist is told at once, and asked for again by the next request', async () => {
    const world = await start(protocol);
    const asked = ask(world, 'nobody');
    await world.clock.advance(100);
    expect(asked.outcome).toBe(false);

    putHost(world.state, 'nobody', 'c2');
    world.state.publish();
    await world.clock.advance(100);
    expect(domainsOf(world)).toEqual(['first']);
    const again = ask(world, 'nobody');
    await world.clock.advance(100);
    expect(again.outcome).toBe(true);
    await world.client.close();
  });

  test('silence lasts 15 s', async () => {
    const world = await start(protocol);
    world.state.muted.add(VIRTUAL_HOST.typeUrl);
    const asked = ask(world, 'second');
    const given = ask(world, 'second');
    given.stop();
    await world.clock.advance(14_900);
    expect(asked.outcome).toBe('waiting');
    await world.clock.advance(200);
    expect(asked.outcome).toBe(false);
    expect(given.outcome).toBe('waiting');
    await world.client.close();
  });

  test('one resource may answer for several names', async () => {
    const world = await start(protocol, (state) => {
      putHost(state, 'real', 'c2');
      state.aliases.set('shop/real', ['shop/other']);
    });
    const asked = ask(world, 'other');
    await world.clock.advance(100);
    expect(asked.outcome).toBe(true);
    expect(domainsOf(world)).toEqual(['first', 'real']);
    // It came, and whoever finds no route in it hears so at once.
    expect(ask(world, 'other').outcome).toBe(false);

    world.state.remove(VIRTUAL_HOST, 'shop/real');
    world.state.publish();
    await world.clock.advance(100);
    expect(domainsOf(world)).toEqual(['first']);
    await world.client.close();
  });

  test('what changes and what is removed is followed, also over a new stream', async () => {
    const world = await start(protocol, (state) => putHost(state, 'second', 'c2'));
    ask(world, 'second');
    await world.clock.advance(100);
    putHost(world.state, 'second', 'c3');
    world.state.publish();
    await world.clock.advance(100);
    expect([...world.client.published.value.snapshot.clusters.keys()].sort()).toEqual(['c1', 'c3']);

    world.server.goDown();
    world.state.remove(VIRTUAL_HOST, 'shop/second');
    world.server.isUp = true;
    await world.clock.advance(5_000);
    expect(domainsOf(world)).toEqual(['first']);
    await world.client.close();
  });

  test('nobody is asked for hosts of a table that has no more to give', async () => {
    const world = await start(protocol, (state) =>
      state.put(ROUTE_CONFIGURATION, 'shop', routesTo('shop', 'c1')),
    );
    expect(ask(world, 'second').outcome).toBe(false);
    await world.clock.advance(100);
    expect(namesAsked(world)).toEqual([]);
    await world.client.close();
  });
});

describe('a table with hosts that came', () => {
  test('is the same for the same hosts, and a domain stays with whoever had it first', () => {
    const table = { name: 'shop', virtualHosts: [hostFor('first', 'a')] };
    const second = { ...hostFor('second', 'b'), domains: ['first', 'second'] };
    const taken: string[] = [];
    const whole = withHosts(table, [second], (host, domain) => taken.push(`${host} ${domain}`));
    expect(taken).toEqual(['second first']);
    expect(whole.virtualHosts.map(({ domains }) => domains)).toEqual([['first'], ['second']]);
    expect(withHosts(table, [second])).toBe(whole);
    expect(withHosts(table, [])).not.toBe(whole);
    expect(hasHost(whole, second)).toBe(true);
    expect(hasHost(table, second)).toBe(false);
  });
});
