import type { Socket } from 'node:net';
import type { Client as UndiciClient } from 'undici';
import type { ConnectionPermits } from '../../cluster/connection-permits.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import { Connection, type ConnectionOwner } from './connection.js';
import type { PooledExchange } from './pooled-exchange.js';

export interface ConnectionPoolOptions {
  /** Names what requests ask for, `http://authority`; where connections go is the matter of `dial`. */
  readonly origin: string;
  readonly client: UndiciClient.Options;
  /** Opens a connection. The callback runs once, later; until then the returned function gives up. */
  readonly dial: (callback: (error: Error | null, socket?: Socket) => void) => Unsubscribe;
  readonly maxConnections: number;
  /** Counts the connections of the whole cluster; undefined = nobody counts. */
  readonly permits?: ConnectionPermits | undefined;
  /** Connections that the pool had whose place it takes: so many may be needed at once. */
  readonly expected?: number | undefined;
  /** Whether this process has no time to spend; undefined = it always has. */
  readonly isBusy?: (() => boolean) | undefined;
  /** Life of a connection and the clock for it; undefined = no limit. */
  readonly life?: { readonly durationMs: number; readonly clock: Clock } | undefined;
}

/** Connections that may be made at once before any stands; each one that stands allows one more. */
const INITIAL_DIALING = 8;
/** A predecessor may have opened many before those that waited were served. */
const MAX_EXPECTED = 32;
/** Where the event loop has no time left, one of so many connections that stand allows another. */
const BUSY_SHARE = 8;

/** A connection that is being made. */
interface Dialing {
  cancel: Unsubscribe;
}

/**
 * The connections to one endpoint, HTTP/1.1.
 *
 * As in Envoy a request that finds no free connection waits for whichever is free first, be it a new one or one that
 * has just answered, and no more connections are opened than requests wait. Beyond Envoy, the number of handshakes
 * under way is bounded by the connections that stand, by a small part of them where the event loop has no time left:
 * each costs as much as several requests, and a busy client that starts hundreds at once falls behind further with
 * every request that comes meanwhile. A connection that can't be made fails every request that waits, unless another stands.
 */
export class ConnectionPool<Exchange extends PooledExchange = PooledExchange>
  implements ConnectionOwner<Exchange>
{
  readonly origin: string;
  readonly client: UndiciClient.Options;
  readonly impliedHost: string;
  readonly #options: ConnectionPoolOptions;
  readonly #initial: number;
  readonly #connections = new Set<Connection<Exchange>>();
  readonly #dialing = new Set<Dialing>();
  /** Free connections; the one used last comes first, so that the others may go idle and close. */
  readonly #free: Connection<Exchange>[] = [];
  #waiting: Exchange[] = [];
  /** Those whose connection broke: they wait for a new one. */
  #again: Exchange[] = [];
  /** Where those go that wait; undefined while this pool is in use. */
  #move: ((exchange: Exchange) => void) | undefined;
  #closing: { readonly done: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
    this.origin = options.origin;
    this.client = options.client;
    this.impliedHost = new URL(options.origin).host;
    this.#initial = Math.max(INITIAL_DIALING, Math.min(options.expected ?? 0, MAX_EXPECTED));
  }

  /** Connections that stand. */
  get size(): number {
    return this.#connections.size;
  }

  /** Sends now if a connection is free, else as soon as one is. */
  send(exchange: Exchange): void {
    const connection = this.#takeFree();
    if (connection !== undefined) {
      connection.run(exchange);
      return;
    }
    const refusal = exchange.refusal();
    if (refusal !== undefined) {
      exchange.failed(refusal);
      return;
    }
    this.#waiting.push(exchange);
    this.#grow();
  }

  /** Lets what runs or waits finish, then closes. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      let resolve = () => {};
      const done = new Promise<void>((settle) => {
        resolve = settle;
      });
      this.#closing = { done, resolve };
      for (const connection of this.#free.splice(0)) this.#drop(connection);
      this.#settleIfEmpty();
    }
    return this.#closing.done;
  }

  /** Closes when what runs has finished; what waits, now or because it must be sent again, moves to a successor. */
  retire(move: (exchange: Exchange) => void): Promise<void> {
    this.#move = move;
    this.#giveUpDialing();
    const waiting = this.#takeWaiting();
    const closed = this.close();
    for (const exchange of waiting) move(exchange);
    return closed;
  }

  /** Cuts every connection. */
  destroy(): void {
    this.#giveUpDialing();
    for (const exchange of this.#takeWaiting()) exchange.failed(new Error('the connections were cut'));
    for (const connection of this.#connections) connection.destroy();
    this.#settleIfEmpty();
  }

  released(connection: Connection<Exchange>): void {
    // What has ended, or is about to say so, is no place for another.
    if (!this.#connections.has(connection) || !connection.isAlive) return;
    const next = connection.isOld ? undefined : this.#next(false);
    if (next !== undefined) {
      connection.hold(next);
      // undici still counts the exchange that just ended until its callback returns, and may close what carried it.
      queueMicrotask(() => this.#runOn(connection, next));
    } else if (this.#closing !== undefined || connection.isOld) {
      this.#drop(connection);
      this.#grow();
    } else this.#free.push(connection);
  }

  again(exchange: Exchange): void {
    if (this.#move !== undefined) {
      this.#move(exchange);
      return;
    }
    this.#again.push(exchange);
    this.#grow();
    // Where no other may be opened, those that are there must do.
    if (this.#dialing.size > 0) return;
    const free = this.#takeFree();
    const next = free && this.#next(true);
    if (next !== undefined) free?.run(next);
    else if (free !== undefined) this.#free.push(free);
  }

  lost(connection: Connection<Exchange>): void {
    if (!this.#connections.has(connection)) return;
    const at = this.#free.indexOf(connection);
    if (at >= 0) this.#free.splice(at, 1);
    this.#drop(connection);
    this.#grow();
  }

  /** Runs what a connection was held for, unless something happened meanwhile. */
  #runOn(connection: Connection<Exchange>, exchange: Exchange): void {
    const isThere = this.#connections.has(connection) && connection.isAlive;
    if (this.#move !== undefined) {
      if (isThere) connection.release();
      if (!exchange.isOver) this.#move(exchange);
    } else if (!isThere) {
      this.#waiting.unshift(exchange);
      this.#grow();
    } else if (exchange.isOver) connection.release();
    else connection.run(exchange);
  }

  #takeFree(): Connection<Exchange> | undefined {
    let connection = this.#free.pop();
    // What has ended says so itself, a little later.
    while (connection?.isAlive === false) connection = this.#free.pop();
    return connection;
  }

  /** Those that must be sent again go first, on what is new. */
  #next(isNew: boolean): Exchange | undefined {
    const first = isNew || this.#dialing.size === 0 ? takeFirst(this.#again) : undefined;
    return first ?? takeFirst(this.#waiting);
  }

  #takeWaiting(): Exchange[] {
    const waiting = [...this.#again, ...this.#waiting].filter(({ isOver }) => !isOver);
    this.#again = [];
    this.#waiting = [];
    return waiting;
  }

  /** Envoy: opens no more connections than requests wait. */
  #grow(): void {
    while (this.#dialing.size < this.#waiting.length + this.#again.length && this.#mayDial()) this.#dial();
  }

  #mayDial(): boolean {
    const { maxConnections, permits } = this.#options;
    const stand = this.#connections.size;
    const own = stand + this.#dialing.size;
    if (this.#dialing.size >= this.#mostDialing(own)) return false;
    if (own >= maxConnections && own > 0) return false;
    return permits?.tryOpen(own) !== false;
  }

  #mostDialing(own: number): number {
    const stand = this.#connections.size;
    if (own < this.#initial || this.#options.isBusy?.() !== true) return this.#initial + stand;
    return Math.ceil(stand / BUSY_SHARE);
  }

  #dial(): void {
    const dialing: Dialing = { cancel: ignore };
    this.#dialing.add(dialing);
    dialing.cancel = this.#options.dial((error, socket) => {
      if (!this.#dialing.delete(dialing)) socket?.destroy();
      else if (socket === undefined) this.#unreachable(error ?? new Error('no connection'));
      else this.#up(socket);
    });
  }

  #giveUpDialing(): void {
    for (const dialing of this.#dialing) {
      dialing.cancel();
      this.#options.permits?.closed();
    }
    this.#dialing.clear();
  }

  #up(socket: Socket): void {
    const connection = new Connection(socket, this);
    this.#connections.add(connection);
    const { life } = this.#options;
    if (life !== undefined) {
      connection.ageing = life.clock.schedule(life.durationMs, () => this.#aged(connection));
    }
    const next = this.#next(true);
    if (next !== undefined) connection.run(next);
    else if (this.#closing !== undefined) this.#drop(connection);
    else this.#free.push(connection);
    // One more stands: those that wait may open more.
    this.#grow();
  }

  #unreachable(error: Error): void {
    this.#options.permits?.closed();
    // Envoy purges every pending request of the pool: they may try another host instead of waiting here.
    const failed = this.#connections.size === 0 ? this.#takeWaiting() : [this.#next(true)];
    for (const exchange of failed) exchange?.failed(error);
    this.#grow();
    this.#settleIfEmpty();
  }

  /** Envoy `max_connection_duration`: what it carries is finished first. */
  #aged(connection: Connection<Exchange>): void {
    connection.isOld = true;
    if (connection.isBusy) return;
    const at = this.#free.indexOf(connection);
    if (at >= 0) this.#free.splice(at, 1);
    this.#drop(connection);
  }

  #drop(connection: Connection<Exchange>): void {
    connection.ageing?.cancel();
    if (this.#connections.delete(connection)) this.#options.permits?.closed();
    connection.close();
    this.#settleIfEmpty();
  }

  #settleIfEmpty(): void {
    if (this.#closing === undefined || this.#connections.size > 0 || this.#dialing.size > 0) return;
    if (this.#waiting.every(isOver) && this.#again.every(isOver)) this.#closing.resolve();
  }
}

/** The first that somebody still waits for. */
function takeFirst<Exchange extends PooledExchange>(queue: Exchange[]): Exchange | undefined {
  let first = queue.shift();
  while (first?.isOver === true) first = queue.shift();
  return first;
}

function isOver(exchange: PooledExchange): boolean {
  return exchange.isOver;
}

function ignore(): void {}
