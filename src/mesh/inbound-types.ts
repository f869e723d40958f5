import type { AdmitConnection } from '../filters/network-guards.js';
import type { ForwardedClientCert } from '../model/client-cert.js';
import type { InboundLimits } from '../model/inbound-limits.js';
import type { TlsInspection } from '../model/listener.js';
import type { DownstreamTls } from '../model/tls.js';
import type { ConnectionFacts } from '../routing/filter-chains.js';
import type { ConnectionLogger, ExchangeLogger } from '../service/exchange-logger.js';
import type { Service } from '../service/service.js';
import type { Door } from './door.js';

export type { ConnectionFacts };

/**
 * Which connections a server accepts: mTLS only (Istio STRICT), both (PERMISSIVE), plaintext only (DISABLE), or,
 * while nothing says what is allowed, none.
 */
export type InboundMode = 'strict' | 'permissive' | 'disable' | 'closed';

/** What happens on connections of one kind. */
export interface InboundChain {
  /** Name of the filter chain it comes from. */
  readonly name: string;
  /** Undefined on the chain for plaintext. */
  readonly tls: DownstreamTls | undefined;
  /** TLS that it takes is the application's own, and reaches it as it comes. */
  readonly passesTls?: boolean;
  /** Filters with the application below; undefined when there are no filters and requests go straight to it. */
  readonly service: Service | undefined;
  /** The same for upgrades and CONNECT, where the configuration says which are allowed; undefined = as `service`. */
  readonly tunnels?: Service | undefined;
  /** Writes its access logs; undefined when it has none. */
  readonly log?: ExchangeLogger | undefined;
  /** What happens to requests before anybody looks at them; undefined = nothing. */
  readonly door?: Door | undefined;
  /** What becomes of `x-forwarded-client-cert`; undefined = callers with a certificate are named by the mesh. */
  readonly clientCert?: ForwardedClientCert | undefined;
  /** What connections and heads of requests are held to; undefined = nothing. */
  readonly limits?: InboundLimits | undefined;
  /** Time limits of each exchange, in milliseconds; undefined when there are none. */
  readonly times?: ExchangeTimes | undefined;
  /** How connections are treated that carry no HTTP; undefined = as nothing says. */
  readonly tcp?: TcpServerPolicy | undefined;
}

/** Limits and logs of connections that a server of any protocol accepts. */
export interface TcpServerPolicy {
  /** Pause in both directions after which one is closed; 0 = never. */
  readonly idleTimeoutMs: number;
  /** How long this connection may live; undefined = no limit. */
  lifeMs(): number | undefined;
  /** Whether a connection is let in; undefined = all are. */
  readonly admits?: AdmitConnection | undefined;
  readonly log: ConnectionLogger | undefined;
}

/** Time limits of each exchange on a server, in milliseconds; 0 = none. */
export interface ExchangeTimes {
  /** From the head of the request to its last byte. */
  readonly requestMs: number;
  /** Longest pause. */
  readonly idleMs: number;
  /** From the head of the request to the end of the exchange. */
  readonly durationMs: number;
}

/** What a server does with connections and requests; a configuration change makes a new one. */
export interface InboundPolicy {
  readonly mode: InboundMode;
  /** For mTLS connections; undefined when they are refused. */
  readonly tls: InboundChain | undefined;
  /** For plaintext connections; undefined when they are refused. */
  readonly plaintext: InboundChain | undefined;
  /**
   * Set where connections are told apart by more than TLS or plaintext: what happens on one; undefined = it is refused. `tls`
   * and `plaintext` then only say whether there is a chain for such connections.
   */
  readonly choose?: ((facts: ConnectionFacts) => InboundChain | undefined) | undefined;
  /** How the first bytes are waited for; undefined = as the server does by itself. */
  readonly inspection?: TlsInspection | undefined;
}
