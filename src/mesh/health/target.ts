import type { ProbeTarget } from '../../cluster/health/probe.js';
import type { EndpointTransport } from '../../cluster/transport.js';
import { transportOptions } from '../../cluster/transport-options.js';
import type { SocketAddress } from '../../model/address.js';
import type { Cluster } from '../../model/cluster.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { HealthCheck } from '../../model/health-check.js';
import { DEFAULT_HTTP2_OPTIONS, type Http2Options } from '../../model/upstream-protocol.js';

/** Checks come once in a while: their connection is kept for as long as the transport allows. */
const IDLE_MS = 3_600_000;

/** The transport of the checks of a host: as the cluster's own, but for what the check says otherwise. */
export function openForCheck({ check, cluster, host, transport }: ProbeTarget): EndpointTransport {
  const endpoint = checkedEndpoint(host.endpoint, check.transportSocketMatch);
  const options = transportOptions(cluster, endpoint);
  const { tls } = options;
  return transport(endpoint, {
    ...options,
    tls: tls === undefined || check.alpn.length === 0 ? tls : { ...tls, alpn: check.alpn },
    // The time limit of the check is the only one.
    connectTimeoutMs: check.timeoutMs,
    idleTimeoutMs: IDLE_MS,
    maxConnections: 1,
    maxRequestsPerConnection: check.reuseConnection ? 0 : 1,
    maxConnectionDurationMs: undefined,
    protocol: speaksHttp2(check) ? { kind: 'http2', http2: http2Of(cluster) } : undefined,
  });
}

/** Envoy: the check says what it speaks, whatever the cluster's requests are. */
function speaksHttp2({ checker }: HealthCheck): boolean {
  return checker.kind === 'grpc' || (checker.kind === 'http' && checker.http2 === true);
}

function http2Of({ protocol }: Cluster): Http2Options {
  return protocol?.http2 ?? DEFAULT_HTTP2_OPTIONS;
}

/** Host of the requests of a check. */
export function checkAuthority({ host, cluster }: ProbeTarget, own: string): string {
  return host.endpoint.healthCheck?.hostname || own || cluster.name;
}

/** Envoy: an endpoint may be checked at another address or port, and labels of the check choose its TLS. */
function checkedEndpoint(
  endpoint: Endpoint,
  transportSocketMatch: Endpoint['transportSocketMatch'] | undefined,
): Endpoint {
  return {
    ...endpoint,
    address: checkAddress(endpoint),
    transportSocketMatch: transportSocketMatch ?? endpoint.transportSocketMatch,
  };
}

function checkAddress({ address, healthCheck }: Endpoint): SocketAddress {
  if (healthCheck === undefined) return address;
  const base = healthCheck.address ?? address;
  return healthCheck.port === 0 ? base : { address: base.address, port: healthCheck.port };
}
