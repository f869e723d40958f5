/** What is spoken to the endpoints of a cluster where it is not simply HTTP/1.1 (Envoy HttpProtocolOptions). */
export interface UpstreamProtocol {
  /** `auto`: what TLS negotiates (ALPN). `downstream`: what the caller speaks. */
  readonly kind: 'http2' | 'auto' | 'downstream';
  readonly http2: Http2Options;
}

/** Envoy Http2ProtocolOptions of a client. */
export interface Http2Options {
  /** Streams of one connection at once, at most; the server may allow less. Default 1024. */
  readonly maxConcurrentStreams: number;
  /** Bytes that the server may send ahead on one stream. Default 16 MiB. */
  readonly initialStreamWindow: number;
  /** Bytes that the server may send ahead on one connection. Default 24 MiB. */
  readonly initialConnectionWindow: number;
  /** Bytes of the dynamic table of header compression. Default 4096. */
  readonly hpackTableSize: number;
  /** Tells the server that a CONNECT may name a protocol (RFC 8441). Default false; servers say it for themselves. */
  readonly allowConnect?: boolean | undefined;
  /** Undefined = connections are not probed. */
  readonly keepalive: Http2Keepalive | undefined;
}

/** Envoy KeepaliveSettings. */
export interface Http2Keepalive {
  /** How often a PING is sent; 0 = never. */
  readonly intervalMs: number;
  /** Silence after a PING for which the connection is given up. */
  readonly timeoutMs: number;
  /** Randomly added to each interval, in percent of it. Default 15. */
  readonly jitterPercent: number;
  /** A connection idle for so long is probed along with its next request; 0 = not. */
  readonly idleIntervalMs: number;
}

/** Envoy's defaults since 1.36. */
export const DEFAULT_HTTP2_OPTIONS: Http2Options = {
  maxConcurrentStreams: 1024,
  initialStreamWindow: 16 * 1024 * 1024,
  initialConnectionWindow: 24 * 1024 * 1024,
  hpackTableSize: 4096,
  keepalive: undefined,
};
