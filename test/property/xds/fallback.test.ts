import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import { xdsServer } from '../../../src/xds/server.js';
import type { AdsState } from '../../integration/support/ads-state.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from '../../unit/xds/fixtures.js';
import { clustersIn, type FakeServer, portsOf, startFleet } from '../../unit/xds/fleet.js';

const CLUSTERS = ['a', 'b', 'c'] as const;

function put(state: AdsState, cluster: string, port: number): void {
  state.put(LISTENER, `${cluster}:80`, listenerOf(`${cluster}:80`, cluster));
  state.put(ROUTE_CONFIGURATION, cluster, routesTo(cluster, cluster));
  state.put(CLUSTER, cluster, clusterOf(cluster));
  state.put(CLUSTER_LOAD_ASSIGNMENT, cluster, assignmentOf(cluster, port));
}

function remove(state: AdsState, cluster: string): void {
  state.remove(LISTENER, `${cluster}:80`).remove(ROUTE_CONFIGURATION, cluster);
  state.remove(CLUSTER, cluster).remove(CLUSTER_LOAD_ASSIGNMENT, cluster);
}

type Change =
  | { readonly kind: 'put'; readonly cluster: string; readonly port: number }
  | { readonly kind: 'remove'; readonly cluster: string }
  | { readonly kind: 'up' | 'down' | 'drop' };

function apply(change: Change, server: FakeServer): void {
  switch (change.kind) {
    case 'put':
      put(server.state, change.cluster, change.port);
      server.state.publish();
      return;
    case 'remove':
      remove(server.state, change.cluster);
      server.state.publish();
      return;
    case 'up':
      server.isUp = true;
      return;
    case 'down':
      server.goDown();
      return;
    case 'drop':
      server.drop();
  }
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant('put' as const),
    on: fc.nat(1),
    cluster: fc.constantFrom(...CLUSTERS),
    port: fc.integer({ min: 1, max: 9 }),
  }),
  fc.record({ kind: fc.constant('remove' as const), on: fc.nat(1), cluster: fc.constantFrom(...CLUSTERS) }),
  fc.record({ kind: fc.constantFrom('up' as const, 'down' as const, 'drop' as const), on: fc.nat(1) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(0, 50, 2000, 30_000) }),
  fc.record({ kind: fc.constant('want' as const), name: fc.constantFrom('x', 'y') }),
);

test.each(['sotw', 'delta'] as const)(
  'whatever comes and goes, in the end the preferred server’s configuration is in force, and it is the only one asked (%s)',
  async (protocol) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
        const { client, clock, servers } = startFleet(['first', 'second'], {
          servers: [xdsServer({ target: 'first', protocol }), xdsServer({ target: 'second', protocol })],
        });
        const both: readonly FakeServer[] = [servers.first, servers.second];
        for (const one of steps) {
          if (one.kind === 'want') client.setInboundNames([one.name]);
          else if (one.kind === 'wait') await clock.advance(one.ms);
          else apply(one, both[one.on] ?? servers.first);
        }
        servers.first.isUp = true;
        servers.second.isUp = true;
        servers.first.state.publish();
        await clock.advance(400_000);
        const wanted = [...servers.first.state.of(CLUSTER.typeUrl).keys()].sort();
        expect(clustersIn(client.published.value)).toEqual(wanted);
        for (const cluster of wanted) {
          const bytes =
            servers.first.state.of(CLUSTER_LOAD_ASSIGNMENT.typeUrl).get(cluster) ?? new Uint8Array();
          const { resource } = CLUSTER_LOAD_ASSIGNMENT.decode(bytes);
          const ports = resource.localities.flatMap(({ endpoints }) =>
            endpoints.map(({ address }) => address.port),
          );
          expect(portsOf(client.published.value, cluster)).toEqual(ports);
        }
        expect([servers.first.streams, servers.second.streams]).toEqual([1, 0]);
        await client.close();
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 60 },
    );
  },
  60_000,
);
