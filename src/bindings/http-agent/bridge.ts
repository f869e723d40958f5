import type { Duplex } from 'node:stream';
import type { AgentSocket } from './socket.js';

/** Joins the caller's socket with the connection to the endpoint after an upgrade, with back-pressure both ways. */
export class Bridge {
  readonly #socket: AgentSocket;
  readonly #tunnel: Duplex;

  constructor(socket: AgentSocket, tunnel: Duplex) {
    this.#socket = socket;
    this.#tunnel = tunnel;
    tunnel.on('data', (chunk: Buffer) => {
      if (!socket.deliver(chunk)) tunnel.pause();
    });
    tunnel.on('end', () => socket.push(null));
    tunnel.on('error', (error) => socket.destroy(error));
    // Without an `end` before it was cut.
    tunnel.on('close', () => {
      if (!tunnel.readableEnded) socket.destroy();
    });
  }

  write(chunks: readonly Buffer[], done: (error?: Error | null) => void): void {
    if (chunks.length > 1) this.#tunnel.cork();
    let isFree = true;
    for (const chunk of chunks) isFree = this.#tunnel.write(chunk);
    if (chunks.length > 1) this.#tunnel.uncork();
    if (isFree || this.#tunnel.destroyed) done();
    else this.#tunnel.once('drain', done);
  }

  wanted(): void {
    this.#tunnel.resume();
  }

  ended(done: () => void): void {
    if (this.#tunnel.writable) this.#tunnel.end(done);
    else done();
  }

  closed(error: Error | null): void {
    // What was written last may still be on its way.
    if (error === null && this.#socket.writableFinished && !this.#tunnel.destroyed) this.#tunnel.end();
    else this.#tunnel.destroy();
  }
}
