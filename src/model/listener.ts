import type { AccessLog } from './access-log.js';
import type { SocketAddress } from './address.js';
import type { HttpFilter } from './filter-config.js';
import type { RequestProcessing } from './request-processing.js';
import type { RouteConfiguration } from './route.js';
import type { DownstreamTls } from './tls.js';
import type { UpgradeRule } from './upgrade.js';

/** Envoy Listener: outbound (an ApiListener, named `host:port`) or inbound (filter chains). */
export type Listener = OutboundListener | InboundListener;

export interface OutboundListener {
  readonly kind: 'outbound';
  readonly name: string;
  readonly http: HttpConnectionManager;
}

export interface InboundListener {
  readonly kind: 'inbound';
  readonly name: string;
  readonly address: SocketAddress | undefined;
  readonly filterChains: readonly FilterChain[];
}

/** Envoy FilterChain of an inbound listener. */
export interface FilterChain {
  readonly name: string;
  /** `tls`, `raw_buffer`, or empty for both. */
  readonly transportProtocol: 'tls' | 'raw_buffer' | '';
  /** Undefined = plaintext. */
  readonly tls: DownstreamTls | undefined;
  readonly http: HttpConnectionManager;
}

/** Envoy HttpConnectionManager. */
export interface HttpConnectionManager {
  readonly routes:
    | { readonly kind: 'rds'; readonly name: string }
    | { readonly kind: 'inline'; readonly config: RouteConfiguration };
  /** In order; the last is the router. */
  readonly filters: readonly HttpFilter[];
  /** What is done to requests before routing, inbound only. Undefined = nothing. */
  readonly processing?: RequestProcessing | undefined;
  /** Undefined = none. */
  readonly accessLogs?: readonly AccessLog[] | undefined;
  /** Longest pause of an exchange; outbound only. Undefined or 0 = none. */
  readonly streamIdleTimeoutMs?: number | undefined;
  /** Longest life of an exchange (`common_http_protocol_options.max_stream_duration`); outbound only. Undefined or 0 = no limit. */
  readonly maxStreamDurationMs?: number | undefined;
  /** Protocols that requests may switch to. Undefined: nothing is said of them, so all may. */
  readonly upgrades?: readonly UpgradeRule[] | undefined;
}
