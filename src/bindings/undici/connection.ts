import type { Socket } from 'node:net';
import type { Client as UndiciClient } from 'undici';
import type { Timer } from '../../runtime/clock.js';
import { Client } from './library.js';
import type { Lease, PooledExchange } from './pooled-exchange.js';

/** Who hears of a connection. */
export interface ConnectionOwner<Exchange extends PooledExchange> {
  readonly origin: string;
  readonly client: UndiciClient.Options;
  /** The Host header that undici writes for the origin. */
  readonly impliedHost: string;
  /** It needs nothing more for what it carried. */
  released(connection: Connection<Exchange>): void;
  /** It broke before the answer to what it carried began, and that may be sent again. */
  again(exchange: Exchange): void;
  /** It has ended. */
  lost(connection: Connection<Exchange>): void;
}

/** The connection of a client has ended, so what was not written yet must go on another. */
export class ConnectionGone extends Error {
  override readonly name = 'ConnectionGone';
}

/** A connection that stands: an undici Client, made with the first of the exchanges that it carries one at a time. */
export class Connection<Exchange extends PooledExchange> implements Lease {
  /** Whether it lived long enough: it finishes what it carries. */
  isOld = false;
  /** When it will be. */
  ageing: Timer | undefined;
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner<Exchange>;
  #client: UndiciClient | undefined;
  /** By us, not by undici. */
  #isWatched = false;
  #carries: Exchange | undefined;
  #carried = 0;

  constructor(socket: Socket, owner: ConnectionOwner<Exchange>) {
    this.#socket = socket;
    this.#owner = owner;
    this.#watch();
  }

  get isAlive(): boolean {
    return !this.#socket.destroyed;
  }

  get isBusy(): boolean {
    return this.#carries !== undefined;
  }

  get isReused(): boolean {
    return this.#carried > 1;
  }

  /** Takes it for what is run soon. */
  hold(exchange: Exchange): void {
    this.#carries = exchange;
  }

  run(exchange: Exchange): void {
    this.#carries = exchange;
    this.#carried++;
    exchange.lease = this;
    const client = this.#client ?? this.#begin();
    client.dispatch(exchange.options(this.#owner.impliedHost), exchange.handler);
  }

  release(): void {
    if (this.#carries === undefined) return;
    this.#carries = undefined;
    this.#owner.released(this);
  }

  sendAgain(): void {
    const exchange = this.#carries;
    if (exchange === undefined) return;
    this.#carries = undefined;
    exchange.lease = undefined;
    this.#owner.again(exchange);
  }

  /** Ends it once what it carries is finished. */
  close(): void {
    if (this.#isWatched) this.#socket.destroy();
    this.#client?.close().catch(ignore);
  }

  /** Ends it at once. */
  destroy(): void {
    if (this.#isWatched) this.#socket.destroy();
    this.#client?.destroy().catch(ignore);
  }

  #begin(): UndiciClient {
    const { origin, client: options } = this.#owner;
    let isFirst = true;
    const client = new Client(origin, {
      ...options,
      connect: (_target, callback) => {
        const isThere = isFirst && this.isAlive;
        isFirst = false;
        // undici does not hear what is said from within its own call.
        queueMicrotask(() => {
          if (isThere && this.isAlive) {
            this.#unwatch();
            callback(null, this.#socket);
          } else callback(new ConnectionGone('the connection has ended'), null);
        });
      },
    });
    client.on('disconnect', this.#ended);
    client.on('connectionError', this.#ended);
    this.#client = client;
    return client;
  }

  /** Until something is to be sent: undici does not watch it before. */
  #watch(): void {
    this.#isWatched = true;
    const socket = this.#socket;
    socket.unref();
    socket.on('error', ignore);
    socket.on('readable', this.#early);
    socket.on('timeout', this.#idle);
    socket.on('close', this.#ended);
    socket.setTimeout(this.#owner.client.keepAliveTimeout ?? 0);
  }

  #unwatch(): void {
    this.#isWatched = false;
    const socket = this.#socket;
    socket.off('error', ignore);
    socket.off('readable', this.#early);
    socket.off('timeout', this.#idle);
    socket.off('close', this.#ended);
    socket.setTimeout(0);
    socket.ref();
  }

  /** Bytes that nobody asked for must not pass for an answer; to read tells of the end, too. */
  readonly #early = (): void => {
    if (this.#socket.read() !== null) this.#socket.destroy();
  };
  readonly #idle = (): void => void this.#socket.destroy();
  readonly #ended = (): void => this.#owner.lost(this);
}

/** What is gone already has nothing more to say. */
function ignore(): void {}
