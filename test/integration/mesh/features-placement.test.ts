import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonValue } from '@bufbuild/protobuf';
import { request } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { CLUSTER, ROUTE_CONFIGURATION } from '../../../src/codec/resource-types.js';
import { loadHashes } from '../../../src/runtime/hash.js';
import { decoded } from '../../unit/codec/wire.js';
import { createStaticMesh, host, snapshotOf } from '../support/static-mesh.js';

/** Routes and clusters as a control plane sends them, in front of real servers. */

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server that answers with its name; the port where it stands. */
async function serve(name: string, status = 200): Promise<number> {
  const server = createServer((_request, response) => response.writeHead(status).end(name));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const at = (portValue: number, labels: Record<string, JsonValue> = {}): JsonValue => ({
  endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } },
  metadata: { filterMetadata: { 'envoy.lb': labels } },
});

const LB = 'type.googleapis.com/envoy.extensions.load_balancing_policies';

interface Scene {
  readonly cluster: Record<string, JsonValue>;
  readonly endpoints: readonly JsonValue[];
  readonly routes: readonly Record<string, JsonValue>[];
}

function meshOf({ cluster, endpoints, routes }: Scene) {
  const model = decoded(CLUSTER, {
    name: 'reviews',
    loadAssignment: { clusterName: 'reviews', endpoints: [{ lbEndpoints: [...endpoints] }] },
    ...cluster,
  });
  const table = decoded(ROUTE_CONFIGURATION, {
    name: 'r',
    virtualHosts: [{ name: 'v', domains: ['*'], routes: [...routes] }],
  });
  const outbound = { ...host('reviews:80', []), routes: table };
  const mesh = createStaticMesh(snapshotOf([outbound], [{ cluster: model, assignment: undefined }]));
  const dispatcher = new MeshDispatcher(mesh);
  closers.push(async () => {
    await dispatcher.close();
    await mesh.close();
  });
  const ask = async (path = '/', headers: Record<string, string> = {}) => {
    const { statusCode, body } = await request(`http://reviews${path}`, { dispatcher, headers });
    const text = await body.text();
    return statusCode === 200 ? text : `${statusCode}`;
  };
  const all = async (path = '/', headers: Record<string, string> = {}) => {
    const answers = new Set<string>();
    for (let i = 0; i < 12; i++) answers.add(await ask(path, headers));
    return [...answers].sort();
  };
  return { mesh, ask, all };
}

const matching = (labels: Record<string, JsonValue>) => ({ filterMetadata: { 'envoy.lb': labels } });

describe('subsets', () => {
  test('routes and weighted clusters choose them; retries stay in them', async () => {
    const [one, two, third, dev] = [
      await serve('v1'),
      await serve('v2'),
      await serve('v2 b'),
      await serve('dev', 503),
    ];
    const { mesh, ask, all } = meshOf({
      cluster: {
        lbSubsetConfig: {
          fallbackPolicy: 'ANY_ENDPOINT',
          subsetSelectors: [
            { keys: ['version'], fallbackPolicy: 'NO_FALLBACK' },
            { keys: ['version', 'stage'] },
          ],
        },
      },
      endpoints: [
        at(one, { version: '1', stage: 'prod' }),
        at(two, { version: '2', stage: 'prod' }),
        at(third, { version: '2', stage: 'prod' }),
        at(dev, { version: '2', stage: 'dev' }),
      ],
      routes: [
        {
          match: { prefix: '/weighted' },
          route: {
            weightedClusters: {
              clusters: [{ name: 'reviews', weight: 1, metadataMatch: matching({ stage: 'prod' }) }],
            },
            metadataMatch: matching({ version: '2' }),
          },
        },
        {
          match: { prefix: '/one' },
          route: { cluster: 'reviews', metadataMatch: matching({ version: '1' }) },
        },
        {
          match: { prefix: '/none' },
          route: { cluster: 'reviews', metadataMatch: matching({ version: '9' }) },
        },
        {
          match: { prefix: '/retried' },
          route: {
            cluster: 'reviews',
            metadataMatch: matching({ version: '2', stage: 'dev' }),
            retryPolicy: {
              retryOn: '5xx',
              numRetries: 3,
              retryHostPredicate: [
                {
                  name: 'p',
                  typedConfig: {
                    '@type':
                      'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
                  },
                },
              ],
            },
          },
        },
        { match: { prefix: '/' }, route: { cluster: 'reviews', metadataMatch: matching({ other: 'x' }) } },
      ],
    });
    expect(await all('/one')).toEqual(['v1']);
    expect(await all('/weighted')).toEqual(['v2', 'v2 b']);
    expect(await ask('/none')).toBe('503');
    // Nobody else is in that subset.
    expect(await ask('/retried')).toBe('503');
    expect(await all('/')).toEqual(['503', 'v1', 'v2', 'v2 b']);
    expect(mesh.clusters.get('reviews')?.stats().subsets).toMatchObject({
      active: 5,
      selected: 28,
      fallback: 12,
    });
  });
});

describe('override_host', () => {
  test('a header names the hosts; the next one has its turn when a retry comes', async () => {
    const [bad, good, other] = [await serve('bad', 503), await serve('good'), await serve('other')];
    const { ask, all } = meshOf({
      cluster: {
        loadBalancingPolicy: {
          policies: [
            {
              typedExtensionConfig: {
                name: 'o',
                typedConfig: {
                  '@type': `${LB}.override_host.v3.OverrideHost`,
                  overrideHostSources: [{ header: 'x-to' }],
                  fallbackPolicy: {
                    policies: [
                      {
                        typedExtensionConfig: {
                          name: 'f',
                          typedConfig: { '@type': `${LB}.pick_first.v3.PickFirst` },
                        },
                      },
                    ],
                  },
                },
              },
            },
          ],
        },
      },
      endpoints: [at(other), at(bad), at(good)],
      routes: [
        {
          match: { prefix: '/' },
          route: { cluster: 'reviews', retryPolicy: { retryOn: '5xx', numRetries: 1 } },
        },
      ],
    });
    const named = (...ports: number[]) => ({ 'x-to': ports.map((port) => `127.0.0.1:${port}`).join(', ') });
    expect(await all('/', named(good))).toEqual(['good']);
    expect(await ask('/', named(bad, good))).toBe('good');
    expect(await ask('/', named(bad))).toBe('other');
    expect(await all()).toEqual(['other']);
  });
});

test('a hash policy of the load balancing policy places requests, whatever their route says', async () => {
  await loadHashes();
  const ports = await Promise.all(['a', 'b', 'c'].map((name) => serve(name)));
  const { ask } = meshOf({
    cluster: {
      loadBalancingPolicy: {
        policies: [
          {
            typedExtensionConfig: {
              name: 'm',
              typedConfig: {
                '@type': `${LB}.maglev.v3.Maglev`,
                tableSize: 1009,
                consistentHashingLbConfig: { hashPolicy: [{ header: { headerName: 'x-user' } }] },
              },
            },
          },
        ],
      },
    },
    endpoints: ports.map((port) => at(port)),
    routes: [
      {
        match: { prefix: '/' },
        route: { cluster: 'reviews', hashPolicy: [{ header: { headerName: 'x-other' } }] },
      },
    ],
  });
  const answers = new Set<string>();
  for (let user = 0; user < 25; user++) {
    const first = await ask('/', { 'x-user': `${user}`, 'x-other': '1' });
    expect(await ask('/', { 'x-user': `${user}`, 'x-other': '2' })).toBe(first);
    answers.add(first);
  }
  expect(answers.size).toBeGreaterThan(1);
});

test('pick_first goes to the next server when it can not connect', async () => {
  const [first, second] = [await serve('first'), await serve('second')];
  const closed = await serve('closed');
  await closers.pop()?.();
  const { ask, all } = meshOf({
    cluster: {
      loadBalancingPolicy: {
        policies: [
          { typedExtensionConfig: { name: 'p', typedConfig: { '@type': `${LB}.pick_first.v3.PickFirst` } } },
        ],
      },
    },
    endpoints: [at(closed), at(first), at(second)],
    routes: [
      {
        match: { prefix: '/' },
        route: { cluster: 'reviews', retryPolicy: { retryOn: 'connect-failure', numRetries: 1 } },
      },
    ],
  });
  expect(await ask()).toBe('first');
  expect(await all()).toEqual(['first']);
});
