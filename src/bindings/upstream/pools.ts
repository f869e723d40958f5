import type { Duplex } from 'node:stream';
import type { ConnectionPermits } from '../../cluster/connection-permits.js';
import type { SecretLookup } from '../../cluster/secret-table.js';
import type { TransportOptions } from '../../cluster/transport.js';
import { closeAtExpiry } from '../../identity/connect.js';
import type { MeshTls } from '../../identity/tls-options.js';
import type { Endpoint } from '../../model/endpoint.js';
import { DEFAULT_HTTP2_OPTIONS, type Http2Options } from '../../model/upstream-protocol.js';
import type { Random } from '../../runtime/random.js';
import type { Request, Response } from '../../service/service.js';
import { TransportError } from '../../service/transport-error.js';
import { Http2Attempt } from '../http2/attempt.js';
import { SessionPool } from '../http2/session-pool.js';
import type { Tunnels } from '../tunnels.js';
import { type Asked, UndiciAttempt } from '../undici/attempt.js';
import { ConnectionPool } from '../undici/connection-pool.js';
import { createDial, type Dial, type DialCallback, type Dialed, type Wanted } from './dial.js';
import { Negotiation } from './negotiation.js';

export interface PoolsTools {
  readonly mesh: MeshTls;
  readonly random: Random;
  /** Counts the connections of the whole cluster; undefined = nobody counts. */
  readonly permits: ConnectionPermits | undefined;
  /** Whether this process has no time to spend. */
  readonly isBusy?: (() => boolean) | undefined;
  /** What TLS configurations name (SDS). */
  readonly secrets?: SecretLookup | undefined;
  /** Hears of connections that leave HTTP. */
  readonly tunnels?: Tunnels | undefined;
  /** Connections of HTTP/1.1 that the pools had whose place these take. */
  readonly expected?: number | undefined;
  /** Hears of each connection until when its certificates hold. */
  readonly onExpiry: (atMs: number) => void;
}

/** What an exchange with the endpoint comes to. */
export interface Outcome {
  resolve(response: Response): void;
  reject(error: TransportError): void;
}

/** Sends a request by whatever pools are in use. */
export type Elsewhere = (request: Request, resolve: Outcome['resolve'], reject: Outcome['reject']) => void;

/** undici keeps an idle connection no longer than this. */
const MAX_IDLE_MS = 3_600_000;

/** The connections to one endpoint, by what they speak; each kind is made when it is first needed. */
export class EndpointPools {
  /** Who the newest connection's other end proved to be. */
  peerId: string | undefined;
  readonly #options: TransportOptions;
  readonly #tools: PoolsTools;
  readonly #dial: Dial;
  readonly #negotiation: Negotiation | undefined;
  #http1: ConnectionPool<UndiciAttempt> | undefined;
  #http2: SessionPool | undefined;
  /** Sends what is not under way yet; undefined while these pools are in use. */
  #elsewhere: Elsewhere | undefined;
  /** When the certificates of the connections end. */
  readonly #expiries = new WeakMap<object, number>();

  constructor(endpoint: Endpoint, options: TransportOptions, tools: PoolsTools) {
    this.#options = options;
    this.#tools = tools;
    this.#dial = createDial(endpoint, options, tools.mesh, tools.secrets);
    if (options.protocol?.kind === 'auto') this.#negotiation = new Negotiation(this.#dial, tools.mesh.clock);
  }

  send(request: Request, resolve: Outcome['resolve'], reject: Outcome['reject']): void {
    const { protocol } = this.#options;
    if (request.context.upgrade !== undefined) this.#sendUpgrade(request, resolve, reject);
    else if (isGrpcCall(request) && protocol?.kind !== 'auto') {
      this.#sendHttp2(protocol?.http2 ?? DEFAULT_HTTP2_OPTIONS, request, resolve, reject);
    } else if (protocol === undefined) this.#sendHttp1(request, resolve, reject);
    else if (this.#negotiation !== undefined) {
      this.#negotiate(this.#negotiation, protocol.http2, request, { resolve, reject });
    } else if (protocol.kind === 'http2' || request.context.protocol === 'HTTP/2') {
      this.#sendHttp2(protocol.http2, request, resolve, reject);
    } else this.#sendHttp1(request, resolve, reject);
  }

  /** Connections of HTTP/1.1 that stand. */
  get size(): number {
    return this.#http1?.size ?? 0;
  }

  /** A connection left HTTP: it outlives its pool, but not its certificates. */
  tunnelled(tunnel: Duplex): void {
    this.#outlives(tunnel, this.#expiries.get(tunnel));
  }

  #outlives(tunnel: Duplex, expiresAtMs = Number.POSITIVE_INFINITY): void {
    const { tunnels, mesh } = this.#tools;
    tunnels?.add(tunnel);
    if (Number.isFinite(expiresAtMs)) closeAtExpiry(tunnel, expiresAtMs, mesh.clock);
  }

  async close(): Promise<void> {
    this.#negotiation?.close();
    await Promise.all([this.#http1?.close(), this.#http2?.close()]);
  }

  /** Others take their place: what runs finishes here, what waits goes there. */
  async retire(elsewhere: Elsewhere): Promise<void> {
    this.#elsewhere = elsewhere;
    this.#negotiation?.retire();
    const move = (attempt: { withdraw(): Asked }) => {
      const { request, resolve, reject } = attempt.withdraw();
      elsewhere(request, resolve, reject);
    };
    await Promise.all([this.#http1?.retire(move), this.#http2?.retire(move)]);
  }

  destroy(): void {
    this.#negotiation?.close();
    this.#http1?.destroy();
    this.#http2?.destroy();
  }

  /** Envoy: the first connection tells what the endpoint speaks. */
  #negotiate(negotiation: Negotiation, http2: Http2Options, request: Request, outcome: Outcome): void {
    const { abort } = request;
    const { resolve, reject } = outcome;
    const { decided } = negotiation;
    if (decided === 'h2') this.#sendHttp2(http2, request, resolve, reject);
    else if (decided === 'http/1.1') this.#sendHttp1(request, resolve, reject);
    else {
      const unlink = abort.onAbort((reason) => reject(new TransportError('aborted', false, reason)));
      negotiation.decide((error, dialed) => {
        unlink();
        if (this.#elsewhere !== undefined) {
          dialed?.socket.destroy();
          if (!abort.aborted) this.#elsewhere(request, resolve, reject);
          return;
        }
        // The first that waited brings the connection along.
        if (dialed !== undefined && negotiation.decided === 'h2') this.#sessions(http2).adopt(dialed);
        if (abort.aborted) return;
        if (error !== null) reject(new TransportError('connect', false, error));
        else this.#negotiate(negotiation, http2, request, outcome);
      });
    }
  }

  #sendHttp1(request: Request, resolve: Outcome['resolve'], reject: Outcome['reject']): void {
    this.#http1 ??= this.#openHttp1(request.authority);
    this.#http1.send(new UndiciAttempt(request, this, resolve, reject));
  }

  /** Endpoints that may choose by ALPN choose HTTP/1.1 then, where every server knows upgrades. */
  #sendUpgrade(request: Request, resolve: Outcome['resolve'], reject: Outcome['reject']): void {
    const { protocol } = this.#options;
    if (protocol?.kind === 'http2') this.#sendHttp2(protocol.http2, request, resolve, reject);
    else this.#sendHttp1(request, resolve, reject);
  }

  #sendHttp2(
    http2: Http2Options,
    request: Request,
    resolve: Outcome['resolve'],
    reject: Outcome['reject'],
  ): void {
    this.#sessions(http2).send(
      new Http2Attempt(request, resolve, reject, (tunnel, expiresAtMs) =>
        this.#outlives(tunnel, expiresAtMs),
      ),
    );
  }

  /** `authority` is what the first request asks for: the others mostly ask for the same. */
  #openHttp1(authority: string): ConnectionPool<UndiciAttempt> {
    const { idleTimeoutMs, maxConnections, maxRequestsPerConnection } = this.#options;
    const durationMs = this.#options.maxConnectionDurationMs ?? 0;
    const { expected, isBusy, permits, mesh } = this.#tools;
    const idleMs = idleTimeoutMs === 0 ? MAX_IDLE_MS : Math.min(idleTimeoutMs, MAX_IDLE_MS);
    return new ConnectionPool({
      origin: isOwnHost(authority) ? `http://${authority}` : 'http://endpoint.invalid',
      maxConnections,
      permits,
      expected,
      isBusy,
      life: durationMs > 0 ? { durationMs, clock: mesh.clock } : undefined,
      dial: (callback) =>
        this.#connect(['http/1.1'], (error, dialed) => {
          if (dialed !== undefined) this.#connected(dialed);
          callback(error, dialed?.socket);
        }),
      client: {
        // undici: 0 means a connection for each request.
        pipelining: maxRequestsPerConnection === 1 ? 0 : 1,
        keepAliveTimeout: idleMs,
        // A server may ask for less by its Keep-Alive header, never for more.
        keepAliveMaxTimeout: idleMs,
        // undici counts the requests that a connection carries before its last one.
        ...(maxRequestsPerConnection > 1 && { maxRequestsPerClient: maxRequestsPerConnection - 1 }),
      },
    });
  }

  #sessions(http2: Http2Options): SessionPool {
    if (this.#http2 !== undefined) return this.#http2;
    const { connectTimeoutMs, idleTimeoutMs, maxConnections, maxRequestsPerConnection } = this.#options;
    const { mesh, random, permits } = this.#tools;
    this.#http2 = new SessionPool({
      http2,
      connectTimeoutMs,
      idleTimeoutMs,
      maxConnections,
      maxRequestsPerConnection,
      maxConnectionDurationMs: this.#options.maxConnectionDurationMs,
      isBackground: this.#options.isBackground,
      permits,
      clock: mesh.clock,
      random,
      dial: (wanted, callback) => this.#connect(wanted, callback),
      onConnected: (dialed) => this.#connected(dialed),
    });
    return this.#http2;
  }

  #connect(wanted: Wanted, callback: DialCallback): () => void {
    const spare = this.#negotiation?.takeSpare();
    if (spare !== undefined) {
      // Whoever asks is still about to: an answer from within its own call would go unheard.
      queueMicrotask(() => callback(null, spare));
      return () => {};
    }
    return this.#dial(wanted, (error, dialed) => {
      if (dialed === undefined || !speaksOther(dialed, wanted)) {
        callback(error, dialed);
        return;
      }
      dialed.socket.destroy();
      this.#negotiation?.forget();
      callback(new Error(`the endpoint chose ${dialed.alpn} when ${wanted.join(' or ')} was offered`));
    });
  }

  #connected({ peerId, expiresAtMs, socket }: Dialed): void {
    const { tcpKeepaliveMs } = this.#options;
    if (tcpKeepaliveMs !== undefined) socket.setKeepAlive(true, tcpKeepaliveMs);
    this.peerId = peerId ?? this.peerId;
    if (!Number.isFinite(expiresAtMs)) return;
    this.#expiries.set(socket, expiresAtMs);
    this.#tools.onExpiry(expiresAtMs);
  }
}

/** Whether undici would write exactly this as the Host header of an origin. */
function isOwnHost(authority: string): boolean {
  const text = `http://${authority}`;
  if (!URL.canParse(text)) return false;
  const { host, href } = new URL(text);
  return host === authority && href === `${text}/`;
}

/** Whether the endpoint chose what we do not want to speak. What it did not name it speaks as configured (Envoy). */
/** gRPC speaks nothing but HTTP/2, and control planes made for it don't say so of their clusters. */
function isGrpcCall({ context }: Request): boolean {
  return context.channelId !== undefined;
}

function speaksOther({ alpn }: Dialed, wanted: Wanted): boolean {
  if (alpn === 'h2' || alpn === 'istio-h2') return !wanted.includes('h2');
  return alpn?.startsWith('http/1.') === true && !wanted.includes('http/1.1');
}
