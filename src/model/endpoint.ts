import type { SocketAddress } from './address.js';

/** Envoy ClusterLoadAssignment. */
export interface ClusterLoadAssignment {
  readonly clusterName: string;
  readonly localities: readonly LocalityEndpoints[];
  /** Default 140. */
  readonly overprovisioningFactor: number;
}

/** Envoy LocalityLbEndpoints. */
export interface LocalityEndpoints {
  readonly locality: Locality;
  /** 0 is tried first. */
  readonly priority: number;
  /** Undefined when no locality weight was given. */
  readonly weight: number | undefined;
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
  readonly hostname: string;
  readonly health: EndpointHealth;
  /** At least 1. */
  readonly weight: number;
  /** Labels under `envoy.transport_socket_match`, e.g. `{ tlsMode: 'istio' }`. */
  readonly transportSocketMatch: Readonly<Record<string, string>>;
  /** Labels under `envoy.lb` that are strings, e.g. `{ version: 'v1' }`. */
  readonly metadata: Readonly<Record<string, string>>;
}

export type EndpointHealth = 'unknown' | 'healthy' | 'unhealthy' | 'draining' | 'timeout' | 'degraded';
