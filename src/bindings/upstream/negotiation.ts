import type { Unsubscribe } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import type { Dial, DialCallback, Dialed } from './dial.js';

/** A connection that nobody wants after all is kept no longer. */
const SPARE_MS = 1000;

/** Finds out by ALPN what an endpoint speaks: one connection decides for all that wait (Envoy `auto_config`). */
export class Negotiation {
  readonly #dial: Dial;
  readonly #clock: Clock;
  #decided: 'h2' | 'http/1.1' | undefined;
  #waiting: DialCallback[] = [];
  #spare: Dialed | undefined;
  #stop: Unsubscribe | undefined;

  constructor(dial: Dial, clock: Clock) {
    this.#dial = dial;
    this.#clock = clock;
  }

  get decided(): 'h2' | 'http/1.1' | undefined {
    return this.#decided;
  }

  /** Calls back once it is decided; an HTTP/2 connection goes to the first that waits, one of HTTP/1.1 is kept. */
  decide(callback: DialCallback): void {
    this.#waiting.push(callback);
    if (this.#waiting.length > 1) return;
    this.#stop = this.#dial(['h2', 'http/1.1'], (error, dialed) => this.#settle(error, dialed));
  }

  /** The connection that decided for HTTP/1.1, once. */
  takeSpare(): Dialed | undefined {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare === undefined || spare.socket.destroyed ? undefined : spare;
  }

  /** The endpoint speaks something else by now: the next request finds out. */
  forget(): void {
    this.#decided = undefined;
  }

  close(): void {
    if (this.#waiting.length === 0) this.#stop?.();
    this.takeSpare()?.socket.destroy();
  }

  /** Nobody needs the answer any more: those that wait hear nothing but that. */
  retire(): void {
    this.#stop?.();
    this.takeSpare()?.socket.destroy();
    this.#settle(null, undefined);
  }

  #settle(error: Error | null, dialed: Dialed | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (dialed !== undefined) {
      // Envoy: an endpoint that negotiates nothing speaks HTTP/1.1.
      this.#decided = dialed.alpn === 'h2' || dialed.alpn === 'istio-h2' ? 'h2' : 'http/1.1';
      if (this.#decided === 'http/1.1') this.#keep(dialed);
    }
    waiting.forEach((callback, index) => {
      if (dialed === undefined) callback(error ?? new Error('no connection'));
      else callback(null, index === 0 ? dialed : undefined);
    });
  }

  #keep(dialed: Dialed): void {
    this.#spare = dialed;
    this.#clock.schedule(SPARE_MS, () => {
      if (this.#spare === dialed) this.takeSpare()?.socket.destroy();
    });
  }
}
