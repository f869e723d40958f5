import type { EndpointTransport, Transport, TransportOptions } from '../../cluster/transport.js';
import type { IdentitySource } from '../../identity/source.js';
import { createMeshTls, type MeshTls } from '../../identity/tls-options.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import type { Request, Response } from '../../service/service.js';
import { TransportError } from '../../service/transport-error.js';
import { UndiciAttempt } from './attempt.js';
import { createConnector } from './connect.js';
import { ConnectionPool } from './connection-pool.js';

export interface UndiciTransportTools {
  readonly identity: IdentitySource;
  readonly clock: Clock;
}

/** undici keeps an idle connection no longer than this. */
const MAX_IDLE_MS = 3_600_000;

/** Sends over HTTP/1.1 with undici: one pool per endpoint. */
export function undiciTransport(tools: UndiciTransportTools): Transport {
  // One set of contexts for all endpoints: sharing halves the cost of a handshake.
  const mesh = createMeshTls(tools.identity, { clock: tools.clock });
  return (endpoint, options) => new UndiciEndpoint(endpoint, options, mesh);
}

/**
 * One endpoint. With mesh TLS its pool is replaced whenever our certificate or bundle changes, and before the
 * peer's certificate expires: connections of the old pool finish what they carry and close, so no connection
 * outlives the shorter of both certificates and a rotation fails no request.
 */
class UndiciEndpoint implements EndpointTransport {
  /** Who the newest connection's other end proved to be. */
  peerId: string | undefined;
  readonly #endpoint: Endpoint;
  readonly #options: TransportOptions;
  readonly #mesh: MeshTls;
  readonly #unsubscribe: () => void;
  readonly #retiring = new Set<Promise<void>>();
  #pool: ConnectionPool | undefined;
  #expiry: Timer | undefined;
  #expiresAtMs = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(endpoint: Endpoint, options: TransportOptions, mesh: MeshTls) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#mesh = mesh;
    this.#unsubscribe = options.tls?.mode === 'mesh' ? mesh.onUpdate(() => this.#renew()) : () => {};
  }

  readonly service = (request: Request): Promise<Response> => {
    if (this.#closed) {
      return Promise.reject(new TransportError('connect', false, new Error('this endpoint is gone')));
    }
    return new Promise((resolve, reject) => {
      if (request.abort.aborted) {
        reject(new TransportError('aborted', false, request.abort.reason));
        return;
      }
      this.#pool ??= this.#open(request.authority);
      this.#pool.send(new UndiciAttempt(request, this, resolve, reject));
    });
  };

  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    this.#renew();
    await Promise.all(this.#retiring);
  }

  /** `authority` is what the first request asks for: the others mostly ask for the same. */
  #open(authority: string): ConnectionPool {
    const { idleTimeoutMs, maxConnections, maxRequestsPerConnection } = this.#options;
    const idleMs = Math.min(idleTimeoutMs, MAX_IDLE_MS);
    return new ConnectionPool({
      origin: isOwnHost(authority) ? `http://${authority}` : 'http://endpoint.invalid',
      maxConnections,
      client: {
        connect: createConnector(this.#endpoint, this.#options, this.#mesh, (id, ms) =>
          this.#connected(id, ms),
        ),
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

  /** A connection was made whose certificates end then: be off it well before. */
  #connected(peerId: string, notAfterMs: number): void {
    this.peerId = peerId;
    if (notAfterMs >= this.#expiresAtMs) return;
    this.#expiresAtMs = notAfterMs;
    this.#expiry?.cancel();
    const leftMs = notAfterMs - this.#mesh.clock.wallTime();
    const marginMs = Math.min(60_000, leftMs * 0.1);
    this.#expiry = this.#mesh.clock.schedule(Math.max(0, leftMs - marginMs), () => this.#renew());
  }

  /** The next request opens new connections; the old ones finish and close, at the latest when they expire. */
  #renew(): void {
    const pool = this.#pool;
    this.#pool = undefined;
    const leftMs = this.#expiresAtMs - this.#mesh.clock.wallTime();
    this.#expiry?.cancel();
    this.#expiry = undefined;
    this.#expiresAtMs = Number.POSITIVE_INFINITY;
    if (pool === undefined) return;
    const cut = Number.isFinite(leftMs)
      ? this.#mesh.clock.schedule(Math.max(0, leftMs), () => pool.destroy())
      : undefined;
    const retired: Promise<void> = pool.close().finally(() => {
      cut?.cancel();
      this.#retiring.delete(retired);
    });
    this.#retiring.add(retired);
  }
}

/** Whether undici would write exactly this as the Host header of an origin. */
function isOwnHost(authority: string): boolean {
  const text = `http://${authority}`;
  if (!URL.canParse(text)) return false;
  const { host, href } = new URL(text);
  return host === authority && href === `${text}/`;
}
