import type { OutgoingHttpHeaders } from 'node:http';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Http2Options } from '../../model/upstream-protocol.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import { ConnectTimeout } from '../upstream/connect-timeout.js';
import type { Dialed } from '../upstream/dial.js';
import { KeepalivePings } from './keepalive-pings.js';
import { http2Library } from './library.js';

export interface SessionOptions {
  readonly http2: Http2Options;
  /** 0 = no limit. */
  readonly maxRequestsPerConnection: number;
  /** 0 = never. */
  readonly idleTimeoutMs: number;
  /** After that it finishes what it carries; undefined or 0 = no limit. */
  readonly maxConnectionDurationMs?: number | undefined;
  /** Streams under way do not keep the process alive. */
  readonly isBackground?: true | undefined;
  /** How long the server's settings may take. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** What a session tells its pool. */
export interface SessionListener {
  /** The server's settings came: requests may be sent. */
  ready(session: Http2Session): void;
  /** It takes no new requests any more, or takes others again. */
  changed(session: Http2Session): void;
  /** It is gone; with the error when it never became ready. */
  closed(session: Http2Session, error: Error | undefined): void;
}

/** RFC 9113 §5.1.1: stream ids are odd and below 2^31. */
const MAX_STREAM_ID = 2 ** 31 - 1;

/** One HTTP/2 connection to an endpoint. */
export class Http2Session {
  readonly peerId: string | undefined;
  /** Streams under way. */
  active = 0;
  /** Those of them that have left HTTP: nobody waits for their end. */
  tunnels = 0;
  /** Calendar time when the first of both certificates expires. */
  readonly expiresAtMs: number;
  /** The last stream that the server says it looks at, once it goes away. */
  goawayLastId: number | undefined;
  readonly #session: ClientHttp2Session;
  readonly #options: SessionOptions;
  readonly #listener: SessionListener;
  readonly #pings: KeepalivePings | undefined;
  #opened = 0;
  #streamLimit = 0;
  #isReady = false;
  #allowsUpgrades = false;
  #isDraining = false;
  #idleSinceMs: number;
  #idleTimer: Timer | undefined;
  #settingsTimer: Timer | undefined;
  #ageing: Timer | undefined;
  #error: Error | undefined;

  constructor(dialed: Dialed, options: SessionOptions, listener: SessionListener) {
    const { clock, connectTimeoutMs, http2 } = options;
    this.peerId = dialed.peerId;
    this.expiresAtMs = dialed.expiresAtMs;
    this.#options = options;
    this.#listener = listener;
    this.#idleSinceMs = clock.now();
    const session = openSession(dialed.socket, http2);
    this.#session = session;
    this.#pings = http2.keepalive && new KeepalivePings(session, dialed.socket, http2.keepalive, options);
    session.once('connect', () => {
      if (!session.destroyed) session.setLocalWindowSize(http2.initialConnectionWindow);
    });
    session.on('remoteSettings', ({ maxConcurrentStreams, enableConnectProtocol }) => {
      // RFC 8441 §3: once given it stays.
      this.#allowsUpgrades ||= enableConnectProtocol === true;
      this.#settings(maxConcurrentStreams);
    });
    session.on('goaway', (_code, lastId) => this.#goaway(lastId));
    session.on('error', (error: Error) => {
      this.#error = error;
    });
    session.on('close', () => this.#closed());
    const { maxConnectionDurationMs = 0 } = options;
    if (maxConnectionDurationMs > 0) {
      this.#ageing = clock.schedule(maxConnectionDurationMs, () => this.drain());
    }
    this.#settingsTimer = clock.schedule(connectTimeoutMs, () =>
      session.destroy(new ConnectTimeout('the HTTP/2 settings of the server', connectTimeoutMs)),
    );
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Whether the server takes a CONNECT that names a protocol (RFC 8441). */
  get allowsUpgrades(): boolean {
    return this.#allowsUpgrades;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  /** Whether the connection is gone. */
  get isGone(): boolean {
    return this.#session.destroyed;
  }

  /** Whether it takes no new requests any more. */
  get isDraining(): boolean {
    return this.#isDraining || this.#session.closed || this.#session.destroyed;
  }

  /** How many more requests it takes now. */
  get capacity(): number {
    if (!this.#isReady || this.isDraining) return 0;
    return this.#streamLimit - this.active;
  }

  /** Streams that the server allows at once. */
  get streamLimit(): number {
    return this.#streamLimit;
  }

  /** What broke it; undefined while it stands, or when it just ended. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Opens a stream. Throws what node:http2 throws when the head can't be sent. */
  request(head: OutgoingHttpHeaders, endStream: boolean, waitForTrailers: boolean): ClientHttp2Stream {
    const { clock, maxRequestsPerConnection, isBackground } = this.#options;
    this.#pings?.beforeRequest(this.active === 0 ? clock.now() - this.#idleSinceMs : 0);
    // node:http2 adds four fields to what it is given, which costs a tenth of a call: POSTs need nothing but its defaults.
    const needsOptions = endStream || waitForTrailers || head[':method'] !== 'POST';
    const stream = this.#session.request(head, needsOptions ? { endStream, waitForTrailers } : undefined);
    if (this.active++ === 0 && isBackground !== true) this.#session.ref();
    if (++this.#opened === maxRequestsPerConnection || 2 * this.#opened >= MAX_STREAM_ID) this.drain();
    return stream;
  }

  /** A stream is over. */
  release(): void {
    this.active--;
    if (this.active === 0) {
      if (this.#isDraining) this.#session.close();
      else this.#idle();
    }
    this.#listener.changed(this);
  }

  /** Takes no new requests, and closes when those under way are over. */
  drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    // Nothing was sent yet, and node:http2 may wait long for a server that did not send its settings.
    if (!this.#isReady) this.#session.destroy();
    // Not before: node:http2 sends its GOAWAY at once, ahead of the last request, and servers would refuse that.
    else if (this.active === 0 && !this.#session.destroyed) this.#session.close();
  }

  destroy(): void {
    this.#session.destroy();
  }

  #settings(maxConcurrentStreams: number | undefined): void {
    const { http2 } = this.#options;
    this.#streamLimit = Math.min(http2.maxConcurrentStreams, maxConcurrentStreams ?? MAX_STREAM_ID);
    if (this.#isReady) {
      this.#listener.changed(this);
      return;
    }
    this.#isReady = true;
    this.#settingsTimer?.cancel();
    this.#pings?.start();
    this.#idle();
    this.#listener.ready(this);
  }

  #goaway(lastId: number): void {
    this.goawayLastId = lastId;
    this.#isDraining = true;
    this.#listener.changed(this);
  }

  #idle(): void {
    const { clock, idleTimeoutMs } = this.#options;
    this.#idleSinceMs = clock.now();
    // An idle connection is no reason to keep the process alive.
    this.#session.unref();
    if (idleTimeoutMs > 0 && this.#idleTimer === undefined) this.#watchIdle(idleTimeoutMs);
  }

  /** One timer at a time, however often the connection becomes idle. */
  #watchIdle(delayMs: number): void {
    const { clock, idleTimeoutMs } = this.#options;
    this.#idleTimer = clock.schedule(delayMs, () => {
      this.#idleTimer = undefined;
      if (this.active > 0) return;
      const leftMs = this.#idleSinceMs + idleTimeoutMs - clock.now();
      if (leftMs > 0) this.#watchIdle(leftMs);
      else this.drain();
    });
  }

  #closed(): void {
    this.#isDraining = true;
    this.#idleTimer?.cancel();
    this.#settingsTimer?.cancel();
    this.#ageing?.cancel();
    this.#pings?.stop();
    this.#listener.closed(this, this.#isReady ? undefined : (this.#error ?? endedEarly()));
  }
}

function endedEarly(): Error {
  return Object.assign(new Error('the server closed the connection before it sent its HTTP/2 settings'), {
    code: 'ECONNRESET',
  });
}

/** Enough for every stream's window: what exceeds it would break new streams off. */
const SESSION_MEMORY_MB = 1024;

function openSession(socket: Socket, options: Http2Options): ClientHttp2Session {
  return http2Library().connect('http://endpoint', {
    createConnection: () => socket,
    settings: {
      enablePush: false,
      initialWindowSize: options.initialStreamWindow,
      headerTableSize: options.hpackTableSize,
      ...(options.allowConnect === true && { enableConnectProtocol: true }),
    },
    maxDeflateDynamicTableSize: options.hpackTableSize,
    maxSessionMemory: SESSION_MEMORY_MB,
  });
}
