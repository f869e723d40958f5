import { createCluster } from '../../../../src/cluster/cluster.js';
import { createProbes } from '../../../../src/mesh/health/open-probe.js';
import type { Cluster } from '../../../../src/model/cluster.js';
import type { ClusterLoadAssignment } from '../../../../src/model/endpoint.js';
import type { HealthCheck, HttpHealthChecker } from '../../../../src/model/health-check.js';
import { createStalls } from '../../../../src/runtime/stalls.js';
import type { HealthEvent } from '../../../../src/service/observer.js';
import type { MemoryAnswer } from '../../../../src/testing/memory-transport.js';
import { clusterConfig, world } from '../fixtures.js';

export const PATH = '/healthz';

export function httpChecker(more: Partial<HttpHealthChecker> = {}): HttpHealthChecker {
  return {
    kind: 'http',
    host: '',
    path: PATH,
    method: 'GET',
    send: undefined,
    receive: [],
    responseBufferBytes: 1024,
    headers: { add: [], remove: [] },
    expectedStatuses: [{ start: 200, end: 201 }],
    retriableStatuses: [],
    serviceName: undefined,
    ...more,
  };
}

/** Every 10 s, with 1 s for the answer; all waits alike unless a test says otherwise. */
export function healthCheck(more: Partial<HealthCheck> = {}): HealthCheck {
  const intervalMs = more.intervalMs ?? 10_000;
  return {
    timeoutMs: 1000,
    intervalMs,
    initialJitterMs: 0,
    intervalJitterMs: 0,
    intervalJitterPercent: 0,
    unhealthyThreshold: 3,
    healthyThreshold: 2,
    noTrafficIntervalMs: intervalMs,
    noTrafficHealthyIntervalMs: intervalMs,
    unhealthyIntervalMs: intervalMs,
    unhealthyEdgeIntervalMs: intervalMs,
    healthyEdgeIntervalMs: intervalMs,
    reuseConnection: true,
    alwaysLogFailures: false,
    alwaysLogSuccess: false,
    alpn: [],
    transportSocketMatch: undefined,
    checker: httpChecker(),
    ...more,
  };
}

/** A cluster in virtual time whose hosts answer checks as the test says, and all else with 200. */
export function checkedWorld(seed = 1) {
  const checks = new Map<string, MemoryAnswer | 'hang'>();
  const base = world({ status: 200 }, seed);
  const events: HealthEvent[] = [];
  const stalls = createStalls(base.clock);
  const tools = {
    ...base.tools,
    stalls,
    observer: { ...base.tools.observer, health: (event: HealthEvent) => void events.push(event) },
    probe: createProbes(base.clock),
  };
  const answer = (address: string, what: MemoryAnswer | 'hang') => {
    checks.set(address, what);
    base.network.serve(address, (request) => {
      if (request.path !== PATH) return { status: 200 };
      const now = checks.get(address) ?? { status: 200 };
      return now === 'hang' ? new Promise(() => {}) : now;
    });
  };
  return {
    ...base,
    tools,
    events,
    stalls,
    /** Decides what the checks of `address:port` get from now on. */
    answer,
    /** How often each address was checked. */
    checked(address: string): number {
      return base.network.attempts.filter((one) => one.address === address && one.request.path === PATH)
        .length;
    },
    cluster: (config: Partial<Cluster>, given: ClusterLoadAssignment | undefined) =>
      createCluster(
        { cluster: clusterConfig({ healthCheck: healthCheck(), ...config }), assignment: given },
        tools,
      ),
  };
}
