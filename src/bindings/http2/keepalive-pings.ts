import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Http2Keepalive } from '../../model/upstream-protocol.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';

/** PINGs that find out whether the other end still lives (Envoy `connection_keepalive`). */
export class KeepalivePings {
  readonly #session: ClientHttp2Session;
  readonly #socket: Socket;
  readonly #settings: Http2Keepalive;
  readonly #clock: Clock;
  readonly #random: Random;
  #next: Timer | undefined;
  #timeout: Timer | undefined;

  constructor(
    session: ClientHttp2Session,
    socket: Socket,
    settings: Http2Keepalive,
    { clock, random }: { readonly clock: Clock; readonly random: Random },
  ) {
    this.#session = session;
    this.#socket = socket;
    this.#settings = settings;
    this.#clock = clock;
    this.#random = random;
  }

  start(): void {
    const { intervalMs, jitterPercent } = this.#settings;
    if (intervalMs <= 0) return;
    const delayMs = intervalMs * (1 + (this.#random() * jitterPercent) / 100);
    this.#next = this.#clock.schedule(delayMs, () => this.#ping());
  }

  stop(): void {
    this.#next?.cancel();
    this.#timeout?.cancel();
    this.#timeout = undefined;
  }

  /** A connection that was idle for long is probed along with its next request. */
  beforeRequest(idleMs: number): void {
    const { idleIntervalMs } = this.#settings;
    if (idleIntervalMs > 0 && idleMs >= idleIntervalMs) this.#ping();
  }

  #ping(): void {
    // Envoy: one that is on its way decides.
    if (this.#timeout !== undefined || this.#session.destroyed) return;
    this.#next?.cancel();
    const wasSent = this.#session.ping((error) => {
      this.#timeout?.cancel();
      this.#timeout = undefined;
      if (error === null && !this.#session.destroyed) this.start();
    });
    if (wasSent) this.#await(this.#socket.bytesRead);
  }

  /** Envoy: whatever comes meanwhile extends the time, because the answer may wait behind it. */
  #await(bytesRead: number): void {
    this.#timeout = this.#clock.schedule(this.#settings.timeoutMs, () => {
      if (this.#session.destroyed) return;
      const now = this.#socket.bytesRead;
      if (now !== bytesRead) this.#await(now);
      else this.#session.destroy(unanswered(this.#settings.timeoutMs));
    });
  }
}

function unanswered(timeoutMs: number): Error {
  return Object.assign(new Error(`no answer to an HTTP/2 PING within ${timeoutMs} ms`), {
    code: 'ETIMEDOUT',
  });
}
