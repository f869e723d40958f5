import type { JsonValue } from '@bufbuild/protobuf';
import { afterEach, describe, expect, test } from 'vitest';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import { defineFilter, reply } from '../../../src/filters.js';
import type { MeshOptions } from '../../../src/index.js';
import { listenerWith, ROUTER, tableWithRoute, wire } from '../../unit/codec/wire.js';
import { AdsState } from '../support/ads-state.js';
import { behaved, startEvilAds } from '../support/evil-ads.js';
import { answerOf, istio, stop, World } from './features-world.js';
import { eventually, joinQuietly, serveAs } from './support.js';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Lets only those in who know the key. */
const apiKey = defineFilter({
  name: 'acme.filters.ApiKey',
  parse(value) {
    if (typeof value === 'object' && value !== null && 'key' in value) return { key: String(value.key) };
    throw new TypeError('key: is required');
  },
  create({ key }, { direction, counter }) {
    const refused = counter('refused');
    return async (request, next) => {
      if (request.headers.get('x-key') === key) return next(request);
      refused.value++;
      return reply(request, { status: 401, text: `no key for ${direction}`, reason: 'ACME_NO_KEY' });
    };
  },
});

/** Gives the key, and reads what comes back. */
const giveKey = defineFilter({
  name: 'acme.filters.GiveKey',
  directions: ['outbound'],
  parse: String,
  create: (key) => async (request, next) => {
    request.headers.set('x-key', key);
    const response = await next(request);
    response.headers.set('x-status', String(response.status));
    return response;
  },
});

describe('a member of a WorkloadGroup with a probe', () => {
  test('is an endpoint from the first good answer on, and tells its control plane by itself', async () => {
    const asked: string[] = [];
    let status = 503;
    const world = await World.start('');
    closers.push(() => world.close());
    const { port } = await world.serveOutside((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers['x-probe']}`);
      response.writeHead(status).end();
    });
    world.configure(
      istio(
        'WorkloadGroup',
        'echoes',
        `metadata: { labels: { app: echo } }\ntemplate: {}\nprobe: { periodSeconds: 1, httpGet: { path: /ready, port: ${port}, httpHeaders: [{ name: x-probe, value: "1" }] } }`,
      ),
    );
    await world.serve({ service: 'echo' }, (_request, response) => response.end('hello'));
    await eventually('the first question', () => asked.length > 0);
    expect(asked[0]).toBe('GET /ready 1');
    const client = await world.join();
    const answers = (wanted: number) => async () => {
      // Before the client has heard of the service, its name leads nowhere.
      const found = await answerOf(client.fetch('http://echo/')).catch(() => [0]);
      return found[0] === wanted && found;
    };
    await eventually('the refusal', answers(503));
    status = 200;
    expect(await eventually('the answer', answers(200))).toEqual([200, 'hello']);
  });
});

describe('filters used in code', () => {
  test('guard a server and serve its callers', async () => {
    const world = await World.start('');
    closers.push(() => world.close());
    const server = await world.serve(
      { service: 'echo', filters: [apiKey.use({ key: 'open' }, { directions: ['inbound'] })] },
      (request, response) => response.end(`hello ${request.headers['x-key']}`),
    );
    const stranger = await world.join();
    const friend = await world.join({ service: 'friend', filters: [giveKey.use('open')] });
    const refused = await eventually('the service is there', async () => {
      const response = await stranger.fetch('http://echo/');
      return response.status === 401 && response;
    });
    expect(await refused.text()).toBe('no key for inbound');
    expect(refused.headers.get('x-inmesh-reason')).toBe('ACME_NO_KEY');
    const response = await friend.fetch('http://echo/');
    expect([response.headers.get('x-status'), await response.text()]).toEqual(['200', 'hello open']);
    expect(server.mesh.metrics()).toContain('inmesh_filter_refused{inmesh_filter="acme.filters.ApiKey"} 1\n');
  });
});

const typed = (value: JsonValue, type = 'acme.filters.ApiKey'): JsonValue => ({
  '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
  typeUrl: `type.googleapis.com/${type}`,
  value,
});

/** A control plane with one outbound host, whose listener has these filters. */
async function plane(filters: JsonValue[], route: Record<string, JsonValue> = {}) {
  const upstream = await serveOutside();
  const state = new AdsState();
  state
    .putBytes(LISTENER.typeUrl, 'reviews:80', wire(LISTENER, listenerWith([...filters, ROUTER])))
    .putBytes(ROUTE_CONFIGURATION.typeUrl, 'r', wire(ROUTE_CONFIGURATION, tableWithRoute(route)))
    .putBytes(
      CLUSTER.typeUrl,
      'c',
      wire(CLUSTER, { name: 'c', type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} } } }),
    )
    .putBytes(
      CLUSTER_LOAD_ASSIGNMENT.typeUrl,
      'c',
      wire(CLUSTER_LOAD_ASSIGNMENT, {
        clusterName: 'c',
        endpoints: [
          {
            lbEndpoints: [
              { endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue: upstream } } } },
            ],
          },
        ],
      }),
    )
    .publish();
  const ads = await startEvilAds(behaved(state));
  closers.push(() => ads.kill());
  return { state, controlPlane: `127.0.0.1:${ads.port}` };
}

async function serveOutside(): Promise<number> {
  const world = await import('node:http');
  const server = world.createServer((_request, response) => response.end('upstream')).listen(0, '127.0.0.1');
  closers.push(() => stop(server));
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('it listens on no port');
  return address.port;
}

async function join(options: MeshOptions) {
  const mesh = await joinQuietly({ service: 'client', configurationTimeoutMs: 300, ...options });
  closers.push(() => mesh.close());
  return mesh;
}

describe('filters configured by xDS', () => {
  test('outbound, and otherwise at a route', async () => {
    const { controlPlane } = await plane([{ name: 'key', typedConfig: typed({ key: 'a' }) }], {
      typedPerFilterConfig: { key: typed({ key: 'b' }) } as Record<string, JsonValue>,
    });
    const mesh = await join({ controlPlane, filterTypes: [apiKey] });
    const ask = (key: string) => answerOf(mesh.fetch('http://reviews/', { headers: { 'x-key': key } }));
    expect([await ask('a'), await ask('b')]).toEqual([
      [401, 'no key for outbound'],
      [200, 'upstream'],
    ]);
  });

  test('what the filter refuses is refused with its path; the last good one stays', async () => {
    const { state, controlPlane } = await plane([{ name: 'key', typedConfig: typed({ key: 'a' }) }]);
    const mesh = await join({ controlPlane, filterTypes: [apiKey] });
    const bad = listenerWith([{ name: 'key', typedConfig: typed({}) }, ROUTER]);
    state.putBytes(LISTENER.typeUrl, 'reviews:80', wire(LISTENER, bad)).publish();
    const error = await eventually(
      'the NACK',
      () => state.seen.find((one) => one.error !== undefined)?.error,
    );
    expect(error).toContain(
      'http_filters[0].typed_config: the filter acme.filters.ApiKey refuses it: key: is required',
    );
    expect(await answerOf(mesh.fetch('http://reviews/', { headers: { 'x-key': 'a' } }))).toEqual([
      200,
      'upstream',
    ]);
  });

  test('an unknown one is refused, unless it is optional', async () => {
    const { state, controlPlane } = await plane([
      { name: 'x', typedConfig: typed({}, 'acme.Unknown'), isOptional: true },
    ]);
    const mesh = await join({ controlPlane, filterTypes: [apiKey] });
    expect(await answerOf(mesh.fetch('http://reviews/'))).toEqual([200, 'upstream']);
    const bad = listenerWith([{ name: 'x', typedConfig: typed({}, 'acme.Unknown') }, ROUTER]);
    state.putBytes(LISTENER.typeUrl, 'reviews:80', wire(LISTENER, bad)).publish();
    const error = await eventually(
      'the NACK',
      () => state.seen.find((one) => one.error !== undefined)?.error,
    );
    expect(error).toContain('the filter "acme.Unknown" is not supported');
  });

  test('inbound', async () => {
    const state = new AdsState();
    state.publish();
    const ads = await startEvilAds(behaved(state));
    closers.push(() => ads.kill());
    const options = {
      controlPlane: `127.0.0.1:${ads.port}`,
      configurationTimeoutMs: 300,
      leaveDelayMs: 0,
      filterTypes: [apiKey],
    };
    const member = await serveAs(options, (_request, response) => response.end('in'));
    closers.push(() => member.mesh.close());
    const name = `xds.istio.io/grpc/lds/inbound/127.0.0.1:${member.port}`;
    const listener = {
      name,
      address: { socketAddress: { address: '127.0.0.1', portValue: member.port } },
      filterChains: [
        {
          filters: [
            {
              name: 'hcm',
              typedConfig: {
                '@type':
                  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
                routeConfig: {
                  virtualHosts: [
                    { domains: ['*'], routes: [{ match: { prefix: '/' }, nonForwardingAction: {} }] },
                  ],
                },
                httpFilters: [{ name: 'key', typedConfig: typed({ key: 'a' }) }, ROUTER],
              },
            },
          ],
        },
      ],
    };
    state.putBytes(LISTENER.typeUrl, name, wire(LISTENER, listener)).publish();
    const url = `http://127.0.0.1:${member.port}/`;
    const ask = (key: string) => answerOf(fetch(url, { headers: { 'x-key': key } })).catch(() => undefined);
    const answer = await eventually('plaintext is let in', () => ask('a'));
    expect([answer, await ask('b')]).toEqual([
      [200, 'in'],
      [401, 'no key for inbound'],
    ]);
  });
});
