import type { ConnectionPermits } from '../../cluster/connection-permits.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import type { Dial, Dialed } from '../upstream/dial.js';
import type { Http2Attempt } from './attempt.js';
import { Http2Session, type SessionListener, type SessionOptions } from './session.js';

export interface SessionPoolOptions extends SessionOptions {
  readonly dial: Dial;
  readonly maxConnections: number;
  /** Counts the connections of the whole cluster; undefined = nobody counts. */
  readonly permits?: ConnectionPermits | undefined;
  /** Hears of each new connection. */
  readonly onConnected: (dialed: Dialed) => void;
}

/** A connection that is being made. */
interface Dialing {
  cancel: Unsubscribe;
}

/**
 * The HTTP/2 connections to one endpoint.
 *
 * As in Envoy a request goes to the first connection that takes it; another one is opened when those that stand are
 * full and those under way could not carry all that waits. A connection that can't be made fails every request that
 * waits, unless another stands.
 */
export class SessionPool implements SessionListener {
  readonly #options: SessionPoolOptions;
  readonly #sessions = new Set<Http2Session>();
  readonly #dialing = new Set<Dialing>();
  #waiting: Http2Attempt[] = [];
  /** Streams that the newest connection was allowed: what the next one is reckoned with. */
  #expectedStreams: number;
  #closing: { readonly done: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(options: SessionPoolOptions) {
    this.#options = options;
    this.#expectedStreams = options.http2.maxConcurrentStreams;
  }

  /** Sends now if a connection takes it, else as soon as one does. */
  send(attempt: Http2Attempt): void {
    if (this.#waiting.length === 0) {
      for (const session of this.#sessions) {
        if (session.capacity > 0 && attempt.run(session)) return;
      }
    }
    this.#waiting.push(attempt);
    this.#grow();
  }

  /** A connection that somebody else made for HTTP/2. */
  adopt(dialed: Dialed): void {
    this.#options.permits?.opened();
    this.#begin(dialed);
  }

  #begin(dialed: Dialed): void {
    this.#options.onConnected(dialed);
    this.#sessions.add(new Http2Session(dialed, this.#options, this));
  }

  /** Lets what runs or waits finish, then closes. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      let resolve = () => {};
      const done = new Promise<void>((settle) => {
        resolve = settle;
      });
      this.#closing = { done, resolve };
      this.#settleIfEmpty();
    }
    return this.#closing.done;
  }

  /** Closes when what runs has finished; what waits moves to a successor. */
  retire(move: (attempt: Http2Attempt) => void): Promise<void> {
    this.#giveUpDialing();
    const waiting = this.#waiting;
    this.#waiting = [];
    const closed = this.close();
    for (const attempt of waiting) if (!attempt.isOver) move(attempt);
    return closed;
  }

  /** Cuts every connection. */
  destroy(): void {
    this.#giveUpDialing();
    for (const session of this.#sessions) session.destroy();
    this.#settleIfEmpty();
  }

  #giveUpDialing(): void {
    for (const dialing of this.#dialing) {
      dialing.cancel();
      this.#options.permits?.closed();
    }
    this.#dialing.clear();
  }

  ready(session: Http2Session): void {
    this.#expectedStreams = session.streamLimit;
    this.#serve();
  }

  changed(_session: Http2Session): void {
    if (this.#waiting.length > 0) this.#serve();
    else this.#settleIfEmpty();
  }

  closed(session: Http2Session, error: Error | undefined): void {
    if (this.#sessions.delete(session)) this.#options.permits?.closed();
    if (error !== undefined) this.#unreachable(error);
    else this.#serve();
  }

  /** Gives those that wait to the connections that take them, and opens more if that is not enough. */
  #serve(): void {
    for (const session of this.#sessions) {
      while (session.capacity > 0) {
        const next = this.#nextWaiting();
        if (next === undefined) break;
        if (!next.run(session)) {
          this.#waiting.unshift(next);
          break;
        }
      }
    }
    this.#grow();
    this.#settleIfEmpty();
  }

  #nextWaiting(): Http2Attempt | undefined {
    let next = this.#waiting.shift();
    while (next?.isOver === true) next = this.#waiting.shift();
    return next;
  }

  /** Envoy: opens connections until those under way could carry what waits. */
  #grow(): void {
    const { maxRequestsPerConnection: perConnection } = this.#options;
    const each = perConnection > 0 ? Math.min(perConnection, this.#expectedStreams) : this.#expectedStreams;
    while (this.#waiting.length > this.#underway() * Math.max(1, each) && this.#mayOpen()) this.#open();
  }

  /** Connections that take no request yet but will. */
  #underway(): number {
    let count = this.#dialing.size;
    for (const session of this.#sessions) if (!session.isReady && !session.isDraining) count++;
    return count;
  }

  #mayOpen(): boolean {
    const { maxConnections, permits } = this.#options;
    const usable = this.#usable();
    // Envoy: without any connection of use one is opened, whatever the limit, or those that wait would do so forever.
    if (usable > 0 && this.#dialing.size + this.#sessions.size >= maxConnections) return false;
    return permits?.tryOpen(usable) ?? true;
  }

  /** Connections that take requests, or will. */
  #usable(): number {
    let count = this.#dialing.size;
    for (const session of this.#sessions) if (!session.isDraining) count++;
    return count;
  }

  #open(): void {
    const dialing: Dialing = { cancel: () => {} };
    this.#dialing.add(dialing);
    dialing.cancel = this.#options.dial(['h2'], (error, dialed) => {
      if (!this.#dialing.delete(dialing)) return;
      if (dialed !== undefined) {
        this.#begin(dialed);
        return;
      }
      this.#options.permits?.closed();
      this.#unreachable(error ?? new Error('no connection'));
    });
  }

  /** Envoy purges every pending request of the pool: they may try another host instead of waiting here. */
  #unreachable(error: Error): void {
    for (const session of this.#sessions) {
      if (session.isReady && !session.isDraining) return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    const failure = 'code' in error && error.code === 'ERR_HTTP2_ERROR' ? 'protocol' : 'connect';
    for (const attempt of waiting) if (!attempt.isOver) attempt.failed(failure, error);
    this.#settleIfEmpty();
  }

  #settleIfEmpty(): void {
    if (this.#closing === undefined || this.#waiting.some((attempt) => !attempt.isOver)) return;
    // Each finishes what it carries.
    for (const session of this.#sessions) session.drain();
    for (const session of this.#sessions)
      if (session.active > session.tunnels || session.active === 0) return;
    if (this.#dialing.size === 0) this.#closing.resolve();
  }
}
