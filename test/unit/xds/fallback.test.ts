import { describe, expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import { xdsServer } from '../../../src/xds/server.js';
import type { AdsState } from '../../integration/support/ads-state.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from './fixtures.js';
import { clustersIn, portsOf, startFleet } from './fleet.js';

/** Of a state of the world, or a digest in the initial versions of a delta stream. */
const hasVersion = (text: string) => text === 'v1' || /[0-9a-f]{64}/.test(text);

function serve(state: AdsState, port: number, ...clusters: string[]): void {
  for (const cluster of clusters) {
    state.put(LISTENER, `${cluster}:80`, listenerOf(`${cluster}:80`, cluster));
    state.put(ROUTE_CONFIGURATION, cluster, routesTo(cluster, cluster));
    state.put(CLUSTER, cluster, clusterOf(cluster));
    state.put(CLUSTER_LOAD_ASSIGNMENT, cluster, assignmentOf(cluster, port));
  }
  state.publish();
}

describe.each(['sotw', 'delta'] as const)('fallback to the next server (gRFC A71, %s)', (protocol) => {
  const SERVERS = [xdsServer({ target: 'first', protocol }), xdsServer({ target: 'second', protocol })];

  test('the second server is not connected to while the first one answers', async () => {
    const { client, clock, servers } = startFleet(['first', 'second'], { servers: SERVERS }, ({ first }) =>
      serve(first.state, 1, 'a'),
    );
    await clock.advance(100);
    expect(portsOf(client.published.value, 'a')).toEqual([1]);
    expect(servers.second.attempts).toEqual([]);
    await client.close();
  });

  test('with nothing held, the second one serves until the first one answers; then it is given up', async () => {
    const { client, clock, servers } = startFleet(
      ['first', 'second'],
      { servers: SERVERS },
      ({ first, second }) => {
        first.isUp = false;
        serve(first.state, 1, 'a', 'b');
        serve(second.state, 2, 'a');
      },
    );
    await clock.advance(100);
    expect(portsOf(client.published.value, 'a')).toEqual([2]);
    expect(client.connected.value.state).toBe('connected');

    servers.first.isUp = true;
    await clock.advance(2000);
    expect(portsOf(client.published.value, 'a')).toEqual([1]);
    expect(clustersIn(client.published.value)).toEqual(['a', 'b']);
    expect(servers.second.streams).toBe(0);
    const attempts = servers.second.attempts.length;
    await clock.advance(200_000);
    expect(servers.second.attempts).toHaveLength(attempts);
    await client.close();
    expect(clock.pending).toBe(0);
  });

  test('with everything held, an outage of the first one asks nobody else', async () => {
    const { client, clock, servers } = startFleet(
      ['first', 'second'],
      { servers: SERVERS },
      ({ first, second }) => {
        serve(first.state, 1, 'a');
        serve(second.state, 2, 'a');
      },
    );
    await clock.advance(100);
    servers.first.goDown();
    await clock.advance(60_000);
    expect(servers.second.attempts).toEqual([]);
    expect(portsOf(client.published.value, 'a')).toEqual([1]);

    // Something new is wanted that nobody answered for.
    client.setInboundNames(['inbound']);
    await clock.advance(100);
    expect(servers.second.streams).toBe(1);
    expect(portsOf(client.published.value, 'a')).toEqual([2]);
    await client.close();
  });

  test('a stream that ends after a response is no failure yet', async () => {
    const { client, clock, servers } = startFleet(['first', 'second'], { servers: SERVERS }, ({ first }) => {
      serve(first.state, 1, 'a');
      // Never answered, so that something is lacking all the time.
      first.state.muted.add(CLUSTER_LOAD_ASSIGNMENT.typeUrl);
    });
    await clock.advance(100);
    servers.first.drop();
    await clock.advance(100);
    expect(servers.second.attempts).toEqual([]);
    servers.first.goDown();
    await clock.advance(60_000);
    expect(servers.second.attempts).not.toEqual([]);
    await client.close();
  });

  test('versions of one server are never told to the other, and back on the first all is asked for anew', async () => {
    const { client, clock, servers } = startFleet(
      ['first', 'second'],
      { servers: SERVERS },
      ({ first, second }) => {
        serve(first.state, 1, 'a');
        serve(second.state, 2, 'a');
        second.state.publish();
      },
    );
    await clock.advance(100);
    servers.first.goDown();
    await clock.advance(5000);
    client.setInboundNames(['inbound']);
    await clock.advance(100);
    expect(portsOf(client.published.value, 'a')).toEqual([2]);
    expect(servers.second.state.seen.filter(({ version }) => hasVersion(version))).toEqual([]);

    servers.first.state.seen.length = 0;
    servers.first.isUp = true;
    await clock.advance(120_000);
    expect(hasVersion(servers.first.state.seen[0]?.version ?? '')).toBe(false);
    expect(portsOf(client.published.value, 'a')).toEqual([1]);
    expect(servers.second.streams).toBe(0);
    await client.close();
  });

  test('a server listed twice is tried once, and a failing list is tried to its end', async () => {
    const list = [
      xdsServer({ target: 'first', protocol }),
      xdsServer({ target: 'first', protocol }),
      xdsServer({ target: 'third', protocol }),
    ];
    const { client, clock, servers } = startFleet(
      ['first', 'third'],
      { servers: list },
      ({ first, third }) => {
        first.isUp = false;
        serve(third.state, 3, 'a');
      },
    );
    await clock.advance(100);
    expect(portsOf(client.published.value, 'a')).toEqual([3]);
    expect(servers.first.attempts).toHaveLength(1);
    await client.close();
  });
});
