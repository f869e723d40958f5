import type { ConnectionPermits } from '../../cluster/connection-permits.js';
import type { EndpointTransport, TransportOptions } from '../../cluster/transport.js';
import { closeAtExpiry } from '../../identity/connect.js';
import type { MeshTls } from '../../identity/tls-options.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { Timer } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import type { Request, Response } from '../../service/service.js';
import { TransportError } from '../../service/transport-error.js';
import { createDial } from './dial.js';
import { EndpointPools } from './pools.js';

export interface EndpointTools {
  readonly mesh: MeshTls;
  readonly random: Random;
  /** Counts the connections of the whole cluster; undefined = nobody counts. */
  readonly permits: ConnectionPermits | undefined;
}

/**
 * One endpoint. With mesh TLS its pools are replaced whenever our certificate or bundle changes, and before the
 * peer's certificate expires: connections of the old pools finish what they carry and close, so no connection
 * outlives the shorter of both certificates and a rotation fails no request.
 */
export class UpstreamEndpoint implements EndpointTransport {
  readonly #endpoint: Endpoint;
  readonly #options: TransportOptions;
  readonly #tools: EndpointTools;
  readonly #unsubscribe: () => void;
  readonly #retiring = new Set<Promise<void>>();
  #pools: EndpointPools | undefined;
  #expiry: Timer | undefined;
  #expiresAtMs = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(endpoint: Endpoint, options: TransportOptions, tools: EndpointTools) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#tools = tools;
    this.#unsubscribe = options.tls?.mode === 'mesh' ? tools.mesh.onUpdate(() => this.#renew()) : () => {};
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
      this.#pools ??= new EndpointPools(this.#endpoint, this.#options, {
        ...this.#tools,
        onExpiry: (atMs) => this.#expiresAt(atMs),
      });
      this.#pools.send(request, resolve, reject);
    });
  };

  readonly dial: NonNullable<EndpointTransport['dial']> = (callback) =>
    createDial(
      this.#endpoint,
      this.#options,
      this.#tools.mesh,
    )([], (error, dialed) => {
      if (dialed !== undefined && Number.isFinite(dialed.expiresAtMs)) {
        closeAtExpiry(dialed.socket, dialed.expiresAtMs, this.#tools.mesh.clock);
      }
      callback(error, dialed?.socket);
    });

  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    this.#renew();
    await Promise.all(this.#retiring);
  }

  /** A connection was made whose certificates end then: be off it well before. */
  #expiresAt(notAfterMs: number): void {
    if (notAfterMs >= this.#expiresAtMs) return;
    const { clock } = this.#tools.mesh;
    this.#expiresAtMs = notAfterMs;
    this.#expiry?.cancel();
    const leftMs = notAfterMs - clock.wallTime();
    const marginMs = Math.min(60_000, leftMs * 0.1);
    this.#expiry = clock.schedule(Math.max(0, leftMs - marginMs), () => this.#renew());
  }

  /** The next request opens new connections; the old ones finish and close, at the latest when they expire. */
  #renew(): void {
    const { clock } = this.#tools.mesh;
    const pools = this.#pools;
    this.#pools = undefined;
    const leftMs = this.#expiresAtMs - clock.wallTime();
    this.#expiry?.cancel();
    this.#expiry = undefined;
    this.#expiresAtMs = Number.POSITIVE_INFINITY;
    if (pools === undefined) return;
    const cut = Number.isFinite(leftMs)
      ? clock.schedule(Math.max(0, leftMs), () => pools.destroy())
      : undefined;
    const retired: Promise<void> = pools.close().finally(() => {
      cut?.cancel();
      this.#retiring.delete(retired);
    });
    this.#retiring.add(retired);
  }
}
