import { beforeAll, describe, expect, test } from 'vitest';
import { type ClusterRuntime, createCluster } from '../../../src/cluster/cluster.js';
import type { PickContext } from '../../../src/cluster/lb/load-balancer.js';
import { type AttemptOptions, attempt } from '../../../src/mesh/upstream.js';
import { compileHashPolicies } from '../../../src/routing/hash-policy.js';
import { loadHashes, xxHash64 } from '../../../src/runtime/hash.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import type { Service } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { createMemoryNetwork } from '../../../src/testing/memory-transport.js';
import { cluster, endpoint } from '../../integration/support/static-mesh.js';
import { makeRequest } from '../filters/support.js';

/** One attempt at a cluster that notes what its load balancer is told, and asks for the hash as one that hashes does. */
function scene(options: Partial<AttemptOptions>): {
  service: Service;
  hashes: unknown[];
  picks: PickContext[];
} {
  const [clock, network] = [createFakeClock(), createMemoryNetwork()];
  network.serve('127.0.0.1:1', { status: 200 });
  const inner = createCluster(cluster('v1', [endpoint(1)]), {
    clock,
    random: seededRandom(1),
    transport: network.transport,
    observer: {},
    logger: silentLogger,
  });
  const picks: PickContext[] = [];
  const hashes: unknown[] = [];
  const outer: ClusterRuntime = {
    name: inner.name,
    config: inner.config,
    breakers: inner.breakers,
    connections: inner.connections,
    ready: inner.ready,
    hosts: inner.hosts,
    hostSets: inner.hostSets,
    memberOf: () => outer,
    shed: () => inner.shed(),
    overflowed: () => inner.overflowed(),
    send: (host, request) => inner.send(host, request),
    dial: (host, done) => inner.dial(host, done),
    reportTimeout: (host) => inner.reportTimeout(host),
    update: (resolved) => inner.update(resolved),
    stats: () => inner.stats(),
    close: (kept) => inner.close(kept),
    pick: (context) => {
      picks.push(context);
      hashes.push(context.request && context.hash?.(context.request));
      return inner.pick(context);
    },
  };
  const defaults: AttemptOptions = {
    priority: 'default',
    avoidPreviousHosts: false,
    hostSelectionAttempts: 1,
    sendAttemptCount: false,
  };
  return { service: attempt(outer, { ...defaults, ...options }, { clock, observer: {} }), hashes, picks };
}

beforeAll(loadHashes);

describe('what a load balancer is told of a request', () => {
  test('its hash, as the route’s policies make it', async () => {
    const hash = compileHashPolicies(
      [{ source: { kind: 'header', name: 'x-user' }, terminal: false }],
      '127.0.0.1',
    );
    const { service, hashes } = scene({ hash });
    await service(makeRequest({ header: { 'x-user': 'jason' } }));
    await service(makeRequest());
    expect(hashes).toEqual([xxHash64('jason'), undefined]);
  });

  test('what its route asks of hosts; filters add to it and go before it', async () => {
    const { service, picks } = scene({ metadataMatch: { version: '1', stage: 'prod' } });
    await service(makeRequest());
    const request = makeRequest();
    request.context.dynamicMetadata = new Map([['envoy.lb', { version: '2', zone: 'a' }]]);
    await service(request);
    expect(picks.map(({ metadataMatch }) => metadataMatch)).toEqual([
      { version: '1', stage: 'prod' },
      { version: '2', stage: 'prod', zone: 'a' },
    ]);
  });

  test('a cookie that was made for the hash goes back with every answer of a host', async () => {
    const source = { kind: 'cookie', name: 's', ttlSeconds: 5, path: '/', attributes: [] } as const;
    const hash = compileHashPolicies([{ source, terminal: false }], '127.0.0.1');
    const { service } = scene({ hash });
    const request = makeRequest();
    const first = await service(request);
    const second = await service(request);
    expect(first.headers.getAll('set-cookie')).toEqual([
      expect.stringMatching(/^s="[0-9a-f]{16}"; Max-Age=5; Path=\/; HttpOnly$/),
    ]);
    expect(second.headers.getAll('set-cookie')).toEqual(first.headers.getAll('set-cookie'));
    const again = await service(makeRequest({ header: { cookie: 's=known' } }));
    expect(again.headers.has('set-cookie')).toBe(false);
  });
});
