import type { ServerHttp2Session } from 'node:http2';
import { atWallTime } from '../../../identity/wall-timer.js';
import type { Clock, Timer } from '../../../runtime/clock.js';
import type { InboundPeer } from '../connection.js';

/** How long exchanges may run on after a certificate of their connection has expired. */
const EXPIRY_GRACE_MS = 10_000;
/** The client is told to go on elsewhere for this long before the expiry, or for a tenth of what is left if that is less. */
const MAX_DRAIN_MARGIN_MS = 60_000;

/** One accepted HTTP/2 connection: who is there, and when it has to end. Its streams are connections of their own. */
export class InboundSession {
  /** Undefined on a plaintext connection. */
  readonly peer: InboundPeer | undefined;
  readonly #session: ServerHttp2Session;
  #timer: Timer | undefined;

  constructor(session: ServerHttp2Session, peer: InboundPeer | undefined, clock: Clock) {
    this.#session = session;
    this.peer = peer;
    if (peer !== undefined) this.#watch(peer.expiresAtMs, clock);
    session.once('close', () => this.release());
  }

  /** Tells the client by GOAWAY to send no more here, and closes when the streams under way are over. */
  drain(): void {
    if (!this.#session.destroyed) this.#session.close();
  }

  /** Closes at once. */
  destroy(): void {
    this.#session.destroy();
  }

  /** Stops watching the certificates. */
  release(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
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
