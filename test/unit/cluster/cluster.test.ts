import { describe, expect, test } from 'vitest';
import { createCluster } from '../../../src/cluster/cluster.js';
import { TransportError } from '../../../src/cluster/transport.js';
import type { Cluster } from '../../../src/model/cluster.js';
import type { UpstreamTls } from '../../../src/model/tls.js';
import { Abort } from '../../../src/runtime/abort.js';
import { createStalls } from '../../../src/runtime/stalls.js';
import { Completion } from '../../../src/service/completion.js';
import type { MemoryAnswer } from '../../../src/testing/memory-transport.js';
import {
  ANY,
  assignment,
  clusterConfig,
  endpoint,
  endpoints,
  locality,
  outlierConfig,
  request,
  world,
} from './fixtures.js';

const FAILURE = { status: 500 } as const;

describe('a cluster', () => {
  test('sends to its hosts in turn', async () => {
    const { cluster, network } = world();
    const runtime = cluster({}, endpoints('a', 'b'));
    for (let i = 0; i < 6; i++) {
      const response = await runtime.send(runtime.pick(ANY)!, request());
      expect(response.status).toBe(200);
    }
    expect(network.counts()).toEqual(
      new Map([
        ['a:80', 3],
        ['b:80', 3],
      ]),
    );
    await runtime.close();
  });

  test('has nobody to pick while no endpoints are known', async () => {
    const { cluster, tools } = world();
    const runtime = cluster({}, undefined);
    expect(runtime.pick(ANY)).toBeUndefined();
    runtime.update({ cluster: runtime.config, assignment: endpoints('a') });
    expect(runtime.pick(ANY)?.address).toBe('a:80');
    expect(tools).toBeDefined();
  });

  test('opens a transport only when it sends, and keeps it', async () => {
    const { cluster, network } = world();
    const runtime = cluster({}, endpoints('a'));
    const host = runtime.pick(ANY)!;
    expect(network.open.size).toBe(0);
    await runtime.send(host, request());
    const first = network.open.get('a:80');
    await runtime.send(host, request());
    expect(network.open.get('a:80')).toBe(first);
    await runtime.close();
    expect(network.open.size).toBe(0);
  });

  test('counts an attempt until its trailers settle', async () => {
    const completion = new Completion();
    const { cluster } = world({ status: 200, completion });
    const runtime = cluster({}, endpoints('a'));
    const host = runtime.pick(ANY)!;
    await runtime.send(host, request());
    expect(host.activeRequests).toBe(1);
    completion.settle();
    expect(host.activeRequests).toBe(0);
  });

  test('counts an attempt that fails out again and rejects with its error', async () => {
    const { cluster } = world({ failure: 'reset' });
    const runtime = cluster({}, endpoints('a'));
    const host = runtime.pick(ANY)!;
    await expect(runtime.send(host, request())).rejects.toMatchObject({
      failure: 'reset',
      requestSent: true,
    });
    expect(host.activeRequests).toBe(0);
    expect(runtime.stats().hosts).toMatchObject([{ requests: 1, errors: 1, successes: 0, failures: 0 }]);
  });

  test('never repeats a host while a usable one was not tried, though least request prefers the idle dead one', () => {
    const { cluster } = world();
    const lbPolicy = { kind: 'least-request', choiceCount: 2, activeRequestBias: 1 } as const;
    const runtime = cluster({ lbPolicy }, endpoints('dead', 'busy'));
    const dead = runtime.hosts.get('dead:80')!;
    // The other one has work, so two choices out of three fall on the dead host.
    for (let i = 0; i < 5; i++) runtime.hosts.get('busy:80')!.enter();
    for (let i = 0; i < 200; i++) {
      expect(runtime.pick({ priority: 'default', avoid: [dead], selectionAttempts: 1 })?.address).toBe(
        'busy:80',
      );
    }
  });

  test('repeats a host when every usable one was tried', () => {
    const { cluster } = world();
    const runtime = cluster({}, endpoints('a'));
    const a = runtime.hosts.get('a:80')!;
    expect(runtime.pick({ priority: 'default', avoid: [a], selectionAttempts: 5 })).toBe(a);
  });

  test('takes static endpoints from its configuration', () => {
    const { cluster } = world();
    const runtime = cluster({ discovery: { kind: 'static', assignment: endpoints('s') } }, undefined);
    expect(runtime.pick(ANY)?.address).toBe('s:80');
  });

  test('keeps hosts and their counters over an update', async () => {
    const { cluster, network } = world();
    const runtime = cluster({}, endpoints('a', 'b'));
    for (let i = 0; i < 2; i++) await runtime.send(runtime.pick(ANY)!, request());
    const before = runtime.hosts.get('b:80');
    runtime.update({ cluster: runtime.config, assignment: endpoints('b', 'c') });
    expect(runtime.hosts.get('b:80')).toBe(before);
    expect(before?.totals.requests).toBe(1);
    expect([...network.open.keys()]).toEqual(['b:80']);
  });

  test('lets an old stack send through a host that is gone, and leaves nothing open', async () => {
    const completion = new Completion();
    const { cluster, network } = world({ status: 200, completion });
    const runtime = cluster({}, endpoints('a'));
    const host = runtime.pick(ANY)!;
    runtime.update({ cluster: runtime.config, assignment: endpoints('b') });
    await runtime.send(host, request());
    expect([...network.open.keys()]).toEqual(['a:80']);
    completion.settle();
    expect(network.open.size).toBe(0);
  });
});

describe('the TLS of an endpoint', () => {
  const mesh: UpstreamTls = { mode: 'mesh', sni: 'mesh', subjectAltNames: [], alpn: [] };
  const simple: UpstreamTls = { ...mesh, mode: 'simple', sni: 'simple' };
  const config: Partial<Cluster> = {
    tls: simple,
    transportSocketMatches: [
      { name: 'mesh', match: { tlsMode: 'istio' }, tls: mesh },
      { name: 'plain', match: { tlsMode: 'disabled', zone: 'a' }, tls: undefined },
    ],
  };

  test.each([
    [{ tlsMode: 'istio' }, mesh],
    [{ tlsMode: 'disabled', zone: 'a', more: 'x' }, undefined],
    [{ tlsMode: 'disabled' }, simple],
    [{}, simple],
  ])('is the first match for the labels %o', async (transportSocketMatch, expected) => {
    const { cluster, network } = world();
    const runtime = cluster(config, assignment(locality([endpoint('a', { transportSocketMatch })])));
    await runtime.send(runtime.pick(ANY)!, request());
    expect(network.open.get('a:80')?.tls).toEqual(expected);
  });

  test('is plaintext when nothing asks for more', async () => {
    const { cluster, network } = world();
    const runtime = cluster({}, endpoints('a'));
    await runtime.send(runtime.pick(ANY)!, request());
    expect(network.open.get('a:80')).toEqual({
      tls: undefined,
      connectTimeoutMs: 1000,
      idleTimeoutMs: 60_000,
      maxConnections: Number.POSITIVE_INFINITY,
      maxRequestsPerConnection: 0,
    });
  });
});

describe('outlier detection of a cluster', () => {
  const config = { outlierDetection: outlierConfig() };

  async function sendTimes(answers: Readonly<Record<string, MemoryAnswer>>, times: number) {
    const own = world();
    for (const [address, answer] of Object.entries(answers)) own.network.serve(address, answer);
    const runtime = own.cluster(config, endpoints('a', 'b', 'c'));
    for (let i = 0; i < times; i++) {
      await runtime.send(runtime.pick(ANY)!, request()).catch((error: unknown) => {
        expect(TransportError.is(error)).toBe(true);
      });
    }
    return { ...own, runtime };
  }

  test.each<[string, MemoryAnswer]>([
    ['answers 500', FAILURE],
    ['refuses connections', { failure: 'connect' }],
    ['resets', { failure: 'reset' }],
  ])('ejects a host that %s, and takes it back', async (_, answer) => {
    const { clock, network, runtime, ejections } = await sendTimes({ 'a:80': answer }, 15);
    expect(ejections.filter(({ enforced }) => enforced)).toMatchObject([
      { cluster: 'reviews', host: 'a:80', action: 'eject', type: 'Consecutive5xx', enforced: true },
    ]);
    network.forget();
    for (let i = 0; i < 10; i++) await runtime.send(runtime.pick(ANY)!, request());
    expect(network.counts().get('a:80')).toBeUndefined();
    await clock.advance(30_000);
    expect(ejections.at(-1)).toMatchObject({ action: 'uneject', host: 'a:80' });
    const picked = Array.from({ length: 3 }, () => runtime.pick(ANY)?.address);
    expect(picked).toContain('a:80');
    await runtime.close();
    expect(clock.pending).toBe(0);
  });

  test('lowers the rank of a host that calls itself degraded in an answer that is no failure', async () => {
    const answer = (status: number) => ({ status, headers: { 'x-envoy-degraded': '' } });
    const { cluster, network, tools } = world();
    network.serve('a:80', answer(200));
    network.serve('b:80', answer(500));
    const runtime = cluster(
      { outlierDetection: outlierConfig({ detectDegradedHosts: true }) },
      endpoints('a', 'b', 'c'),
    );
    for (let i = 0; i < 3; i++) await runtime.send(runtime.pick(ANY)!, request());
    expect(runtime.stats().hosts.map(({ health }) => health)).toEqual(['degraded', 'healthy', 'healthy']);
    expect(runtime.stats().outliers?.detected).toEqual({ Degraded: 1 });
    expect(
      createCluster({ cluster: clusterConfig({}), assignment: endpoints('a') }, tools).stats().outliers,
    ).toBe(undefined);
  });

  test('does not blame a host when the caller gives up', async () => {
    const { ejections, runtime } = await sendTimes({}, 0);
    const abort = new Abort();
    abort.abort(new Error('enough'));
    for (let i = 0; i < 30; i++) {
      await expect(runtime.send(runtime.pick(ANY)!, request({ abort }))).rejects.toThrow();
    }
    expect(ejections).toEqual([]);
  });

  test('does not blame a host for what happened while this process was stalled', async () => {
    const { network, tools, clock, ejections } = world();
    const stalls = createStalls(clock);
    const runtime = createCluster(
      { cluster: clusterConfig(config), assignment: endpoints('a') },
      { ...tools, stalls },
    );
    let blockMs = 1000;
    network.serve('a:80', () => {
      clock.block(blockMs);
      return { failure: 'connect' };
    });
    const host = runtime.pick(ANY)!;
    const fail = () => expect(runtime.send(host, request())).rejects.toThrow();
    for (let i = 0; i < 10; i++) await fail();
    expect(ejections).toEqual([]);
    blockMs = 0;
    for (let i = 0; i < 5; i++) await fail();
    expect(ejections.at(-1)).toMatchObject({ host: 'a:80', action: 'eject', enforced: true });
    await runtime.close();
    await clock.advance(20);
    expect(clock.pending).toBe(0);
  });

  test('blames a host for timeouts that are reported', async () => {
    const { ejections, runtime } = await sendTimes({}, 0);
    const host = runtime.pick(ANY)!;
    for (let i = 0; i < 5; i++) runtime.reportTimeout(host);
    expect(ejections.at(-1)).toMatchObject({ host: host.address, action: 'eject', enforced: true });
  });

  test('blames a host for bodies that break off', async () => {
    const { cluster, network, ejections } = world();
    const runtime = cluster(config, endpoints('a', 'b'));
    network.serve('a:80', () => {
      const completion = new Completion();
      queueMicrotask(() => completion.settle(undefined, new TransportError('reset', true, 'broken')));
      return { status: 500, completion };
    });
    for (let i = 0; i < 8; i++) await runtime.send(runtime.pick(ANY)!, request());
    // Each of its answers counts twice: as 500 and as a reset.
    expect(ejections.at(-1)).toMatchObject({ host: 'a:80', action: 'eject', enforced: true });
  });
});

describe('DNS clusters', () => {
  test('have endpoints once their names are resolved', async () => {
    const own = world();
    const discovery = { kind: 'strict-dns', assignment: endpoints('db'), refreshRateMs: 5000 } as const;

    const runtime = createCluster(
      { cluster: clusterConfig({ discovery }), assignment: undefined },
      { ...own.tools, resolveName: async () => ['10.0.0.1', '10.0.0.2'] },
    );
    expect(runtime.pick(ANY)).toBeUndefined();
    await runtime.ready;
    expect([...runtime.hosts.keys()]).toEqual(['10.0.0.1:80', '10.0.0.2:80']);
    expect(runtime.pick(ANY)).toBeDefined();
    await runtime.close();
    expect(own.clock.pending).toBe(0);
  });
});

test('a cluster that need not warm up answers at once, before its names are known', async () => {
  const { tools } = world();
  const config = clusterConfig({
    discovery: { kind: 'strict-dns', assignment: endpoints('db'), refreshRateMs: 5000 },
    waitsForWarmUp: false,
  });
  const runtime = createCluster(
    { cluster: config, assignment: undefined },
    { ...tools, resolveName: () => new Promise(() => {}) },
  );
  await runtime.ready;
  expect(runtime.pick(ANY)).toBeUndefined();
  await runtime.close();
});
