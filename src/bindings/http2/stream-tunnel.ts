import type { ClientHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import { CODES } from './codes.js';

/**
 * A stream after the server agreed to a CONNECT: what runs through it is no HTTP any more. It behaves as the socket that
 * an upgrade of HTTP/1.1 leaves, and counts.
 */
export class StreamTunnel extends Duplex {
  bytesRead = 0;
  bytesWritten = 0;
  readonly #stream: ClientHttp2Stream;
  #ended = false;

  constructor(stream: ClientHttp2Stream) {
    super({ allowHalfOpen: false });
    this.#stream = stream;
  }

  /** Bytes came; false asks to wait. */
  deliver(chunk: Buffer): boolean {
    this.bytesRead += chunk.byteLength;
    return this.push(chunk);
  }

  /** The server has ended its side. */
  finish(): void {
    this.#ended = true;
    this.push(null);
  }

  /** The stream is gone. */
  gone(error: Error): void {
    // What came before an orderly end is still to be read.
    if (!this.#ended) this.destroy(error);
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.bytesWritten += chunk.byteLength;
    this.#stream.write(chunk, encoding, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#stream.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const isOver = error === null && this.#ended && this.writableFinished;
    if (!this.#stream.closed) this.#stream.close(isOver ? CODES.NO_ERROR : CODES.CANCEL);
    done(error);
  }
}
