import { describe, expect, test } from 'vitest';
import { createProbes } from '../../../../src/mesh/health/open-probe.js';
import type { Cluster } from '../../../../src/model/cluster.js';
import type { Endpoint } from '../../../../src/model/endpoint.js';
import type { HealthCheck, HttpHealthChecker } from '../../../../src/model/health-check.js';
import { Abort } from '../../../../src/runtime/abort.js';
import { readBody } from '../../../../src/service/body.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';
import { createMemoryNetwork, type MemoryAnswer } from '../../../../src/testing/memory-transport.js';
import { clusterConfig, host } from '../../cluster/fixtures.js';
import { healthCheck, httpChecker } from '../../cluster/health/fixtures.js';

interface Given {
  readonly check?: Partial<HealthCheck>;
  readonly cluster?: Partial<Cluster>;
  readonly endpoint?: Partial<Endpoint>;
}

function probe(answer: MemoryAnswer, checker: Partial<HttpHealthChecker> = {}, given: Given = {}) {
  const network = createMemoryNetwork(answer);
  const open = createProbes(createFakeClock());
  const check = healthCheck({ checker: httpChecker(checker), ...given.check });
  const cluster = clusterConfig({ healthCheck: check, ...given.cluster });
  const subject = open({ check, cluster, host: host('a', given.endpoint), transport: network.transport });
  return { network, run: () => subject.run(new Abort()), close: () => subject.close() };
}

describe('a check by HTTP', () => {
  test('asks as Envoy does', async () => {
    const { network, run } = probe({ status: 200 });
    expect(await run()).toEqual({ kind: 'passed', degraded: false });
    const { request } = network.attempts[0]!;
    expect(request).toMatchObject({ method: 'GET', path: '/healthz', authority: 'reviews', scheme: 'http' });
    expect([...request.headers]).toEqual([
      ['host', 'reviews'],
      ['user-agent', 'Envoy/HC'],
    ]);
  });

  test('asks as it is told', async () => {
    const { network, run } = probe(
      { status: 200 },
      {
        host: 'h.example',
        method: 'PUT',
        send: Buffer.from('hello').toString('hex'),
        headers: {
          remove: ['user-agent'],
          add: [
            { name: 'x-to', value: '%UPSTREAM_HOST%', action: 'append-if-exists-or-add', keepEmpty: false },
          ],
        },
      },
    );
    await run();
    const { request } = network.attempts[0]!;
    expect((await readBody(request.body)).toString()).toBe('hello');
    expect([...request.headers]).toEqual([
      ['host', 'h.example'],
      ['x-to', 'a:80'],
    ]);
  });

  test.each<[string, MemoryAnswer, Partial<HttpHealthChecker>, object]>([
    ['another good status', { status: 204 }, {}, { kind: 'failed', failure: 'ACTIVE', isRetriable: false }],
    [
      'a status of a range',
      { status: 204 },
      { expectedStatuses: [{ start: 200, end: 300 }] },
      { kind: 'passed' },
    ],
    [
      'the end of a range',
      { status: 300 },
      { expectedStatuses: [{ start: 200, end: 300 }] },
      { kind: 'failed' },
    ],
    [
      'a retriable status',
      { status: 503 },
      { retriableStatuses: [{ start: 500, end: 600 }] },
      { failure: 'ACTIVE', isRetriable: true },
    ],
    [
      'a failure that asks for no traffic',
      { status: 503, headers: { 'x-envoy-immediate-health-check-fail': 'true' } },
      {},
      { failure: 'ACTIVE', excludes: true },
    ],
    ['no connection', { failure: 'connect' }, {}, { failure: 'NETWORK' }],
    ['a reset', { failure: 'reset' }, {}, { failure: 'NETWORK' }],
    [
      'a degraded host',
      { status: 200, headers: { 'x-envoy-degraded': '' } },
      {},
      { kind: 'passed', degraded: true },
    ],
    ['texts in order', { status: 200, body: 'xABxCDx' }, { receive: ['4142', '4344'] }, { kind: 'passed' }],
    [
      'texts out of order',
      { status: 200, body: 'CDAB' },
      { receive: ['4142', '4344'] },
      { failure: 'ACTIVE' },
    ],
    [
      'a text beyond what is read',
      { status: 200, body: '----AB' },
      { receive: ['4142'], responseBufferBytes: 5 },
      { failure: 'ACTIVE' },
    ],
    [
      'a text anywhere',
      { status: 200, body: `${'-'.repeat(2000)}AB` },
      { receive: ['4142'], responseBufferBytes: 0 },
      { kind: 'passed' },
    ],
    [
      'the name of the service',
      { status: 200, headers: { 'x-envoy-upstream-healthchecked-cluster': 'reviews-v1' } },
      { serviceName: { kind: 'prefix', value: 'reviews', ignoreCase: false } },
      { kind: 'passed' },
    ],
    [
      'no name of the service',
      { status: 200 },
      { serviceName: { kind: 'prefix', value: 'reviews', ignoreCase: false } },
      { failure: 'ACTIVE', isRetriable: false },
    ],
  ])('%s', async (_what, answer, checker, expected) => {
    expect(await probe(answer, checker).run()).toMatchObject(expected);
  });

  test('has a connection of its own, with the TLS that the check asks for', async () => {
    const tls = { mode: 'mesh', sni: 'reviews', subjectAltNames: [], alpn: ['istio'] } as const;
    const { network, run, close } = probe(
      { status: 200 },
      {},
      {
        check: { timeoutMs: 70, alpn: ['x'], transportSocketMatch: { tlsMode: 'istio' } },
        cluster: { transportSocketMatches: [{ name: 'm', match: { tlsMode: 'istio' }, tls }] },
      },
    );
    await run();
    expect(network.open.get('a:80')).toMatchObject({
      tls: { mode: 'mesh', alpn: ['x'] },
      connectTimeoutMs: 70,
      maxConnections: 1,
    });
    await run();
    close();
    expect(network.open.size).toBe(0);
  });

  test('makes a connection for each check when it may not keep one', async () => {
    const { network, run } = probe({ status: 200 }, {}, { check: { reuseConnection: false } });
    await run();
    expect(network.open.size).toBe(0);
  });
});
