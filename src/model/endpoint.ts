import type { SocketAddress } from './address.js';
import type { EndpointHealthCheck } from './health-check.js';
import type { Metadata } from './metadata.js';
import type { FractionalPercent } from './percent.js';

/** Envoy ClusterLoadAssignment. */
export interface ClusterLoadAssignment {
  readonly clusterName: string;
  readonly localities: readonly LocalityEndpoints[];
  /** Default 140. */
  readonly overprovisioningFactor: number;
  /** Whether the availability of a priority counts the weights of hosts in place of their number. Default false. */
  readonly weightedPriorityHealth: boolean;
  /** Requests to be dropped; undefined = none. */
  readonly dropOverloads?: readonly DropOverload[] | undefined;
  /** The endpoints go when nothing new was received for so long. Undefined = never. */
  readonly staleAfterMs?: number | undefined;
}

/** Envoy DropOverload: a part of the requests is answered here, to spare the cluster. */
export interface DropOverload {
  readonly category: string;
  readonly percentage: FractionalPercent;
}

/** Envoy LocalityLbEndpoints. */
export interface LocalityEndpoints {
  readonly locality: Locality;
  /** 0 is tried first. */
  readonly priority: number;
  /** Undefined when no locality weight was given. */
  readonly weight: number | undefined;
  /** For logs; load balancing reads that of endpoints. */
  readonly metadata: Metadata;
  readonly endpoints: readonly Endpoint[];
}

/** Where an endpoint or a node is, from wide to narrow. */
export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
}

export const NO_LOCALITY: Locality = { region: '', zone: '', subZone: '' };

/** Envoy LbEndpoint. */
export interface Endpoint {
  readonly address: SocketAddress;
  /** Other addresses of the same server: the first connection that stands is taken (RFC 8305). Undefined = none. */
  readonly additionalAddresses?: readonly SocketAddress[] | undefined;
  readonly hostname: string;
  readonly health: EndpointHealth;
  /** At least 1. */
  readonly weight: number;
  /** Labels under `envoy.transport_socket_match`, e.g. `{ tlsMode: 'istio' }`. */
  readonly transportSocketMatch: Readonly<Record<string, string>>;
  /** Every other namespace: `envoy.lb` is what load balancing reads, e.g. `{ 'envoy.lb': { version: 'v1' } }`. */
  readonly metadata: Metadata;
  /** How it is checked in another way than the cluster says; undefined = as the cluster says. */
  readonly healthCheck?: EndpointHealthCheck | undefined;
}

export type EndpointHealth = 'unknown' | 'healthy' | 'unhealthy' | 'draining' | 'timeout' | 'degraded';
