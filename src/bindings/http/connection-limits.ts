import type { Duplex } from 'node:stream';
import type { InboundLimits } from '../../model/inbound-limits.js';
import type { Clock, Timer } from '../../runtime/clock.js';

/** What a limit does to its connection. */
export interface LimitedConnection {
  /** Lets the running exchange finish, then closes. */
  drain(): void;
  /** Answers a request whose head does not come, and closes. */
  headTimedOut(): void;
}

/** Looks per time limit of a head: it is noticed an eighth late at most. */
const LOOKS = 8;

/**
 * The limits of one HTTP/1.1 connection: its life, its pauses between requests, the number of its requests, and the time
 * that the head of a request takes.
 */
export class ConnectionLimits {
  readonly #limits: InboundLimits;
  readonly #socket: Duplex & { readonly bytesRead?: number };
  readonly #clock: Clock;
  readonly #connection: LimitedConnection;
  #life: Timer | undefined;
  #idle: Timer | undefined;
  #look: Timer | undefined;
  #requests = 0;
  /** Bytes of the connection before the head that is waited for. */
  #bytesBefore: number;
  #headSinceMs: number | undefined;

  constructor(
    limits: InboundLimits,
    socket: Duplex,
    tools: { readonly clock: Clock; readonly connection: LimitedConnection; readonly bytesBefore: number },
  ) {
    this.#limits = limits;
    this.#socket = socket;
    this.#clock = tools.clock;
    this.#connection = tools.connection;
    this.#bytesBefore = tools.bytesBefore;
    const { maxConnectionDurationMs = 0 } = limits;
    if (maxConnectionDurationMs > 0) {
      this.#life = this.#clock.schedule(maxConnectionDurationMs, () => this.#connection.drain());
    }
    this.#wait();
    socket.once('close', () => this.stop());
  }

  /** A request began. True: it is the last that the connection may carry. */
  begin(): boolean {
    this.#idle?.cancel();
    this.#look?.cancel();
    const { maxRequestsPerConnection = 0 } = this.#limits;
    return maxRequestsPerConnection > 0 && ++this.#requests >= maxRequestsPerConnection;
  }

  /** No request is under way any more. */
  free(): void {
    if (this.#socket.destroyed) return;
    this.#bytesBefore = this.#socket.bytesRead ?? 0;
    this.#wait();
  }

  stop(): void {
    this.#life?.cancel();
    this.#idle?.cancel();
    this.#look?.cancel();
  }

  #wait(): void {
    const { idleTimeoutMs = 0, requestHeadersTimeoutMs = 0 } = this.#limits;
    this.#idle?.cancel();
    this.#look?.cancel();
    this.#headSinceMs = undefined;
    if (idleTimeoutMs > 0) this.#idle = this.#clock.schedule(idleTimeoutMs, () => this.#connection.drain());
    if (requestHeadersTimeoutMs > 0) this.#lookAtHead(requestHeadersTimeoutMs);
  }

  /** Node's parser reads the socket without a word, but what came is counted. */
  #lookAtHead(timeoutMs: number): void {
    const nowMs = this.#clock.now();
    if (this.#headSinceMs === undefined) {
      if ((this.#socket.bytesRead ?? 0) > this.#bytesBefore) this.#headSinceMs = nowMs;
    } else if (nowMs - this.#headSinceMs >= timeoutMs) {
      this.#connection.headTimedOut();
      return;
    }
    this.#look = this.#clock.schedule(timeoutMs / LOOKS, () => this.#lookAtHead(timeoutMs));
  }
}
