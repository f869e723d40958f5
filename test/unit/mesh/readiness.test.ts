import { expect, test } from 'vitest';
import type { Probe, ProbeResult } from '../../../src/cluster/health/probe.js';
import { LISTENER } from '../../../src/codec/resource-types.js';
import { createCompiler } from '../../../src/control-plane/compile/compile.js';
import { DEFAULT_MESH_CONFIG } from '../../../src/control-plane/mesh/mesh-config.js';
import { workloadsOfNode } from '../../../src/control-plane/registry/node-workloads.js';
import { snapshotOf } from '../../../src/control-plane/registry/snapshot.js';
import { Readiness } from '../../../src/mesh/readiness.js';
import type { Cluster } from '../../../src/model/cluster.js';
import type { NodeMetadata, NodeWorkload } from '../../../src/model/node.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { networking, nodeOf, service, viewOf } from '../control-plane/compile/mesh.js';

const SERVED: NodeWorkload = {
  service: 'a',
  address: '10.0.0.1',
  port: 80,
  portName: '',
  tlsMode: 'istio',
};

/** What a member of a group with this probe receives for its served port. */
function compiled(probe: string, metadata: Partial<NodeMetadata> = {}) {
  const text =
    service('a', 80) +
    networking('WorkloadGroup', 'g', `metadata: {labels: {app: a}}\ntemplate: {}\nprobe: ${probe}`);
  const node = nodeOf({ INMESH_WORKLOADS: [SERVED], ...metadata });
  const registry = snapshotOf(workloadsOfNode(node) ?? []);
  const set = createCompiler(DEFAULT_MESH_CONFIG).compile(viewOf(text), registry, node);
  const listener = set.listenerOf('xds.istio.io/grpc/lds/inbound/10.0.0.1:80');
  if (listener?.kind !== 'inbound') throw new Error('there is no inbound listener');
  const endpoints = set.endpoints.get('outbound|80||a.default.svc.cluster.local')?.localities ?? [];
  return { listener, count: endpoints.flatMap((one) => one.endpoints).length };
}

test.each([
  [
    '{httpGet: {path: /ready, port: 81, httpHeaders: [{name: X-A, value: 1%}]}, failureThreshold: 2, periodSeconds: 5}',
    { kind: 'http', path: '/ready', expectedStatuses: [{ start: 200, end: 400 }] },
    [5000, 1000, 2, 1],
    undefined,
  ],
  ['{httpGet: {port: 443, scheme: HTTPS}}', { kind: 'http', path: '/' }, [10_000, 1000, 3, 1], 'simple'],
  ['{tcpSocket: {port: 80}, successThreshold: 2}', { kind: 'tcp' }, [10_000, 1000, 3, 2], 'mesh'],
  [
    '{grpc: {port: 50, service: s}, timeoutSeconds: 3}',
    { kind: 'grpc', serviceName: 's' },
    [10_000, 3000, 3, 1],
    undefined,
  ],
])(
  'the probe %s goes along with the served port, and comes over the wire as it was',
  (probe, checker, times, tls) => {
    const { listener } = compiled(probe);
    const { readiness } = listener;
    const { healthCheck: check } = readiness ?? {};
    expect(check?.checker).toMatchObject(checker);
    expect([check?.intervalMs, check?.timeoutMs, check?.unhealthyThreshold, check?.healthyThreshold]).toEqual(
      times,
    );
    expect(readiness?.tls?.mode).toBe(tls);
    const { resource } = LISTENER.decode(LISTENER.encode(listener));
    expect(resource).toMatchObject({ readiness: { healthCheck: JSON.parse(JSON.stringify(check)) } });
  },
);

test('a member of a group with a probe is an endpoint when it says that it is healthy', () => {
  const probe = '{tcpSocket: {port: 81}}';
  const counts = [undefined, 'unhealthy' as const, 'healthy' as const].map(
    (health) => compiled(probe, health && { INMESH_HEALTH: health }).count,
  );
  expect(counts).toEqual([0, 0, 1]);
});

/** A process whose probe answers as the test says. */
function world() {
  const clock = createFakeClock();
  const states: unknown[] = [];
  const results: (ProbeResult | 'silence')[] = [];
  let open = 0;
  const probe: Probe = {
    run: () => {
      const next = results.shift() ?? { kind: 'passed', degraded: false };
      return next === 'silence' ? new Promise(() => {}) : Promise.resolve(next);
    },
    close: () => {
      open--;
    },
  };
  const readiness = new Readiness({
    clock,
    logger: silentLogger,
    transport: () => {
      throw new Error('nothing is sent');
    },
    open: () => {
      open++;
      return probe;
    },
    onChange: () => states.push(readiness.state),
  });
  return { clock, states, results, readiness, openProbes: () => open };
}

const bad: ProbeResult = {
  kind: 'failed',
  failure: 'ACTIVE',
  isRetriable: false,
  excludes: false,
  message: 'status 500',
};
const clusterOf = (probe: string): Cluster | undefined => compiled(probe).listener.readiness;

test('a process is unready after so many failures in a row, and ready again after so many successes', async () => {
  const { clock, states, results, readiness, openProbes } = world();
  const good: ProbeResult = { kind: 'passed', degraded: false };
  results.push(bad, bad, good, bad, bad, 'silence', good, good, good);
  readiness.follow(clusterOf('{tcpSocket: {port: 81}, successThreshold: 2}'));
  const seen: unknown[] = [];
  for (let round = 0; round < 9; round++) {
    // The silent one ends with its time, and the next begins a period after that.
    await clock.advance(0);
    if (round === 5) await clock.advance(1000);
    seen.push(readiness.state);
    await clock.advance(10_000);
  }
  expect(seen).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    'unhealthy',
    'unhealthy',
    'healthy',
    'healthy',
  ]);
  expect(states).toEqual(['unhealthy', 'healthy']);
  readiness.follow(undefined);
  expect([readiness.state, openProbes()]).toEqual([undefined, 0]);
});

test('the same probe goes on, another begins anew', async () => {
  const { clock, readiness, openProbes, states } = world();
  readiness.follow(clusterOf('{tcpSocket: {port: 81}}'));
  await clock.advance(0);
  readiness.follow(clusterOf('{tcpSocket: {port: 81}}'));
  expect([readiness.state, openProbes()]).toEqual(['healthy', 1]);
  readiness.follow(clusterOf('{tcpSocket: {port: 82}}'));
  expect(openProbes()).toBe(1);
  readiness.close();
  expect([openProbes(), states]).toEqual([0, ['healthy']]);
});
