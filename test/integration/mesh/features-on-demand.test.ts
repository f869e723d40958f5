import { createServer } from 'node:http';
import type { JsonValue } from '@bufbuild/protobuf';
import { afterEach, describe, expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import { VIRTUAL_HOST } from '../../../src/codec/virtual-host.js';
import { ROUTER, wire } from '../../unit/codec/wire.js';
import { AdsState } from '../support/ads-state.js';
import { behaved, startEvilAds } from '../support/evil-ads.js';
import { answerOf, stop } from './features-world.js';
import { joinQuietly } from './support.js';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const ON_DEMAND: JsonValue = {
  name: 'on-demand',
  typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand' },
};

const HCM =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

async function serveOutside(): Promise<number> {
  const server = createServer((request, response) => response.end(`upstream ${request.url}`));
  closers.push(() => stop(server));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('it listens on no port');
  return address.port;
}

const virtualHost = (domain: string): JsonValue => ({
  name: domain,
  domains: [domain],
  routes: [{ match: { prefix: '/known' }, route: { cluster: `c-${domain}` } }],
});

function putHost(state: AdsState, name: string, domain: string, port: number): void {
  const cluster = `c-${domain}`;
  const endpoint = { address: { socketAddress: { address: '127.0.0.1', portValue: port } } };
  state
    .putBytes(VIRTUAL_HOST.typeUrl, name, wire(VIRTUAL_HOST, virtualHost(domain)))
    .putBytes(
      CLUSTER.typeUrl,
      cluster,
      wire(CLUSTER, { name: cluster, type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} } } }),
    )
    .putBytes(
      CLUSTER_LOAD_ASSIGNMENT.typeUrl,
      cluster,
      wire(CLUSTER_LOAD_ASSIGNMENT, {
        clusterName: cluster,
        endpoints: [{ lbEndpoints: [{ endpoint }] }],
      }),
    );
}

/** A listener for all hosts, whose table has none but those that are asked for. */
async function world(filters: JsonValue[], xdsProtocol: 'sotw' | 'delta') {
  const state = new AdsState();
  const manager = {
    '@type': HCM,
    rds: { routeConfigName: 'all', configSource: { ads: {} } },
    httpFilters: [...filters, ROUTER],
  };
  state
    .putBytes(LISTENER.typeUrl, '*', wire(LISTENER, { name: '*', apiListener: { apiListener: manager } }))
    .putBytes(
      ROUTE_CONFIGURATION.typeUrl,
      'all',
      wire(ROUTE_CONFIGURATION, { name: 'all', vhds: { configSource: { ads: {} } } }),
    );
  const port = await serveOutside();
  putHost(state, 'all/shop', 'shop', port);
  putHost(state, 'all/real', 'alias', port);
  state.aliases.set('all/real', ['all/alias']);
  state.publish();
  const ads = await startEvilAds(behaved(state));
  closers.push(() => ads.kill());
  const mesh = await joinQuietly({ service: 'client', xdsProtocol, controlPlane: `127.0.0.1:${ads.port}` });
  closers.push(() => mesh.close());

  return { mesh, state };
}

describe.each(['sotw', 'delta'] as const)('virtual hosts on demand (%s)', (protocol) => {
  test('a request waits for its host, and is answered by the way that came', async () => {
    const { mesh } = await world([ON_DEMAND], protocol);
    const first = await Promise.all([
      answerOf(mesh.fetch('http://shop/known')),
      answerOf(mesh.fetch('http://shop/known/2', { method: 'POST', body: 'x' })),
      answerOf(mesh.fetch('http://alias/known')),
      answerOf(mesh.fetch('http://nobody/known')),
    ]);
    expect(first).toEqual([
      [200, 'upstream /known'],
      [200, 'upstream /known/2'],
      [200, 'upstream /known'],
      [404, ''],
    ]);
    // The host came; that it has no such route is known without asking.
    expect(await answerOf(mesh.fetch('http://shop/else'))).toEqual([404, '']);
    expect(await answerOf(mesh.fetch('http://shop/known/3'))).toEqual([200, 'upstream /known/3']);
  });

  test('without the filter nobody asks', async () => {
    const { mesh, state } = await world([], protocol);
    expect(await answerOf(mesh.fetch('http://shop/known'))).toEqual([404, '']);
    const asked = state.seen.filter(({ typeUrl }) => typeUrl === VIRTUAL_HOST.typeUrl);
    expect(asked.flatMap(({ names }) => names)).toEqual(['all']);
  });

  test('a caller that gives up waits no longer', async () => {
    const { mesh, state } = await world([ON_DEMAND], protocol);
    state.muted.add(VIRTUAL_HOST.typeUrl);
    const signal = AbortSignal.timeout(50);
    await expect(mesh.fetch('http://shop/known', { signal })).rejects.toThrow(/abort|timeout/i);
  });
});
