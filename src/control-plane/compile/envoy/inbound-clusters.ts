import type { Cluster } from '../../../model/cluster.js';
import { type ClusterLoadAssignment, NO_LOCALITY } from '../../../model/endpoint.js';
import type { UpstreamProtocol } from '../../../model/upstream-protocol.js';
import type { TrafficPolicy } from '../../kinds/types.js';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../mesh/mesh-config.js';
import { inboundClusterName } from '../../mesh/names.js';
import { istioServices } from '../clusters.js';
import { effectivePolicy, policyFields } from '../traffic-policy.js';
import { http2OptionsOf } from '../upstream-protocol.js';
import type { InboundPlace, InboundPort } from './inbound-ports.js';

/** Istio's name of the cluster for ports that nobody declared. */
export const INBOUND_PASSTHROUGH = 'InboundPassthroughCluster';
/** Istio's name of the cluster for connections that would come back for ever. */
export const BLACK_HOLE = 'BlackHoleCluster';

/** Istio: hosts stay, as long as a duration can be. */
const FOR_EVER_MS = 9_223_372_035_000;
/** Istio: of what passes through. */
const PASSTHROUGH_IDLE_MS = 300_000;

const NO_POLICY = effectivePolicy(undefined, undefined, { port: 0, mesh: DEFAULT_MESH_CONFIG });

/** What clusters of applications are made with. */
export interface InboundClusterTools {
  readonly place: InboundPlace;
  readonly config: MeshConfig;
  /** The rules for connections to a host, without those for some clients alone (Istio). */
  readonly policyOf: (port: InboundPort) => TrafficPolicy | undefined;
}

/** The cluster of a port (Istio: buildInboundCluster). */
export function inboundCluster(port: InboundPort, { place, config, policyOf }: InboundClusterTools): Cluster {
  const { servicePort, endpoint, services } = port;
  const given = effectivePolicy(policyOf(port), undefined, { port: servicePort.number, mesh: config });
  // Istio: of a Sidecar the block holds as a whole; of a DestinationRule only the pool is for the side that serves.
  const policy = { ...NO_POLICY, connectionPool: port.pool ?? given.connectionPool };
  const name = inboundClusterName(port.port);
  const isLoopback = endpoint !== undefined && ['127.0.0.1', '::1'].includes(endpoint.address);
  const isSocket = endpoint?.port === 0;
  const protocol = protocolOf(port, policy.connectionPool);
  return {
    name,
    metadata: services.length === 0 ? {} : istioServices(services),
    discovery: endpoint === undefined ? destination(FOR_EVER_MS) : fixed(name, endpoint),
    ...policyFields(policy, undefined, config),
    lbPolicy: { kind: endpoint === undefined ? 'cluster-provided' : 'round-robin' },
    tls: undefined,
    transportSocketMatches: [],
    ...(protocol !== undefined && { protocol }),
    // What goes to an address of the machine would be captured once more.
    ...(!isLoopback && !isSocket && { sourceAddress: place.passthroughSource }),
  };
}

/** The clusters that every Envoy beside an application has: for ports that nobody declared, and for those of its own. */
export function passthroughClusters({ place, config }: InboundClusterTools): readonly Cluster[] {
  const common = {
    ...policyFields(NO_POLICY, undefined, config),
    tls: undefined,
    transportSocketMatches: [],
    metadata: {},
  };
  return [
    {
      ...common,
      name: INBOUND_PASSTHROUGH,
      discovery: destination(5000),
      lbPolicy: { kind: 'cluster-provided' },
      idleTimeoutMs: PASSTHROUGH_IDLE_MS,
      protocol: { kind: 'downstream', http2: http2OptionsOf(undefined) },
      sourceAddress: place.passthroughSource,
    },
    {
      ...common,
      name: BLACK_HOLE,
      discovery: { kind: 'static', assignment: assignmentOf(BLACK_HOLE, []) },
      lbPolicy: { kind: 'round-robin' },
    },
  ];
}

/** Istio: what the client speaks where nothing is declared. */
function protocolOf(
  { protocol, isHttp2 }: InboundPort,
  pool: InboundPort['pool'],
): UpstreamProtocol | undefined {
  if (isHttp2) return { kind: 'http2', http2: http2OptionsOf(pool?.http) };
  return protocol === 'auto' ? { kind: 'downstream', http2: http2OptionsOf(pool?.http) } : undefined;
}

function destination(cleanupIntervalMs: number): Cluster['discovery'] {
  return { kind: 'original-dst', header: undefined, metadata: undefined, port: undefined, cleanupIntervalMs };
}

function fixed(name: string, address: NonNullable<InboundPort['endpoint']>): Cluster['discovery'] {
  const endpoint = {
    address,
    hostname: '',
    health: 'unknown',
    weight: 1,
    transportSocketMatch: {},
    metadata: {},
  } as const;
  const place = {
    locality: NO_LOCALITY,
    priority: 0,
    weight: undefined,
    metadata: {},
    endpoints: [endpoint],
  };
  return { kind: 'static', assignment: assignmentOf(name, [place]) };
}

function assignmentOf(
  clusterName: string,
  localities: ClusterLoadAssignment['localities'],
): ClusterLoadAssignment {
  return { clusterName, localities, overprovisioningFactor: 140, weightedPriorityHealth: false };
}
