import type { StringMatcher } from './matcher.js';

/** Client side of TLS to an upstream (Envoy UpstreamTlsContext). */
export interface UpstreamTls {
  /** `mesh`: our SVID and the mesh's bundle (Istio ISTIO_MUTUAL). `simple`: server verification only, by the platform's roots. */
  readonly mode: 'mesh' | 'simple';
  readonly sni: string | undefined;
  /** The server's identity must match one of these; empty = any identity that the bundle vouches for. */
  readonly subjectAltNames: readonly StringMatcher[];
  readonly alpn: readonly string[];
}

/** Server side of TLS (Envoy DownstreamTlsContext with our SVID and the mesh's bundle). */
export interface DownstreamTls {
  readonly requireClientCertificate: boolean;
  readonly alpn: readonly string[];
}

/** Envoy `transport_socket_matches`: the first entry whose labels the endpoint's `envoy.transport_socket_match` metadata holds. */
export interface TransportSocketMatch {
  readonly name: string;
  readonly match: Readonly<Record<string, string>>;
  /** Undefined = plaintext (`raw_buffer`). */
  readonly tls: UpstreamTls | undefined;
}
