import type { StringMatcher } from './matcher.js';

/** Client side of TLS to an upstream (Envoy UpstreamTlsContext). */
export interface UpstreamTls extends TlsParams {
  /** `mesh`: our SVID and the mesh's bundle (Istio ISTIO_MUTUAL). `simple`: server verification only, by the platform's roots. */
  readonly mode: 'mesh' | 'simple';
  readonly sni: string | undefined;
  /** The server's identity must match one of these; empty = any identity that the bundle vouches for. */
  readonly subjectAltNames: readonly StringMatcher[];
  readonly alpn: readonly string[];
  /** With `simple`: who signs the certificates of servers. `none` = nobody is asked. Undefined = the platform's roots. */
  readonly roots?: PemSource | 'none' | undefined;
  /** With `simple`: certificates that were taken back. */
  readonly crl?: PemSource | undefined;
  /** With `simple`: what the client proves itself by (Istio MUTUAL). */
  readonly certificate?: ClientCertificate | undefined;
  /** With `simple`: SDS secrets that certificate and validation are taken from, over what stands here. */
  readonly secrets?: TlsSecrets | undefined;
  /** SNI is the endpoint's hostname, where it has one. */
  readonly autoHostSni?: boolean | undefined;
  /** The server must prove the name that was sent as SNI, whatever `subjectAltNames` say. */
  readonly matchSni?: boolean | undefined;
}

/** Versions and ciphers of TLS (Envoy TlsParameters). */
export interface TlsParams {
  /** Undefined = TLS 1.2. */
  readonly minVersion?: TlsVersion | undefined;
  /** Undefined = TLS 1.3. */
  readonly maxVersion?: TlsVersion | undefined;
  /** Of TLS 1.2, by OpenSSL's names; undefined = the platform's. */
  readonly ciphers?: readonly string[] | undefined;
}

/** Names of SDS secrets. */
export interface TlsSecrets {
  readonly certificate?: string | undefined;
  readonly validation?: string | undefined;
}

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

/** Where PEM text comes from. A file is read again when it has changed. */
export type PemSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'inline'; readonly pem: string };

/** A client's own certificate, with those that lead to its root, and its key. */
export interface ClientCertificate {
  readonly chain: PemSource;
  readonly key: PemSource;
  /** Opens the key. */
  readonly password?: PemSource | undefined;
}

/** Server side of TLS (Envoy DownstreamTlsContext). */
export interface DownstreamTls extends TlsParams {
  readonly requireClientCertificate: boolean;
  readonly alpn: readonly string[];
  /** What is shown to clients. Undefined = what the secret has. */
  readonly certificate?: ClientCertificate | undefined;
  /** The SDS secret with the certificate that is shown to clients. Undefined, and no `certificate` = our SVID. */
  readonly certificateSecret?: string | undefined;
  /**
   * How certificates of clients are verified. Undefined = where one is required, by the mesh's bundle; where not, none is
   * asked for.
   */
  readonly clients?: ClientValidation | undefined;
}

/** How the certificate of a client is verified. */
export interface ClientValidation {
  /** Who signs certificates: the mesh, the authorities of the platform, or others. Undefined = those of the secret. */
  readonly roots: 'mesh' | 'system' | PemSource | undefined;
  readonly crl?: PemSource | undefined;
  /** An SDS secret that is merged over the rest. */
  readonly secret?: string | undefined;
  /** The client must prove one of these: of the mesh its SPIFFE ID, of others a DNS name; empty = any. */
  readonly subjectAltNames: readonly StringMatcher[];
}

/** Envoy `transport_socket_matches`: the first entry whose labels the endpoint's `envoy.transport_socket_match` metadata holds. */
export interface TransportSocketMatch {
  readonly name: string;
  readonly match: Readonly<Record<string, string>>;
  /** Undefined = plaintext (`raw_buffer`). */
  readonly tls: UpstreamTls | undefined;
  /** The PROXY protocol header that connections begin with; undefined = none. */
  readonly proxyProtocol?: ProxyProtocolVersion | undefined;
}

/** Versions of the PROXY protocol. */
export type ProxyProtocolVersion = 'v1' | 'v2';
