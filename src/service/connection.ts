import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** One end of a socket: an IP address with a port, or the path of a Unix socket with port 0. */
export interface SocketEnd {
  readonly address: string;
  readonly port: number;
}

/** What the other side's certificate says; read only when a filter or a log asks. */
export interface PeerCertificate {
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  /** RFC 2253 form. */
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  /** Hex SHA-256 of the DER. */
  readonly sha256: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly pem: string;
}

/** TLS of a downstream or upstream connection. */
export interface TlsInfo {
  /** SNI that the client asked for. */
  readonly serverName: string | undefined;
  readonly version: string;
  readonly cipher: string;
  readonly sessionId: string | undefined;
  readonly alpn: string | undefined;
  /** Undefined when the peer presented none. */
  readonly peer: PeerCertificate | undefined;
  /** Whether the presented certificate was verified. */
  readonly peerVerified: boolean;
  readonly localUriSan: string | undefined;
}

/** The connection that a request came in on. Outbound requests of this process have none. */
export interface ConnectionInfo {
  /** Unique in this process. */
  readonly id: number;
  /** The peer of the socket. */
  readonly directRemote: SocketEnd | undefined;
  /** The client: after `x-forwarded-for` and the like were trusted, else the peer. */
  readonly remote: SocketEnd | undefined;
  readonly local: SocketEnd | undefined;
  /** Undefined on plaintext connections. Made on first use. */
  readonly tls: TlsInfo | undefined;
}

/** A connection for bytes of any kind: a socket, or a stream of HTTP that stands for one and has no ends of its own. */
export type RawConnection = Duplex &
  Partial<
    Pick<
      Socket,
      | 'setNoDelay'
      | 'setKeepAlive'
      | 'ref'
      | 'unref'
      | 'resetAndDestroy'
      | 'address'
      | 'localAddress'
      | 'localPort'
      | 'localFamily'
      | 'remoteAddress'
      | 'remotePort'
      | 'remoteFamily'
    >
  >;
