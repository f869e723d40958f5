import { upstreamTransport } from '../../../src/bindings/upstream/transport.js';
import { type Clusters, createClusters } from '../../../src/cluster/clusters.js';
import type { ResolveName } from '../../../src/cluster/resolve-name.js';
import { SecretTable } from '../../../src/cluster/secret-table.js';
import { type IdentitySource, staticSource } from '../../../src/identity/source.js';
import { Applier } from '../../../src/mesh/apply.js';
import { callOut } from '../../../src/mesh/call-out.js';
import type { MeshCore } from '../../../src/mesh/core.js';
import { hostTools } from '../../../src/mesh/host-tools.js';
import type { OutboundTools } from '../../../src/mesh/outbound.js';
import type { Cluster } from '../../../src/model/cluster.js';
import { DEFAULT_THRESHOLDS } from '../../../src/model/cluster.js';
import { type Endpoint, NO_LOCALITY } from '../../../src/model/endpoint.js';
import { NO_OVERRIDES } from '../../../src/model/filter-config.js';
import type { Route, RouteAction } from '../../../src/model/route.js';
import type { ResolvedCluster, ResolvedOutbound, Snapshot } from '../../../src/model/snapshot.js';
import { compileHashPolicies } from '../../../src/routing/hash-policy.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { seededRandom } from '../../../src/runtime/random.js';
import type { Observer } from '../../../src/service/observer.js';

/** A data path without a control plane: a snapshot made by the test, real sockets below. */
export interface StaticMesh {
  readonly core: MeshCore;
  readonly clusters: Clusters;
  /** How its filters ask services. */
  readonly callOut: ReturnType<typeof callOut>;
  apply(snapshot: Snapshot): void;
  close(): Promise<void>;
}

export function createStaticMesh(
  snapshot: Snapshot,
  observer: Observer = {},
  identity: IdentitySource = staticSource(undefined, []),
  tools: Partial<OutboundTools> = {},
  resolveName?: ResolveName,
): StaticMesh {
  const [clock, random] = [systemClock, seededRandom(1)];
  const secrets = new SecretTable();
  secrets.replace(snapshot.secrets ?? new Map());
  const clusters = createClusters({
    clock,
    random,
    observer,
    logger: silentLogger,
    transport: upstreamTransport({ identity, clock, random, secrets }),
    compileHash: (policies) => compileHashPolicies(policies, '127.0.0.1'),
    ...hostTools(clock),
    ...(resolveName !== undefined && { resolveName }),
  });
  const upstream = callOut((name) => clusters.get(name), { clock, observer });
  const applier = new Applier(clusters, {
    clock,
    random,
    observer,
    filters: [],
    failureRateBreaker: () => undefined,
    node: { id: 'node', cluster: 'test' },
    upstream,
    ...tools,
  });
  let table = applier.apply(snapshot);
  return {
    core: { clock, random, lookup: (origin) => table.lookup(origin), whenConfigured: async () => {} },
    clusters,
    callOut: upstream,
    apply(next) {
      secrets.replace(next.secrets ?? new Map());
      table = applier.apply(next);
    },
    close: () => clusters.close(),
  };
}

export function endpoint(port: number, address = '127.0.0.1'): Endpoint {
  return {
    address: { address, port },
    hostname: '',
    health: 'unknown',
    weight: 1,
    transportSocketMatch: {},
    metadata: {},
  };
}

export function cluster(
  name: string,
  endpoints: readonly Endpoint[],
  change: Partial<Cluster> = {},
): ResolvedCluster {
  return {
    cluster: {
      name,
      discovery: { kind: 'eds', serviceName: name },
      lbPolicy: { kind: 'round-robin' },
      connectTimeoutMs: 5000,
      circuitBreakers: { default: DEFAULT_THRESHOLDS, high: DEFAULT_THRESHOLDS },
      outlierDetection: undefined,
      tls: undefined,
      transportSocketMatches: [],
      panicThresholdPercent: 50,
      idleTimeoutMs: 3_600_000,
      maxRequestsPerConnection: 0,
      metadata: {},
      ...change,
    },
    assignment: {
      clusterName: name,
      localities: [{ locality: NO_LOCALITY, priority: 0, weight: undefined, metadata: {}, endpoints }],
      overprovisioningFactor: 140,
      weightedPriorityHealth: false,
    },
  };
}

/** A route that forwards everything to one cluster. */
export function forward(clusterName: string, change: Partial<RouteAction> = {}): Route {
  return {
    name: '',
    match: {
      path: { kind: 'prefix', value: '/', caseSensitive: true },
      headers: [],
      queryParameters: [],
      runtimeFraction: undefined,
      grpcOnly: false,
    },
    action: {
      kind: 'forward',
      cluster: { kind: 'cluster', name: clusterName },
      timeoutMs: 0,
      retryPolicy: undefined,
      maxStreamDurationMs: undefined,
      priority: 'default',
      ...change,
    },
    filterOverrides: NO_OVERRIDES,
  };
}

/** A host of the mesh, `host:port`, with its routes. */
export function host(name: string, routes: readonly Route[]): ResolvedOutbound {
  return {
    listener: {
      kind: 'outbound',
      name,
      http: { routes: { kind: 'rds', name }, filters: [{ name: 'router', config: { kind: 'router' } }] },
    },
    routes: {
      name,
      virtualHosts: [
        {
          name,
          domains: ['*'],
          routes,
          retryPolicy: undefined,
          filterOverrides: NO_OVERRIDES,
          includeRequestAttemptCount: false,
        },
      ],
    },
  };
}

export function snapshotOf(
  hosts: readonly ResolvedOutbound[],
  clusters: readonly ResolvedCluster[],
): Snapshot {
  return {
    outbound: new Map(hosts.map((one) => [one.listener.name, one])),
    inbound: new Map(),
    clusters: new Map(clusters.map((one) => [one.cluster.name, one])),
  };
}
