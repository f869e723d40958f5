import { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../runtime/clock.js';

/** What happens on one of our sockets, told to whoever stands for the network. */
export interface SocketEvents {
  /** Bytes were written; `done` asks for more. */
  written(chunks: readonly Buffer[], done: (error?: Error | null) => void): void;
  /** The reader wants more. */
  wanted(): void;
  /** Our user's side has ended. */
  ended(done: () => void): void;
  /** It is gone; `error` when it was destroyed with one. */
  closed(error: Error | null): void;
}

interface BufferedWrite {
  readonly chunk: Buffer;
}

/**
 * The socket that node:http is given for a host of the mesh. Nothing is connected: what is written is read here, in
 * the process, and answered by the mesh. It has what node:http and the libraries on it ask of a socket.
 */
export class AgentSocket extends Duplex {
  /** As of a connection that stands. */
  readonly connecting = false;
  readonly pending = false;
  /** For `https:` it looks like a TLS socket whose peer was verified: that is the mesh's affair. */
  readonly encrypted: boolean;
  readonly authorized: boolean;
  readonly authorizationError = null;
  readonly alpnProtocol = false;
  /** The endpoint that answered last. */
  remoteAddress: string | undefined;
  remotePort: number | undefined;
  remoteFamily: string | undefined;
  bytesRead = 0;
  bytesWritten = 0;
  timeout: number | undefined;
  readonly #events: SocketEvents;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #activeMs = 0;

  constructor(isSecure: boolean, clock: Clock, events: (socket: AgentSocket) => SocketEvents) {
    // As a net.Socket of a client: when the other side ends, so does ours.
    super({ allowHalfOpen: false, highWaterMark: 65_536, emitClose: false });
    this.encrypted = isSecure;
    this.authorized = isSecure;
    this.#clock = clock;
    this.#events = events(this);
  }

  /** Gives bytes to the reader; false asks to wait until they are wanted. */
  deliver(chunk: Buffer): boolean {
    this.bytesRead += chunk.length;
    this.#touch();
    return this.push(chunk);
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#written([chunk], done);
  }

  override _writev(writes: BufferedWrite[], done: (error?: Error | null) => void): void {
    this.#written(
      writes.map(({ chunk }) => chunk),
      done,
    );
  }

  override _read(): void {
    this.#events.wanted();
  }

  override _final(done: () => void): void {
    this.#events.ended(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#events.closed(error);
    done(error);
    // A real one closes after all that the error has led to: libraries tell by the order which came first.
    setImmediate(() => this.emit('close', error !== null));
  }

  /** Destroys it once all is written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** net.Socket: emits `timeout` after so long without a byte either way; 0 never. */
  setTimeout(timeoutMs: number, listener?: () => void): this {
    this.timeout = timeoutMs;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (timeoutMs > 0) {
      this.#touch();
      if (listener !== undefined) this.once('timeout', listener);
    } else if (listener !== undefined) this.removeListener('timeout', listener);
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  address(): object {
    return {};
  }

  /** The mesh verified the peer; node:tls gives an empty object when there is no certificate to show. */
  getPeerCertificate(): object {
    return {};
  }

  getPeerX509Certificate(): undefined {
    return undefined;
  }

  isSessionReused(): boolean {
    return false;
  }

  #written(chunks: readonly Buffer[], done: (error?: Error | null) => void): void {
    for (const chunk of chunks) this.bytesWritten += chunk.length;
    this.#touch();
    this.#events.written(chunks, done);
  }

  #touch(): void {
    const { timeout } = this;
    if (timeout === undefined || timeout === 0) return;
    this.#activeMs = this.#clock.now();
    if (this.#timer === undefined) this.#watch(timeout);
  }

  /**
   * One timer that looks at the last activity, instead of one per byte. As net.Socket, it tells once per silence. A
   * library's own timer of the same length, started along with it, must win (follow-redirects tells them apart by that):
   * hence the millisecond.
   */
  #watch(delayMs: number): void {
    this.#timer = this.#clock.schedule(delayMs + 1, () => {
      this.#timer = undefined;
      const { timeout } = this;
      if (timeout === undefined || timeout === 0) return;
      const leftMs = this.#activeMs + timeout - this.#clock.now();
      if (leftMs > 0) this.#watch(leftMs);
      else this.emit('timeout');
    });
  }
}
