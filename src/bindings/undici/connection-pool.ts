import type { Dispatcher, Client as UndiciClient } from 'undici';
import type { ConnectionPermits } from '../../cluster/connection-permits.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import { Client } from './library.js';

/** A request that a pool carries: what undici sends, and the handler that hears of it. */
export interface PooledExchange {
  /** What undici sends; `impliedHost` is the Host header that it writes when the options have none. */
  options(impliedHost: string): Dispatcher.DispatchOptions;
  readonly handler: Dispatcher.DispatchHandler;
  /** Whether nobody waits for it any more. */
  readonly isOver: boolean;
  /** No connection could be made for it. */
  failed(error: Error): void;
  /** Set by the pool: the exchange releases it once it needs its connection no longer. */
  lease: Lease | undefined;
}

/** A connection that an exchange holds. */
export interface Lease {
  release(): void;
}

export interface ConnectionPoolOptions {
  /** Names what requests ask for, `http://authority`; where connections go is the connector's matter. */
  readonly origin: string;
  readonly client: UndiciClient.Options;
  readonly maxConnections: number;
  /** Counts the connections of the whole cluster; undefined = nobody counts. */
  readonly permits?: ConnectionPermits | undefined;
  /** Life of a connection and the clock for it; undefined = no limit. */
  readonly life?: { readonly durationMs: number; readonly clock: Clock } | undefined;
}

/** Connections that may be made at once before any stands; each one that stands allows one more. */
const INITIAL_CONNECTING = 8;

/** One connection: an undici Client that carries one exchange at a time. */
class Connection implements Lease {
  readonly client: UndiciClient;
  isConnected = false;
  isBusy = false;
  /** Whether it lived long enough: it finishes what it carries. */
  isOld = false;
  /** When it will be. */
  ageing: Timer | undefined;
  readonly #onRelease: (connection: Connection) => void;

  constructor(client: UndiciClient, onRelease: (connection: Connection) => void) {
    this.client = client;
    this.#onRelease = onRelease;
  }

  release(): void {
    if (!this.isBusy) return;
    this.isBusy = false;
    this.#onRelease(this);
  }
}

/**
 * The connections to one endpoint, HTTP/1.1.
 *
 * undici's own Pool opens a connection for every request that finds none free: after a rotation or a new route, a
 * busy client would start hundreds of TLS handshakes at once, each a millisecond of its event loop, and fall behind
 * further with every request that comes meanwhile. Here the number of handshakes under way grows with the connections
 * that stand, and requests wait for whichever connection is free first. As in Envoy, a connection that can't be made
 * fails every request that waits.
 */
export class ConnectionPool {
  readonly #options: ConnectionPoolOptions;
  readonly #impliedHost: string;
  readonly #onRelease = (connection: Connection) => this.#released(connection);
  readonly #connections = new Set<Connection>();
  /** Free connections; the one used last comes first, so that the others may go idle and close. */
  readonly #free: Connection[] = [];
  #waiting: PooledExchange[] = [];
  #connecting = 0;
  #connected = 0;
  #closing: { readonly done: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
    this.#impliedHost = new URL(options.origin).host;
  }

  /** Sends now if a connection is free or may be opened, else as soon as one is. */
  send(exchange: PooledExchange): void {
    const connection = this.#free.pop() ?? this.#open();
    if (connection === undefined) this.#waiting.push(exchange);
    else this.#run(connection, exchange);
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

  /** Cuts every connection. */
  destroy(): void {
    for (const { client } of this.#connections) client.destroy().catch(ignore);
  }

  #open(): Connection | undefined {
    const { origin, client: options, maxConnections, permits } = this.#options;
    const own = this.#connections.size;
    if (this.#connecting >= INITIAL_CONNECTING + this.#connected) return undefined;
    if (own >= maxConnections && own > 0) return undefined;
    if (permits?.tryOpen(own) === false) return undefined;
    const client = new Client(origin, options);
    const connection = new Connection(client, this.#onRelease);
    this.#connections.add(connection);
    this.#connecting++;
    client.on('connect', () => this.#up(connection));
    client.on('disconnect', () => this.#down(connection));
    client.on('connectionError', (_origin, _targets, error: Error) => this.#unreachable(connection, error));
    return connection;
  }

  #run(connection: Connection, exchange: PooledExchange): void {
    connection.isBusy = true;
    exchange.lease = connection;
    connection.client.dispatch(exchange.options(this.#impliedHost), exchange.handler);
  }

  #released(connection: Connection): void {
    if (!this.#connections.has(connection)) return;
    // What never connected says so in an event of its own, which decides about those that wait.
    const next = connection.isConnected && !connection.isOld ? this.#nextWaiting() : undefined;
    if (next !== undefined) {
      connection.isBusy = true;
      // undici still counts the exchange that just ended until its callback returns.
      queueMicrotask(() => this.#run(connection, next));
    } else if (this.#closing !== undefined || !connection.isConnected || connection.isOld) {
      this.#drop(connection);
      this.#replace();
    } else this.#free.push(connection);
  }

  /** Those that wait may have counted on a connection that is gone. */
  #replace(): void {
    if (this.#waiting.length === 0) return;
    const another = this.#open();
    if (another === undefined) return;
    const next = this.#nextWaiting();
    if (next === undefined) this.#drop(another);
    else this.#run(another, next);
  }

  /** Envoy `max_connection_duration`: what it carries is finished first. */
  #aged(connection: Connection): void {
    connection.isOld = true;
    if (connection.isBusy) return;
    const at = this.#free.indexOf(connection);
    if (at >= 0) this.#free.splice(at, 1);
    this.#drop(connection);
  }

  #nextWaiting(): PooledExchange | undefined {
    let next = this.#waiting.shift();
    while (next?.isOver === true) next = this.#waiting.shift();
    return next;
  }

  #up(connection: Connection): void {
    // undici reconnects a client by itself when the server closed it between two exchanges.
    if (connection.isConnected) return;
    connection.isConnected = true;
    this.#connecting--;
    this.#connected++;
    const { life } = this.#options;
    if (life !== undefined) {
      connection.ageing = life.clock.schedule(life.durationMs, () => this.#aged(connection));
    }
    // One more stands: those that wait may open as many again.
    for (let waits = this.#waiting.length; waits > 0; waits--) {
      const another = this.#open();
      if (another === undefined) return;
      const next = this.#nextWaiting();
      if (next === undefined) this.#drop(another);
      else this.#run(another, next);
    }
  }

  #down(connection: Connection): void {
    if (!connection.isConnected) return;
    connection.isConnected = false;
    this.#connected--;
    connection.ageing?.cancel();
    connection.isOld = false;
    if (connection.isBusy) {
      // It may be opened again for what it still carries.
      this.#connecting++;
      return;
    }
    const at = this.#free.indexOf(connection);
    if (at >= 0) this.#free.splice(at, 1);
    this.#forget(connection);
    connection.client.close().catch(ignore);
  }

  #unreachable(connection: Connection, error: Error): void {
    this.#drop(connection);
    // Envoy purges every pending request of the pool: they may try another host instead of waiting here.
    if (this.#connected > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const exchange of waiting) if (!exchange.isOver) exchange.failed(error);
  }

  #drop(connection: Connection): void {
    if (!this.#connections.has(connection)) return;
    if (connection.isConnected) this.#connected--;
    else this.#connecting--;
    connection.isConnected = false;
    this.#forget(connection);
    connection.client.close().catch(ignore);
  }

  #forget(connection: Connection): void {
    connection.ageing?.cancel();
    if (this.#connections.delete(connection)) this.#options.permits?.closed();
    this.#settleIfEmpty();
  }

  #settleIfEmpty(): void {
    if (this.#connections.size === 0 && this.#waiting.length === 0) this.#closing?.resolve();
  }
}

/** A client that is gone already has nothing more to say. */
function ignore(): void {}
