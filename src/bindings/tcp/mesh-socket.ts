import type { AddressInfo, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Clock } from '../../runtime/clock.js';
import type { RawConnection } from '../../service/connection.js';
import { SilenceTimer } from './silence-timer.js';

/** What a socket tells whoever connects it. */
export interface MeshSocketEvents {
  /** Bytes were written before there was a connection; false takes no more for now. */
  early(bytes: Buffer): boolean;
  /** It is gone; `error` when it was destroyed with one. */
  closed(error: Error | null): void;
}

type Done = (error?: Error | null) => void;

const HIGH_WATER_MARK = 65_536;

/**
 * A connection through the mesh. It behaves as the socket of `net.connect()`: it is there at once, emits `connect` when
 * the connection stands, and takes writes before that. What it stands on may be TLS; nobody sees that.
 */
export class MeshSocket extends Duplex {
  /** Whether there is no connection yet. */
  connecting = true;
  /** Bytes that came, and that were given to it so far. */
  bytesRead = 0;
  bytesWritten = 0;
  /** As given to `setTimeout`. */
  timeout: number | undefined;
  readonly autoSelectFamilyAttemptedAddresses: string[] = [];
  readonly #events: MeshSocketEvents;
  readonly #silence: SilenceTimer;
  readonly #idle: SilenceTimer;
  /** Written before there was a connection. */
  #early: Buffer[] = [];
  #earlyDone: Done | undefined;
  #finalDone: Done | undefined;
  /** Waits until what it stands on takes more. */
  #drainDone: Done | undefined;
  #isEnded = false;
  #upstream: RawConnection | undefined;
  #wantsMore = false;
  #isReferenced = true;
  #noDelay: boolean | undefined;
  #keepAlive: [enable: boolean | undefined, delayMs: number | undefined] | undefined;

  constructor(options: { readonly allowHalfOpen: boolean; readonly clock: Clock }, events: MeshSocketEvents) {
    super({ allowHalfOpen: options.allowHalfOpen, highWaterMark: HIGH_WATER_MARK });
    this.#events = events;
    this.#silence = new SilenceTimer(options.clock, () => this.emit('timeout'));
    this.#idle = new SilenceTimer(options.clock, () => this.closeInOrder());
  }

  /** Says that the connection stands, though it may be made only when the first bytes are seen. */
  announce(): void {
    if (!this.connecting) return;
    this.connecting = false;
    this.emit('connect');
    this.emit('ready');
  }

  /** Takes more of what is written, though there is no connection yet. */
  takeMore(): void {
    const done = this.#earlyDone;
    this.#earlyDone = undefined;
    done?.();
  }

  /** Stands on this connection from now on; without a byte either way for so long it ends, 0 = never. */
  attach(upstream: RawConnection, idleMs: number): void {
    this.#upstream = upstream;
    // Which side may end first is decided here, not below.
    upstream.allowHalfOpen = true;
    if (!this.#isReferenced) upstream.unref?.();
    if (this.#noDelay !== undefined) upstream.setNoDelay?.(this.#noDelay);
    if (this.#keepAlive !== undefined) upstream.setKeepAlive?.(...this.#keepAlive);
    upstream.on('data', this.#onData);
    if (!this.#wantsMore) upstream.pause();
    upstream.on('drain', this.#onDrain);
    upstream.on('end', this.#onEnd);
    upstream.on('error', this.#onError);
    upstream.on('close', this.#onClose);
    this.#idle.set(idleMs);
    this.announce();
    const [early, done] = [this.#early, this.#earlyDone];
    this.#early = [];
    this.#earlyDone = undefined;
    if (early.length > 0) this.#forward(upstream, early, done ?? nothing);
    if (this.#finalDone !== undefined) upstream.end(this.#finalDone);
  }

  /** As when the other side closes: nothing more comes, and what is written goes nowhere. */
  closeInOrder(): void {
    this.#detach();
    this.#onClose();
    this.#events.closed(null);
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#written([chunk], done);
  }

  override _writev(writes: { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#written(
      writes.map(({ chunk }) => chunk),
      done,
    );
  }

  override _read(): void {
    this.#wantsMore = true;
    this.#upstream?.resume();
  }

  override _final(done: (error?: Error | null) => void): void {
    const upstream = this.#upstream;
    if (upstream === undefined) this.#finalDone = done;
    else if (upstream.destroyed) done();
    else upstream.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.connecting = false;
    this.#detach();
    this.#events.closed(error);
    done(error);
  }

  /** Destroys it once all is written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Closes with a reset where that can be. */
  resetAndDestroy(): this {
    const upstream = this.#upstream;
    if (upstream !== undefined && !('encrypted' in upstream) && !upstream.destroyed)
      upstream.resetAndDestroy?.();
    return this.destroy();
  }

  /** It connects by itself: where it goes was said when it was made. */
  connect(...given: unknown[]): this {
    const listener = given.at(-1);
    if (typeof listener !== 'function') return this;
    // Callers pass the listener of net.Socket's own method.
    if (this.connecting) this.once('connect', listener as () => void);
    else process.nextTick(listener);
    return this;
  }

  /** net.Socket: emits `timeout` after so long without a byte either way; 0 never. */
  setTimeout(timeoutMs: number, listener?: () => void): this {
    this.timeout = timeoutMs;
    this.#silence.set(timeoutMs);
    if (listener === undefined) return this;
    return timeoutMs > 0 ? this.once('timeout', listener) : this.removeListener('timeout', listener);
  }

  setNoDelay(noDelay?: boolean): this {
    this.#noDelay = noDelay ?? true;
    this.#upstream?.setNoDelay?.(this.#noDelay);
    return this;
  }

  setKeepAlive(enable?: boolean, initialDelayMs?: number): this {
    this.#keepAlive = [enable, initialDelayMs];
    this.#upstream?.setKeepAlive?.(enable, initialDelayMs);
    return this;
  }

  ref(): this {
    this.#isReferenced = true;
    this.#upstream?.ref?.();
    return this;
  }

  unref(): this {
    this.#isReferenced = false;
    this.#upstream?.unref?.();
    return this;
  }

  address(): AddressInfo | Record<string, never> {
    const address = this.#upstream?.address?.();
    return address !== undefined && 'port' in address ? address : {};
  }

  get pending(): boolean {
    return this.connecting;
  }

  get readyState(): Socket['readyState'] {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  /** Bytes that wait to be written. */
  get bufferSize(): number {
    return this.writableLength;
  }

  /** The endpoint that it is connected to. */
  get remoteAddress(): string | undefined {
    return this.#upstream?.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#upstream?.remotePort;
  }

  get remoteFamily(): string | undefined {
    return this.#upstream?.remoteFamily;
  }

  get localAddress(): string | undefined {
    return this.#upstream?.localAddress;
  }

  get localPort(): number | undefined {
    return this.#upstream?.localPort;
  }

  get localFamily(): string | undefined {
    return this.#upstream?.localFamily;
  }

  #written(chunks: readonly Buffer[], done: Done): void {
    for (const chunk of chunks) this.bytesWritten += chunk.length;
    this.#silence.touch();
    const upstream = this.#upstream;
    if (upstream !== undefined) {
      this.#forward(upstream, chunks, done);
      return;
    }
    let takesMore = true;
    for (const chunk of chunks) {
      this.#early.push(chunk);
      takesMore = this.#events.early(chunk);
    }
    // The connection may stand by now, and have taken them.
    if (takesMore || this.#early.length === 0) done();
    else this.#earlyDone = done;
  }

  #forward(upstream: RawConnection, chunks: readonly Buffer[], done: Done): void {
    this.#idle.touch();
    if (upstream.destroyed) {
      // Its 'close' tells why.
      done();
      return;
    }
    let isRoomy = true;
    if (chunks.length > 1) upstream.cork();
    for (const chunk of chunks) isRoomy = upstream.write(chunk);
    if (chunks.length > 1) upstream.uncork();
    if (isRoomy) done();
    else this.#drainDone = done;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.bytesRead += chunk.length;
    this.#silence.touch();
    this.#idle.touch();
    if (this.push(chunk)) return;
    this.#wantsMore = false;
    this.#upstream?.pause();
  };

  readonly #onDrain = (): void => {
    const done = this.#drainDone;
    this.#drainDone = undefined;
    done?.();
  };

  readonly #onEnd = (): void => {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.push(null);
  };

  readonly #onError = (error: Error): void => {
    this.destroy(error);
  };

  /** Nothing can be written any more; what came can still be read. */
  readonly #onClose = (): void => {
    this.#onDrain();
    this.takeMore();
    this.#finalDone?.();
    this.#onEnd();
    if (this.writable) this.end();
  };

  #detach(): void {
    this.#silence.set(0);
    this.#idle.set(0);
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    upstream.off('data', this.#onData);
    upstream.off('drain', this.#onDrain);
    upstream.off('end', this.#onEnd);
    upstream.off('error', this.#onError);
    upstream.off('close', this.#onClose);
    // What happens to it from now on is nobody's error.
    upstream.on('error', nothing);
    if (!upstream.destroyed) upstream.destroy();
  }
}

function nothing(): void {}
