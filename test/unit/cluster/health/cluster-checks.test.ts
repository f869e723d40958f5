import { describe, expect, test } from 'vitest';
import { createCluster } from '../../../../src/cluster/cluster.js';
import {
  ANY,
  assignment,
  clusterConfig,
  endpoint,
  endpoints,
  locality,
  outlierConfig,
  request,
} from '../fixtures.js';
import { checkedWorld, healthCheck } from './fixtures.js';

const REFUSED = { failure: 'connect' } as const;

function health(cluster: ReturnType<typeof createCluster>): Record<string, string> {
  return Object.fromEntries(cluster.stats().hosts.map(({ address, health: one }) => [address, one]));
}

describe('a cluster with health checks', () => {
  test('serves nothing before every host was checked once, then the good ones only', async () => {
    const { cluster, clock, answer } = checkedWorld();
    answer('a:80', { status: 200 });
    answer('b:80', 'hang');
    const runtime = cluster({ panicThresholdPercent: 0 }, endpoints('a', 'b'));
    let isReady = false;
    void runtime.ready.then(() => {
      isReady = true;
    });
    await clock.advance(0);
    expect(runtime.pick(ANY)).toBeUndefined();
    expect(isReady).toBe(false);
    await clock.advance(1000);
    expect(isReady).toBe(true);
    for (let i = 0; i < 4; i++) expect(runtime.pick(ANY)?.address).toBe('a:80');
    expect(runtime.stats().hosts[1]?.healthFlags).toEqual(['failed_active_hc', 'active_hc_timeout']);
    await runtime.close();
    // The watch over this process' own stalls looks once more.
    await clock.advance(50);
    expect(clock.pending).toBe(0);
  });

  test('takes a host out after so many network failures, and at once for a wrong answer', async () => {
    const { cluster, clock, answer } = checkedWorld();
    answer('a:80', { status: 200 });
    const runtime = cluster({}, endpoints('a', 'b'));
    await clock.advance(0);
    expect(health(runtime)).toEqual({ 'a:80': 'healthy', 'b:80': 'healthy' });
    answer('a:80', REFUSED);
    answer('b:80', { status: 503 });
    await clock.advance(10_000);
    expect(health(runtime)).toEqual({ 'a:80': 'healthy', 'b:80': 'unhealthy' });
    await clock.advance(10_000);
    expect(health(runtime)['a:80']).toBe('healthy');
    await clock.advance(10_000);
    expect(health(runtime)['a:80']).toBe('unhealthy');
    answer('a:80', { status: 200 });
    await clock.advance(10_000);
    expect(health(runtime)['a:80']).toBe('unhealthy');
    await clock.advance(10_000);
    expect(health(runtime)['a:80']).toBe('healthy');
    expect(runtime.pick(ANY)?.address).toBe('a:80');
    await runtime.close();
  });

  test('waits longer while there is no traffic', async () => {
    const { cluster, clock, checked } = checkedWorld();
    const runtime = cluster(
      { healthCheck: healthCheck({ noTrafficIntervalMs: 60_000, noTrafficHealthyIntervalMs: 60_000 }) },
      endpoints('a'),
    );
    await clock.advance(59_000);
    expect(checked('a:80')).toBe(1);
    await runtime.send(runtime.pick(ANY)!, request());
    await clock.advance(1000);
    expect(checked('a:80')).toBe(2);
    await clock.advance(10_000);
    expect(checked('a:80')).toBe(3);
    await runtime.close();
  });

  test('tells of what changes, and of first failures', async () => {
    const { cluster, clock, answer, events } = checkedWorld();
    answer('a:80', REFUSED);
    const runtime = cluster({ healthCheck: healthCheck({ healthyThreshold: 1 }) }, endpoints('a'));
    await clock.advance(10_000);
    answer('a:80', { status: 200, headers: { 'x-envoy-degraded': '' } });
    await clock.advance(10_000);
    expect(health(runtime)).toEqual({ 'a:80': 'degraded' });
    answer('a:80', { status: 200 });
    await clock.advance(10_000);
    answer('a:80', { status: 500 });
    await clock.advance(20_000);
    expect(events.map(({ event, failure, firstCheck }) => [event, failure, firstCheck])).toEqual([
      ['failed', 'NETWORK', true],
      ['added', undefined, false],
      ['degraded', undefined, false],
      ['undegraded', undefined, false],
      ['ejected', 'ACTIVE', false],
    ]);
    expect(events.at(-1)).toMatchObject({
      cluster: 'reviews',
      host: 'a:80',
      checker: 'http',
      message: 'the status is 500',
    });
    expect(runtime.stats().healthChecks).toEqual({
      attempts: 6,
      successes: 2,
      failures: 4,
      networkFailures: 2,
      passiveFailures: 0,
      healthy: 0,
      degraded: 0,
    });
    await runtime.close();
  });

  test('tells of everything when asked to', async () => {
    const { cluster, clock, answer, events } = checkedWorld();
    const check = healthCheck({ alwaysLogFailures: true, alwaysLogSuccess: true, unhealthyThreshold: 2 });
    const runtime = cluster({ healthCheck: check }, endpoints('a'));
    await clock.advance(10_000);
    answer('a:80', REFUSED);
    await clock.advance(30_000);
    expect(events.map(({ event }) => event)).toEqual([
      'added',
      'passed',
      'failed',
      'ejected',
      'failed',
      'failed',
    ]);
    await runtime.close();
  });

  test('lets a response to a request fail its host at once, out of all totals, until checks pass', async () => {
    const { cluster, clock, network } = checkedWorld();
    const runtime = cluster({ panicThresholdPercent: 0 }, endpoints('a', 'b'));
    await clock.advance(0);
    network.serve('a:80', { status: 200, headers: { 'x-envoy-immediate-health-check-fail': 'true' } });
    const a = runtime.hosts.get('a:80')!;
    await runtime.send(a, request());
    await clock.advance(0);
    expect(runtime.stats().hosts[0]?.healthFlags).toEqual([
      'failed_active_hc',
      'excluded_via_immediate_hc_fail',
    ]);
    expect(a.isExcluded).toBe(true);
    for (let i = 0; i < 4; i++) expect(runtime.pick(ANY)?.address).toBe('b:80');
    await clock.advance(20_000);
    expect(health(runtime)['a:80']).toBe('healthy');
    expect(a.isExcluded).toBe(false);
    expect(runtime.stats().healthChecks?.passiveFailures).toBe(1);
    await runtime.close();
  });

  test('keeps new hosts out of the totals until they were checked, when told so', async () => {
    const { cluster, clock, answer } = checkedWorld();
    const runtime = cluster({ ignoreNewHostsUntilFirstCheck: true }, endpoints('a'));
    await clock.advance(0);
    answer('b:80', 'hang');
    runtime.update({ cluster: runtime.config, assignment: endpoints('a', 'b') });
    expect(runtime.hosts.get('b:80')).toMatchObject({ isExcluded: true, health: 'unhealthy' });
    await clock.advance(1000);
    expect(runtime.hosts.get('b:80')).toMatchObject({ isExcluded: false, health: 'unhealthy' });
    await runtime.close();
  });

  test('keeps a host that discovery drops for as long as it passes', async () => {
    const { cluster, clock, answer } = checkedWorld();
    const runtime = cluster({}, endpoints('a', 'b'));
    await clock.advance(0);
    runtime.update({ cluster: runtime.config, assignment: endpoints('a') });
    const b = runtime.stats().hosts[1];
    expect(b).toMatchObject({ address: 'b:80', healthFlags: ['pending_dynamic_removal'] });
    expect(new Set([runtime.pick(ANY), runtime.pick(ANY)].map((one) => one?.address))).toEqual(
      new Set(['a:80', 'b:80']),
    );
    answer('b:80', { status: 404 });
    await clock.advance(10_000);
    expect(health(runtime)).toEqual({ 'a:80': 'healthy' });
    await runtime.close();
  });

  test('forgets that a host was dropped when it comes back', async () => {
    const { cluster, clock, answer } = checkedWorld();
    const runtime = cluster({}, endpoints('a', 'b'));
    await clock.advance(0);
    const before = runtime.hosts.get('b:80');
    runtime.update({ cluster: runtime.config, assignment: endpoints('a') });
    runtime.update({ cluster: runtime.config, assignment: endpoints('a', 'b') });
    expect(runtime.hosts.get('b:80')).toBe(before);
    answer('b:80', { status: 404 });
    await clock.advance(10_000);
    expect(health(runtime)).toEqual({ 'a:80': 'healthy', 'b:80': 'unhealthy' });
    await runtime.close();
  });

  test('drops at once what fails its checks, and everything when told to ignore health', async () => {
    const { cluster, clock, answer } = checkedWorld();
    answer('b:80', { status: 404 });
    const kept = cluster({}, endpoints('a', 'b'));
    await clock.advance(0);
    kept.update({ cluster: kept.config, assignment: endpoints('a') });
    expect(health(kept)).toEqual({ 'a:80': 'healthy' });
    const ignoring = cluster({ ignoreHealthOnHostRemoval: true }, endpoints('c', 'd'));
    await clock.advance(0);
    ignoring.update({ cluster: ignoring.config, assignment: endpoints('c') });
    expect(health(ignoring)).toEqual({ 'c:80': 'healthy' });
    await kept.close();
    await ignoring.close();
    // The watch over this process' own stalls looks once more.
    await clock.advance(50);
    expect(clock.pending).toBe(0);
  });

  test('checks an endpoint where and as it says, or not at all', async () => {
    const { cluster, clock, network } = checkedWorld();
    const at = (address: string, more: object) =>
      endpoint(address, {
        healthCheck: { port: 0, address: undefined, hostname: '', isDisabled: false, ...more },
      });
    network.serve('a:8080', { status: 200 });
    network.serve('c:99', { status: 503 });
    const runtime = cluster(
      { panicThresholdPercent: 0 },
      assignment(
        locality([
          at('a', { port: 8080, hostname: 'a.example' }),
          at('b', { isDisabled: true }),
          at('c', { address: { address: 'c', port: 99 } }),
        ]),
      ),
    );
    await clock.advance(0);
    expect(health(runtime)).toEqual({ 'a:80': 'healthy', 'b:80': 'healthy', 'c:80': 'unhealthy' });
    expect(network.counts()).toEqual(
      new Map([
        ['a:8080', 1],
        ['c:99', 1],
      ]),
    );
    expect(network.attempts[0]?.request).toMatchObject({ authority: 'a.example' });
    // Another address to check is another host; what is no longer checked is healthy.
    const before = runtime.hosts.get('c:80');
    runtime.update({
      cluster: runtime.config,
      assignment: assignment(locality([at('a', { port: 8080, isDisabled: true }), at('c', { port: 98 })])),
    });
    expect(runtime.hosts.get('a:80')?.check).toBeUndefined();
    expect(runtime.hosts.get('c:80')).not.toBe(before);
    await runtime.close();
  });

  test('a passing check takes an ejected host back, unless that is off', async () => {
    const { cluster, clock, network } = checkedWorld();
    const outlierDetection = outlierConfig({ consecutive5xx: { threshold: 1, enforcingPercent: 100 } });
    const runtime = cluster({ outlierDetection }, endpoints('a'));
    const off = cluster(
      { outlierDetection: { ...outlierDetection, passedCheckUnejects: false } },
      endpoints('z'),
    );
    await clock.advance(0);
    for (const [one, address] of [
      [runtime, 'a:80'],
      [off, 'z:80'],
    ] as const) {
      network.serve(address, ({ path }) => ({ status: path === '/healthz' ? 200 : 500 }));
      await one.send(one.hosts.get(address)!, request());
      expect(health(one)[address]).toBe('unhealthy');
    }
    await clock.advance(10_000);
    expect(health(runtime)['a:80']).toBe('healthy');
    expect(health(off)['z:80']).toBe('unhealthy');
    await runtime.close();
    await off.close();
  });

  test('gives a host that fails new connections, and lets the old ones finish', async () => {
    const { cluster, clock, answer, network } = checkedWorld();
    const runtime = cluster({}, endpoints('a'));
    await clock.advance(0);
    const host = runtime.hosts.get('a:80')!;
    await runtime.send(host, request());
    const first = network.open.get('a:80');
    answer('a:80', { status: 500 });
    await clock.advance(10_000);
    await runtime.send(host, request());
    expect(network.open.get('a:80')).not.toBe(first);
    await runtime.close();
  });

  test('what broke or took too long while this process was stalled is no failure', async () => {
    const { cluster, clock, answer, stalls } = checkedWorld();
    const runtime = cluster({ healthCheck: healthCheck({ unhealthyThreshold: 1 }) }, endpoints('a'));
    await clock.advance(0);
    answer('a:80', 'hang');
    await clock.advance(10_000);
    clock.block(5000);
    await clock.advance(900);
    expect(health(runtime)['a:80']).toBe('healthy');
    await clock.advance(1100);
    expect(health(runtime)['a:80']).toBe('unhealthy');
    expect(stalls).toBeDefined();
    await runtime.close();
  });

  test('a successor goes on with what was known and checks afresh', async () => {
    const { cluster, clock, answer, tools } = checkedWorld();
    answer('b:80', { status: 500 });
    const old = cluster({}, endpoints('a', 'b'));
    await clock.advance(0);
    answer('a:80', 'hang');
    const changed = clusterConfig({ healthCheck: healthCheck({ intervalMs: 5000 }) });
    const next = createCluster({ cluster: changed, assignment: endpoints('a', 'b') }, tools, old);
    await old.close(next.hosts);
    expect(health(next)).toEqual({ 'a:80': 'healthy', 'b:80': 'unhealthy' });
    expect(next.pick(ANY)?.address).toBe('a:80');
    await clock.advance(1000);
    expect(health(next)).toEqual({ 'a:80': 'unhealthy', 'b:80': 'unhealthy' });
    const without = createCluster({ cluster: clusterConfig(), assignment: endpoints('a', 'b') }, tools, next);
    await next.close(without.hosts);
    expect(health(without)).toEqual({ 'a:80': 'healthy', 'b:80': 'healthy' });
    await without.close();
    // The watch over this process' own stalls looks once more.
    await clock.advance(50);
    expect(clock.pending).toBe(0);
  });
});
