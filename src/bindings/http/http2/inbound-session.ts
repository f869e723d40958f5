import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { DISTRUST_GRACE_MS } from '../../../identity/connect.js';
import { atWallTime } from '../../../identity/wall-timer.js';
import type { InboundLimits } from '../../../model/inbound-limits.js';
import type { Unsubscribe } from '../../../runtime/abort.js';
import type { Clock, Timer } from '../../../runtime/clock.js';
import type { InboundPeer } from '../connection.js';
import type { ConnectionEnd } from '../connection-chain.js';

/** How long exchanges may run on after a certificate of their connection has expired. */
const EXPIRY_GRACE_MS = 10_000;
/** The client is told to go on elsewhere for this long before the expiry, or for a tenth of what is left if that is less. */
const MAX_DRAIN_MARGIN_MS = 60_000;

const NO_LIMITS: InboundLimits = {};
/** How long a client may take to say that it has heard of the end. */
const GENTLE_MS = 1000;
/** RFC 9113 §5.1.1. */
const MAX_STREAM_ID = 2 ** 31 - 1;

/** One accepted HTTP/2 connection: who is there, and when it has to end. Its streams are connections of their own. */
export class InboundSession {
  /** What carries it. */
  readonly socket: Duplex;
  /** Undefined on a plaintext connection. */
  readonly peer: InboundPeer | undefined;
  readonly #session: ServerHttp2Session;
  readonly #clock: Clock;
  readonly #limits: InboundLimits;
  readonly #drainsGently: boolean;
  #timer: Timer | undefined;
  #watchTrust: Unsubscribe | undefined;
  #life: Timer | undefined;
  #idle: Timer | undefined;
  #closing: Timer | undefined;
  #active = 0;
  #isFresh = true;
  /** Draining, but it may still carry first requests. */
  #spared = false;
  #requests = 0;

  constructor(
    session: ServerHttp2Session,
    { socket, peer }: ConnectionEnd,
    clock: Clock,
    limits: InboundLimits = NO_LIMITS,
    drainsGently = false,
  ) {
    this.#session = session;
    this.socket = socket;
    this.peer = peer;
    this.#clock = clock;
    this.#limits = limits;
    this.#drainsGently = drainsGently;
    const { maxConnectionDurationMs = 0 } = limits;
    if (maxConnectionDurationMs > 0) this.#life = clock.schedule(maxConnectionDurationMs, () => this.drain());
    this.#wait();
    if (peer !== undefined) {
      this.#watch(peer.expiresAtMs, clock);
      this.#watchTrust = peer.onDistrust(() => this.#distrust());
    }
    session.once('close', () => this.release());
  }

  /** Tells the client by GOAWAY to send no more here, and closes when the streams under way are over. */
  drain(): void {
    const { drainTimeoutMs = 0 } = this.#limits;
    if (this.#session.destroyed) return;
    if (this.#spared && !this.#session.closed) this.#session.close();
    if (this.#closing !== undefined) return;
    if (this.#drainsGently && drainTimeoutMs === 0) {
      this.#closeGently();
      return;
    }
    if (drainTimeoutMs === 0 || this.#active === 0) {
      this.#session.close();
      return;
    }
    // RFC 9113 §6.8: a first word, so that what is on its way is still taken; the last one follows.
    this.#session.goaway(0, MAX_STREAM_ID);
    this.#closing = this.#clock.schedule(drainTimeoutMs, () => {
      if (!this.#session.destroyed) this.#session.close();
    });
  }

  /** The same, but what a client that has just connected is about to ask is still taken, until `drain`. */
  drainAfterFirst(): void {
    if (!this.#isFresh) this.drain();
    else if (!this.#session.destroyed && this.#closing === undefined) {
      this.#spared = true;
      this.#closeGently();
    }
  }

  /**
   * gRPC's way: a first GOAWAY, a ping to learn that the client has heard of it, then the last one: no call that was on its
   * way is refused.
   */
  #closeGently(): void {
    const session = this.#session;
    const close = () => {
      this.#closing?.cancel();
      if (!session.destroyed && !session.closed) session.close();
    };
    this.#closing = this.#clock.schedule(GENTLE_MS, close);
    session.goaway(0, MAX_STREAM_ID);
    try {
      if (!session.ping(close)) close();
    } catch {
      close();
    }
  }

  /** A request came on it. */
  carries(stream: ServerHttp2Stream): void {
    this.#isFresh = false;
    if (this.#limits === NO_LIMITS) return;
    const { maxRequestsPerConnection = 0 } = this.#limits;
    this.#idle?.cancel();
    this.#active++;
    stream.once('close', () => {
      if (--this.#active > 0) return;
      if (this.#closing === undefined) this.#wait();
      else if (!this.#session.destroyed) this.#session.close();
    });
    if (maxRequestsPerConnection > 0 && ++this.#requests === maxRequestsPerConnection) this.drain();
  }

  #wait(): void {
    const { idleTimeoutMs = 0 } = this.#limits;
    if (idleTimeoutMs > 0) this.#idle = this.#clock.schedule(idleTimeoutMs, () => this.drain());
  }

  /** Closes at once. */
  destroy(): void {
    this.#session.destroy();
  }

  /** Stops watching the certificates. */
  release(): void {
    this.#life?.cancel();
    this.#idle?.cancel();
    this.#closing?.cancel();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#watchTrust?.();
  }

  /** The last GOAWAY at once: not even what is on its way is taken. */
  #distrust(): void {
    this.#timer?.cancel();
    if (!this.#session.destroyed && !this.#session.closed) this.#session.close();
    this.#timer = this.#clock.schedule(DISTRUST_GRACE_MS, () => this.destroy());
  }

  #watch(expiresAtMs: number, clock: Clock): void {
    const leftMs = Math.max(0, expiresAtMs - clock.wallTime());
    const drainAtMs = expiresAtMs - Math.min(MAX_DRAIN_MARGIN_MS, leftMs / 10);
    this.#timer = atWallTime(clock, drainAtMs, () => {
      this.drain();
      this.#timer = atWallTime(clock, expiresAtMs + EXPIRY_GRACE_MS, () => this.destroy());
    });
  }
}
