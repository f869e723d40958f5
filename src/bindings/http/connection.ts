import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { DISTRUST_GRACE_MS } from '../../identity/connect.js';
import { atWallTime } from '../../identity/wall-timer.js';
import type { InboundLimits } from '../../model/inbound-limits.js';
import type { DownstreamTls } from '../../model/tls.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import type { ByteCounts } from '../../service/context.js';
import type { LocalReply } from '../../service/local-reply.js';
import { ConnectionLimits, type LimitedConnection } from './connection-limits.js';
import { finish, linger } from './finish.js';
import { cutShort } from './reply.js';

/** Who is at the other end of one TLS connection. */
export interface InboundPeer {
  /** Undefined when it showed no certificate, or one that the mesh does not vouch for. */
  readonly spiffeId: string | undefined;
  /** When the first of both certificates ends, calendar milliseconds; a number far away when the client showed none. */
  readonly expiresAtMs: number;
  /** The element of `x-forwarded-client-cert` that names the peer; undefined when it showed no certificate. */
  readonly forwardedClientCert: string | undefined;
  /** Whether chains with this TLS would have let it in as what it was let in as. */
  readonly isGoodFor: (tls: DownstreamTls) => boolean;
  /** Calls `lost` once when its certificate is trusted no longer, before it expires. */
  readonly onDistrust: (lost: () => void) => Unsubscribe;
}

/** How long an exchange may run on after a certificate of its connection has expired. */
const EXPIRY_GRACE_MS = 10_000;
/** Responses carry `Connection: close` for this long before the expiry, or for a tenth of what is left if that is less. */
const MAX_DRAIN_MARGIN_MS = 60_000;

/** Envoy `request_headers_timeout`. */
const HEAD_TIMEOUT: LocalReply = {
  status: 408,
  body: 'request header timeout',
  details: 'request_header_timeout',
  reason: 'INMESH_TIMEOUT',
};

const connections = new WeakMap<object, InboundConnection>();

/** The accepted connection of a socket. */
export function connectionOf(socket: object | null | undefined): InboundConnection | undefined {
  return socket ? connections.get(socket) : undefined;
}

/** The socket that a TLS socket of a `tls.Server` was made from. Node keeps it as `_parent`, and nowhere else. */
export function carrierOf(socket: Duplex & { readonly _parent?: Duplex }): Duplex {
  return socket._parent ?? socket;
}

/**
 * The verified peer of a request's connection, or of a connection itself: its SPIFFE ID, or undefined when it has proved
 * none (plaintext, TLS without a certificate of the mesh). TLS of the application's own inside of the mesh's is looked through.
 */
export function peerOf(request: IncomingMessage | Socket): { readonly spiffeId: string } | undefined {
  const socket = 'socket' in request ? request.socket : request;
  const { peer } = connectionOf(socket) ?? connectionOf(carrierOf(socket)) ?? {};
  return peer?.spiffeId === undefined ? undefined : { spiffeId: peer.spiffeId };
}

export interface InboundConnectionOptions {
  readonly limits?: InboundLimits | undefined;
  /** Whether it ends by itself when a certificate does. Default true. */
  readonly watches?: boolean;
}

/** One accepted connection: who is there, what runs on it, and when it has to end. */
export class InboundConnection implements LimitedConnection {
  readonly socket: Duplex;
  /** Undefined on a plaintext connection. */
  readonly peer: InboundPeer | undefined;
  readonly #clock: Clock;
  readonly #drainAtMs: number;
  readonly #limits: ConnectionLimits | undefined;
  #timer: Timer | undefined;
  #watch: Unsubscribe | undefined;
  #draining = false;
  /** Draining, but it may still carry its first request. */
  #spared = false;
  #expired = false;
  #tunnel = false;
  /** The newest response; requests in a pipeline are answered in order, so it is also the last. */
  #response: ServerResponse | undefined;

  constructor(
    socket: Duplex,
    peer: InboundPeer | undefined,
    clock: Clock,
    { limits, watches = true }: InboundConnectionOptions = {},
  ) {
    this.socket = socket;
    this.peer = peer;
    this.#clock = clock;
    const { delayedCloseTimeoutMs = 0 } = limits ?? {};
    // Node calls it after the last response, too.
    if (delayedCloseTimeoutMs > 0)
      Object.assign(socket, { destroySoon: () => linger(socket, clock, delayedCloseTimeoutMs) });
    // The bytes by which plaintext was told from TLS are the first of a request.
    const bytesBefore = peer === undefined ? 0 : ((socket as Partial<ByteCounts>).bytesRead ?? 0);
    this.#limits = limits && new ConnectionLimits(limits, socket, { clock, connection: this, bytesBefore });
    this.#drainAtMs = Number.POSITIVE_INFINITY;
    if (peer !== undefined) {
      const leftMs = Math.max(0, peer.expiresAtMs - clock.wallTime());
      this.#drainAtMs = peer.expiresAtMs - Math.min(MAX_DRAIN_MARGIN_MS, leftMs / 10);
      // A stream of HTTP/2 ends with its session.
      if (watches) {
        this.#timer = atWallTime(clock, peer.expiresAtMs, () => this.#end(EXPIRY_GRACE_MS));
        this.#watch = peer.onDistrust(() => this.#end(DISTRUST_GRACE_MS));
      }
    }
    connections.set(socket, this);
    socket.once('close', () => this.#timer?.cancel());
  }

  /** Takes note of a request. False: it came after the connection's end and must not be served. */
  begin(response: ServerResponse): boolean {
    const wallTime = this.peer === undefined ? 0 : this.#clock.wallTime();
    if (this.#expired || (this.peer !== undefined && wallTime >= this.peer.expiresAtMs)) {
      this.socket.destroy();
      return false;
    }
    this.#response = response;
    this.#spared = false;
    if (this.#limits !== undefined) {
      if (this.#limits.begin()) this.#closeAfter(response);
      response.once('close', () => this.#freed(response));
    }
    if (this.#draining || wallTime >= this.#drainAtMs) this.#closeAfter(response);
    return true;
  }

  /** Takes note that the socket leaves HTTP (WebSocket, CONNECT). False: too late, as in `begin`. */
  beginTunnel(): boolean {
    this.#tunnel = true;
    this.#limits?.begin();
    return !this.#draining;
  }

  /** Lets the running exchange finish, then closes. A tunnel has no end of its own, so it is closed at once. */
  drain(): void {
    if (this.#draining && !this.#spared) return;
    this.#draining = true;
    this.#spared = false;
    const response = this.#response;
    if (this.#tunnel || response === undefined || isOver(response)) finish(this.socket);
    else this.#closeAfter(response);
  }

  /** The same, but a connection that has carried nothing yet waits for its first request, until `drain`. */
  drainAfterFirst(): void {
    if (this.#draining) return;
    if (this.#tunnel || this.#response !== undefined) this.drain();
    else {
      this.#draining = true;
      this.#spared = true;
    }
  }

  /** Closes at once. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Stops watching the certificates; the connection lives on. */
  release(): void {
    this.#limits?.stop();
    this.#timer?.cancel();
    this.#watch?.();
    connections.delete(this.socket);
  }

  #closeAfter(response: ServerResponse): void {
    // Before the head is out, Node says `Connection: close` for us and closes; after it, we close.
    response.shouldKeepAlive = false;
    response.once('close', () => finish(this.socket));
  }

  /** The last request that came has its answer: the connection is idle. */
  #freed(response: ServerResponse): void {
    if (response === this.#response && !this.#tunnel) this.#limits?.free();
  }

  headTimedOut(): void {
    cutShort(this.socket, HEAD_TIMEOUT);
    finish(this.socket);
  }

  /** Its peer may ask for nothing more; what runs has some time left. */
  #end(graceMs: number): void {
    if (this.#expired) return;
    this.#expired = true;
    this.drain();
    this.#timer?.cancel();
    this.#timer = this.#clock.schedule(graceMs, () => this.destroy());
  }
}

function isOver(response: ServerResponse): boolean {
  return response.closed || response.writableFinished;
}
