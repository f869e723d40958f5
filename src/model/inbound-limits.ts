/** What a server's connections and the requests on them are held to (Envoy HttpConnectionManager); undefined = not set. */
export interface InboundLimits {
  /** From the head of a request to its last byte. 0 = none. */
  readonly requestTimeoutMs?: number | undefined;
  /** From the first byte of a request to the end of its head. 0 = none. */
  readonly requestHeadersTimeoutMs?: number | undefined;
  /** A connection without a request for so long is closed. 0 = never. */
  readonly idleTimeoutMs?: number | undefined;
  /** After that a connection finishes what it carries and closes. 0 = never. */
  readonly maxConnectionDurationMs?: number | undefined;
  /** The last of so many requests closes its connection. 0 = no limit. */
  readonly maxRequestsPerConnection?: number | undefined;
  /** Lines of a request's head. */
  readonly maxHeadersCount?: number | undefined;
  readonly maxRequestHeadersKb?: number | undefined;
  /** What happens to headers with a `_` in their name; undefined = nothing. */
  readonly underscores?: 'reject' | 'drop' | undefined;
  /** HTTP/2: between the word that a connection is about to close and its close. Undefined or 0 = at once. */
  readonly drainTimeoutMs?: number | undefined;
  /** How long the peer may take to close a connection that was answered for the last time. 0 = no time. */
  readonly delayedCloseTimeoutMs?: number | undefined;
}
