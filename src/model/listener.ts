import type { AccessLog } from './access-log.js';
import type { SocketAddress } from './address.js';
import type { ForwardedClientCert } from './client-cert.js';
import type { Cluster } from './cluster.js';
import type { ChainCriteria, FilterChainMatch } from './filter-chain-match.js';
import type { HttpFilter } from './filter-config.js';
import type { InboundLimits } from './inbound-limits.js';
import type { NetworkGuard } from './network-guard.js';
import type { PathRules, RequestProcessing } from './request-processing.js';
import type { RouteConfiguration } from './route.js';
import type { TcpProxy, TcpServer } from './tcp-proxy.js';
import type { DownstreamTls } from './tls.js';
import type { HttpTracing, RequestIdRules } from './tracing.js';
import type { UpgradeRule } from './upgrade.js';

/** Envoy Listener: outbound (an ApiListener or, for TCP, filter chains; named `host:port`) or inbound (filter chains). */
export type Listener = OutboundListener | OutboundTcpListener | InboundListener;

export interface OutboundListener {
  readonly kind: 'outbound';
  readonly name: string;
  readonly http: HttpConnectionManager;
}

/** An outbound listener for connections of any protocol. */
export interface OutboundTcpListener {
  readonly kind: 'outbound-tcp';
  /** `host:port`; with `tcp://` in front where the same host and port have an HTTP listener, too. */
  readonly name: string;
  /** IP address of the service, where it has one. */
  readonly address: SocketAddress | undefined;
  readonly filterChains: readonly TcpFilterChain[];
  /** Takes what no other chain does. Undefined = such connections are refused. */
  readonly defaultChain: TcpFilterChain | undefined;
  /** How the first bytes of connections are looked at (Envoy TLS inspector). Undefined = they are not. */
  readonly inspection: TlsInspection | undefined;
}

/** What Envoy's listener filters do. */
export interface TlsInspection {
  /** Wait for the first bytes; 0 = without end. Default 15 s. */
  readonly timeoutMs: number;
  /** Whether a connection that says nothing in time goes on as if it were not TLS. Default false: it is closed. */
  readonly continuesOnTimeout: boolean;
}

/** Envoy FilterChain for connections of any protocol. */
export interface TcpFilterChain {
  readonly name: string;
  readonly match: FilterChainMatch;
  readonly tcp: TcpProxy;
}

export interface InboundListener {
  readonly kind: 'inbound';
  readonly name: string;
  readonly address: SocketAddress | undefined;
  readonly filterChains: readonly InboundChainConfig[];
  /** Takes what no other chain does. Undefined = such connections are refused. */
  readonly defaultChain?: InboundChainConfig | undefined;
  /** How the first bytes of connections are waited for. Undefined = as it is without configuration. */
  readonly inspection?: TlsInspection | undefined;
  /** How the process that serves it asks itself whether it is ready: a host with a health check. Undefined = it does not. */
  readonly readiness?: Cluster | undefined;
}

/** A filter chain of an inbound listener: for HTTP, or for bytes of any kind. */
export type InboundChainConfig = FilterChain | TcpServerChain;

interface InboundChainHead {
  readonly name: string;
  /** `tls`, `raw_buffer`, or empty for both. */
  readonly transportProtocol: 'tls' | 'raw_buffer' | '';
  /** What else connections are told apart by. Undefined = nothing. */
  readonly match?: ChainCriteria | undefined;
  /** Undefined = plaintext. */
  readonly tls: DownstreamTls | undefined;
}

/** Envoy FilterChain of an inbound listener. */
export interface FilterChain extends InboundChainHead {
  readonly http: HttpConnectionManager;
  readonly tcp?: undefined;
}

/** The same with a TCP proxy: connections are the application's. */
export interface TcpServerChain extends InboundChainHead {
  /** All of them have to let a connection in. Undefined = nobody is asked. */
  readonly guards?: readonly NetworkGuard[] | undefined;
  readonly tcp: TcpServer;
  readonly http?: undefined;
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
  /** Without `processing`: what is done to paths, and nothing else but that what outsiders may not ask for is taken off. */
  readonly paths?: PathRules | undefined;
  /** Undefined = none. */
  readonly accessLogs?: readonly AccessLog[] | undefined;
  /** What connections and requests are held to, inbound only. Undefined = nothing. */
  readonly limits?: InboundLimits | undefined;
  /**
   * What becomes of `x-forwarded-client-cert`, inbound only. Undefined: what callers say is taken off, and those with a
   * certificate are named.
   */
  readonly clientCert?: ForwardedClientCert | undefined;
  /** Longest pause of an exchange. Undefined or 0 = none. */
  readonly streamIdleTimeoutMs?: number | undefined;
  /** Longest life of an exchange (`common_http_protocol_options.max_stream_duration`). Undefined or 0 = no limit. */
  readonly maxStreamDurationMs?: number | undefined;
  /** How requests are traced. Undefined = they are not, unless the process wants them to be. */
  readonly tracing?: HttpTracing | undefined;
  /** What tracing does with `x-request-id`. Undefined = as by default. */
  readonly requestIds?: RequestIdRules | undefined;
  /** Protocols that requests may switch to. Undefined: nothing is said of them, so all may. */
  readonly upgrades?: readonly UpgradeRule[] | undefined;
}
