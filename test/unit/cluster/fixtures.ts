import { type ClusterTools, createCluster } from '../../../src/cluster/cluster.js';
import { Host } from '../../../src/cluster/host.js';
import { type HostSet, NO_MEMBERS, partition } from '../../../src/cluster/host-set.js';
import type { PickContext } from '../../../src/cluster/lb/load-balancer.js';
import type { BalancerTools } from '../../../src/cluster/lb/policies.js';
import { type Cluster, DEFAULT_THRESHOLDS, type OutlierDetection } from '../../../src/model/cluster.js';
import {
  type ClusterLoadAssignment,
  type Endpoint,
  type LocalityEndpoints,
  NO_LOCALITY,
} from '../../../src/model/endpoint.js';
import type { MaglevPolicy, RingHashPolicy } from '../../../src/model/lb-policy.js';
import { Abort } from '../../../src/runtime/abort.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { EMPTY_BODY } from '../../../src/service/body.js';
import { createExchange } from '../../../src/service/context.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { EjectionEvent } from '../../../src/service/observer.js';
import type { Request } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import {
  createMemoryNetwork,
  type MemoryAnswer,
  type MemoryEndpoint,
} from '../../../src/testing/memory-transport.js';

export const ANY: PickContext = { priority: 'default', avoid: undefined, selectionAttempts: 1 };

/** `a` stands for address a, port 80. */
export function endpoint(address: string, more: Partial<Endpoint> = {}): Endpoint {
  return {
    address: { address, port: 80 },
    hostname: '',
    health: 'unknown',
    weight: 1,
    transportSocketMatch: {},
    metadata: {},
    ...more,
  };
}

export function locality(
  endpoints: readonly Endpoint[],
  more: Partial<LocalityEndpoints> = {},
): LocalityEndpoints {
  return { locality: NO_LOCALITY, priority: 0, weight: undefined, metadata: {}, endpoints, ...more };
}

export function assignment(...localities: readonly LocalityEndpoints[]): ClusterLoadAssignment {
  return { clusterName: 'reviews', localities, overprovisioningFactor: 140, weightedPriorityHealth: false };
}

export function endpoints(...addresses: readonly string[]): ClusterLoadAssignment {
  return assignment(locality(addresses.map((address) => endpoint(address))));
}

export function host(address: string, more: Partial<Endpoint> = {}): Host {
  const place = { endpoint: endpoint(address, more), locality: NO_LOCALITY, priority: 0 };
  return new Host(place, () => ({
    service: () => Promise.reject(new Error('no network')),
    async close() {},
  }));
}

/** A ring with Envoy's defaults. */
export const RING: RingHashPolicy = {
  kind: 'ring-hash',
  hashFunction: 'xx-hash',
  minimumRingSize: 1024,
  maximumRingSize: 8_388_608,
  useHostname: false,
  balanceFactorPercent: 0,
  localityWeighted: false,
};

/** A small Maglev table. */
export const MAGLEV: MaglevPolicy = {
  kind: 'maglev',
  tableSize: 1009,
  useHostname: false,
  balanceFactorPercent: 0,
  localityWeighted: false,
};

/** What a balancer is made with, in virtual time. */
export function balancerTools(seed: number, more: Partial<BalancerTools> = {}): BalancerTools {
  return {
    clock: createFakeClock(),
    random: seededRandom(seed),
    panicThresholdPercent: 50,
    activeRequests: () => 0,
    ...more,
  };
}

/** Hosts of one priority and no localities, sorted by their health. */
export function hostSet(hosts: readonly Host[]): HostSet {
  const membership = { ...NO_MEMBERS, priorities: [[{ locality: NO_LOCALITY, weight: 0, hosts }]] };
  const [set] = partition(membership);
  if (set === undefined) throw new Error('no priority');
  return set;
}

export function clusterConfig(more: Partial<Cluster> = {}): Cluster {
  return {
    name: 'reviews',
    discovery: { kind: 'eds', serviceName: 'reviews' },
    lbPolicy: { kind: 'round-robin' },
    connectTimeoutMs: 1000,
    circuitBreakers: { default: DEFAULT_THRESHOLDS, high: DEFAULT_THRESHOLDS },
    outlierDetection: undefined,
    tls: undefined,
    transportSocketMatches: [],
    panicThresholdPercent: 50,
    idleTimeoutMs: 60_000,
    maxRequestsPerConnection: 0,
    metadata: {},
    ...more,
  };
}

export function outlierConfig(more: Partial<OutlierDetection> = {}): OutlierDetection {
  return {
    intervalMs: 10_000,
    baseEjectionTimeMs: 30_000,
    maxEjectionTimeMs: 300_000,
    maxEjectionTimeJitterMs: 0,
    maxEjectionPercent: 100,
    alwaysEjectOneHost: false,
    splitExternalLocalOriginErrors: false,
    consecutive5xx: { threshold: 5, enforcingPercent: 100 },
    consecutiveGatewayFailure: { threshold: 5, enforcingPercent: 0 },
    consecutiveLocalOriginFailure: { threshold: 5, enforcingPercent: 100 },
    successRate: {
      minimumHosts: 5,
      requestVolume: 100,
      stdevFactor: 1900,
      enforcingPercent: 0,
      enforcingLocalOriginPercent: 0,
    },
    failurePercentage: {
      threshold: 85,
      minimumHosts: 5,
      requestVolume: 50,
      enforcingPercent: 0,
      enforcingLocalOriginPercent: 0,
    },
    detectDegradedHosts: false,
    ...more,
  };
}

export function request(more: Partial<Request> = {}): Request {
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'reviews',
    path: '/',
    headers: HeaderMap.empty(),
    body: EMPTY_BODY,
    abort: new Abort(),
    context: createExchange('outbound', 0, 0.5),
    ...more,
  };
}

/** Tools around an in-memory network in virtual time. */
export function world(answer: MemoryEndpoint | MemoryAnswer = { status: 200 }, seed = 1) {
  const clock = createFakeClock();
  const network = createMemoryNetwork(answer);
  const ejections: EjectionEvent[] = [];
  const tools: ClusterTools = {
    clock,
    random: seededRandom(seed),
    transport: network.transport,
    observer: { ejected: (event) => void ejections.push(event) },
    logger: silentLogger,
  };
  return {
    clock,
    network,
    tools,
    ejections,
    cluster: (config: Partial<Cluster>, given: ClusterLoadAssignment | undefined) =>
      createCluster({ cluster: clusterConfig(config), assignment: given }, tools),
  };
}
