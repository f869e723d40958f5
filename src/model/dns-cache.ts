import type { SocketAddress } from './address.js';

/** Which addresses a name stands for. */
export type DnsLookupFamily = 'v4-only' | 'v6-only' | 'v4-preferred' | 'all';

/** Envoy DnsCacheConfig: names that are resolved when somebody asks for them, and kept. */
export interface DnsCacheConfig {
  /** Those who name the same cache must say the same about it, and share what it has. */
  readonly name: string;
  /** Undefined: IPv6 addresses or, when there are none, those of IPv4. */
  readonly lookupFamily: DnsLookupFamily | undefined;
  /** Wait until a name without address is asked for again, or one whose records tell no life. Default 60 s. */
  readonly refreshRateMs: number;
  /** Shortest wait for a name that has an address, whatever life its records have; at least 1 s. Default 5 s. */
  readonly minRefreshRateMs: number;
  /** Waits after failures: random, up to a step that doubles from base to max. Default: `refreshRateMs`. */
  readonly failureRefresh: { readonly baseMs: number; readonly maxMs: number } | undefined;
  /** A name that nobody used for so long is forgotten when its next refresh is due. Default 5 min. */
  readonly hostTtlMs: number;
  /** Names that are kept; a request for another one is refused. Default 1024. */
  readonly maxHosts: number;
  /** Requests that may wait for names at once. Default 1024. */
  readonly maxPendingRequests: number;
  /** Names that are resolved before anybody asks. */
  readonly preresolve: readonly SocketAddress[];
  /** After that a question has failed; 0 = never. Default 5 s. */
  readonly queryTimeoutMs: number;
}

/** Envoy `envoy.filters.http.dynamic_forward_proxy`: resolves the host that a request asks for. */
export interface ForwardProxyConfig {
  readonly kind: 'forward-proxy';
  /** That of the cluster. */
  readonly cache: DnsCacheConfig;
  /** Leaves the address in the filter state `envoy.stream.upstream_address`. Default false. */
  readonly saveUpstreamAddress: boolean;
}

/** What a route, virtual host or weighted cluster does before that: gives the request another host. */
export interface ForwardProxyRouteConfig {
  readonly kind: 'forward-proxy-route';
  /** A header (lower case) that is not there, or a literal that is empty, changes nothing. */
  readonly hostRewrite: { readonly kind: 'literal' | 'header'; readonly value: string } | undefined;
}
