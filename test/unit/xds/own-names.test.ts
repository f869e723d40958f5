import { describe, expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import { SECRET } from '../../../src/codec/secret.js';
import { TRUST_SECRET, type TrustDocument } from '../../../src/model/trust.js';
import { xdsServer } from '../../../src/xds/server.js';
import type { AdsState } from '../../integration/support/ads-state.js';
import { assignmentOf, clusterOf, listenerOf, routesTo } from './fixtures.js';
import { clustersIn, type FakeServer, startFleet } from './fleet.js';

// Who is to be trusted only our control plane tells: no other is asked for it.

const TRUST: TrustDocument = {
  trustDomain: 'a.test',
  sequence: 1,
  bundles: [{ trustDomain: 'a.test', authorities: [] }],
  tainted: [],
  distrusted: [],
  revoked: { serials: [], ids: [], keys: [] },
  renewWithinMs: 0,
};

const WANTED = { secretNames: [TRUST_SECRET] };
const namesAsked = ({ state }: FakeServer) =>
  state.seen.filter(({ typeUrl }) => typeUrl === SECRET.typeUrl).flatMap(({ names }) => names);

function serveCluster(state: AdsState, cluster: string): void {
  state.put(LISTENER, `${cluster}:80`, listenerOf(`${cluster}:80`, cluster));
  state.put(ROUTE_CONFIGURATION, cluster, routesTo(cluster, cluster));
  state.put(CLUSTER, cluster, clusterOf(cluster));
  state.put(CLUSTER_LOAD_ASSIGNMENT, cluster, assignmentOf(cluster, 1));
}

function putTrust({ state }: FakeServer, sequence: number): void {
  const secret = { kind: 'trust', trust: { ...TRUST, sequence } } as const;
  state.put(SECRET, TRUST_SECRET, { name: TRUST_SECRET, secret }).publish();
}

describe.each([
  ['sotw', 'aggregated'],
  ['sotw', 'separate'],
  ['delta', 'aggregated'],
  ['delta', 'separate'],
] as const)('the trust secret (%s, %s)', (protocol, streams) => {
  const server = (target: string) => xdsServer({ target, protocol, streams });
  const sequenceOf = ({ client }: ReturnType<typeof startFleet>) => {
    const secret = client.published.value.snapshot.secrets?.get(TRUST_SECRET);
    return secret?.kind === 'trust' ? secret.trust.sequence : undefined;
  };

  test('comes from a server that says it is ours, also after its stream ended', async () => {
    const fleet = startFleet(['ours'], { servers: [server('ours')], ...WANTED }, ({ ours }) => {
      ours.state.identifier = 'inmesh/1.2.3';
      serveCluster(ours.state, 'a');
      putTrust(ours, 1);
    });
    const { client, clock, servers } = fleet;
    await clock.advance(100);
    expect(sequenceOf(fleet)).toBe(1);
    servers.ours.drop();
    putTrust(servers.ours, 2);
    await clock.advance(5_000);
    expect(sequenceOf(fleet)).toBe(2);
    await client.close();
  });

  test.each([undefined, '', 'istiod-1', '{"Component":"istiod","Info":{"version":"1.24"}}', 'inmesh-like/1'])(
    'is not asked of a server that says it is %s',
    async (identifier) => {
      const { client, clock, servers } = startFleet(
        ['other'],
        { servers: [server('other')], ...WANTED },
        ({ other }) => {
          other.state.identifier = identifier;
          serveCluster(other.state, 'a');
          other.state.publish();
        },
      );
      await clock.advance(60_000);
      servers.other.drop();
      await clock.advance(60_000);
      expect(clustersIn(client.published.value)).toEqual(['a']);
      expect(namesAsked(servers.other)).toEqual([]);
      await client.close();
    },
  );

  test('is given up at a server whose place a foreign one took; what came last stays', async () => {
    const fleet = startFleet(['one'], { servers: [server('one')], ...WANTED }, ({ one }) => {
      one.state.identifier = 'inmesh/1.2.3';
      serveCluster(one.state, 'a');
      putTrust(one, 1);
    });
    const { client, clock, servers } = fleet;
    await clock.advance(100);
    expect(namesAsked(servers.one)).toContain(TRUST_SECRET);
    servers.one.state.identifier = 'other';
    serveCluster(servers.one.state, 'b');
    servers.one.state.publish();
    await clock.advance(100);
    servers.one.state.seen.length = 0;
    servers.one.drop();
    await clock.advance(10_000);
    expect(namesAsked(servers.one)).toEqual([]);
    expect(sequenceOf(fleet)).toBe(1);
    await client.close();
  });

  test('that nobody has is no reason to ask the next server', async () => {
    const { client, clock, servers } = startFleet(
      ['first', 'second'],
      { servers: [server('first'), server('second')], ...WANTED },
      ({ first }) => {
        serveCluster(first.state, 'a');
        first.state.publish();
      },
    );
    await clock.advance(100);
    servers.first.goDown();
    await clock.advance(60_000);
    expect(servers.second.attempts).toEqual([]);
    await client.close();
  });
});
