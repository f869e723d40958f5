import type { Cluster } from '../model/cluster.js';
import type { Endpoint } from '../model/endpoint.js';
import type { TransportOptions } from './transport.js';

/** How connections to an endpoint of a cluster are made. */
export function transportOptions(cluster: Cluster, endpoint: Endpoint): TransportOptions {
  const socket = socketFor(cluster, endpoint);
  return {
    tls: socket.tls,
    proxyProtocol: socket.proxyProtocol,
    connectTimeoutMs: cluster.connectTimeoutMs,
    idleTimeoutMs: cluster.idleTimeoutMs,
    // The limit of the whole cluster is kept by whoever counts its connections.
    maxConnections: cluster.circuitBreakers.perHost?.maxConnections ?? Number.POSITIVE_INFINITY,
    maxRequestsPerConnection: cluster.maxRequestsPerConnection,
    maxConnectionDurationMs: cluster.maxConnectionDurationMs,
    tcpKeepaliveMs: cluster.tcpKeepaliveMs,
    sourceAddress: cluster.sourceAddress,
    autoSni: cluster.autoSni,
    autoSanValidation: cluster.autoSanValidation,
    protocol: cluster.protocol,
  };
}

/** Envoy: the first entry of `transport_socket_matches` whose labels the endpoint holds, else the cluster's own socket. */
function socketFor(
  cluster: Cluster,
  { transportSocketMatch }: Endpoint,
): Pick<Cluster, 'tls' | 'proxyProtocol'> {
  const entry = cluster.transportSocketMatches.find(({ match }) =>
    Object.entries(match).every(([label, value]) => transportSocketMatch[label] === value),
  );
  return entry ?? cluster;
}
