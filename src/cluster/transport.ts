import type { Endpoint } from '../model/endpoint.js';
import type { TcpTunnel } from '../model/tcp-proxy.js';
import type { ProxyProtocolVersion, UpstreamTls } from '../model/tls.js';
import type { UpstreamProtocol } from '../model/upstream-protocol.js';
import type { Unsubscribe } from '../runtime/abort.js';
import type { RawConnection } from '../service/connection.js';
import type { Service } from '../service/service.js';
import type { ConnectionPermits } from './connection-permits.js';

export { TransportError, type TransportFailure } from '../service/transport-error.js';

/** How connections to an endpoint are made; all of it comes from the cluster. */
export interface TransportOptions {
  readonly tls: UpstreamTls | undefined;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Open connections to this endpoint at most; further requests wait. */
  readonly maxConnections: number;
  readonly maxRequestsPerConnection: number;
  /** After that a connection finishes what it carries and closes. Undefined or 0 = no limit. */
  readonly maxConnectionDurationMs?: number | undefined;
  /** Silence before TCP probes a connection. Undefined = a minute. */
  readonly tcpKeepaliveMs?: number | undefined;
  /** The local address that connections come from; undefined = as the system likes. */
  readonly sourceAddress?: string | undefined;
  /** The PROXY protocol header that connections begin with; undefined = none. */
  readonly proxyProtocol?: ProxyProtocolVersion | undefined;
  /** SNI is the host of each request; `autoSanValidation`: which the server must prove. */
  readonly autoSni?: boolean | undefined;
  readonly autoSanValidation?: boolean | undefined;
  /** Undefined = HTTP/1.1. */
  readonly protocol?: UpstreamProtocol | undefined;
  /** Streams of HTTP/2 under way do not keep the process alive. */
  readonly isBackground?: true | undefined;
}

/** Sends to one endpoint. Connections are made on use and kept. */
export interface EndpointTransport {
  /**
   * Sends one attempt. Rejects with a {@link TransportError} when there is no response.
   */
  readonly service: Service;
  /**
   * Opens a connection for bytes of any kind, with the endpoint's TLS, or a tunnel through the endpoint. The callback runs
   * once; the returned function gives up before that. Undefined = it can't.
   */
  readonly dial?: (callback: DialDone, tunnel?: TcpTunnel) => Unsubscribe;
  /** Lets running exchanges finish, then closes every connection. Idempotent. */
  close(): Promise<void>;
}

/** Hears how an attempt to connect ended; `peerId` is the SPIFFE ID that the other side proved, with mutual TLS. */
export type DialDone = (error: Error | null, connection?: RawConnection, peerId?: string) => void;

/** `connections` counts those of the whole cluster; undefined = nobody counts. */
export type Transport = (
  endpoint: Endpoint,
  options: TransportOptions,
  connections?: ConnectionPermits,
) => EndpointTransport;
