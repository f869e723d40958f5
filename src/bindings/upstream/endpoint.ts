import type { ConnectionPermits } from '../../cluster/connection-permits.js';
import type { SecretLookup } from '../../cluster/secret-table.js';
import type { EndpointTransport, TransportOptions } from '../../cluster/transport.js';
import { closeAtExpiry } from '../../identity/connect.js';
import type { MeshTls } from '../../identity/tls-options.js';
import { atWallTime } from '../../identity/wall-timer.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { Timer } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import type { Request, Response } from '../../service/service.js';
import { TransportError } from '../../service/transport-error.js';
import type { Tunnels } from '../tunnels.js';
import { createDial, type Dial } from './dial.js';
import { endConnect } from './end-connect.js';
import { type Elsewhere, EndpointPools } from './pools.js';
import { tunnelOverHttp1 } from './tunnel-http1.js';
import { tunnelOverHttp2 } from './tunnel-http2.js';

export interface EndpointTools {
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
  /** By the name that is sent as SNI, where requests choose it; else there is one. */
  readonly #pools = new Map<string, EndpointPools>();
  /** How many connections each had before it was replaced. */
  #sizes: ReadonlyMap<string, number> = new Map();
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
    return new Promise((resolve, reject) => {
      const isOver = request.abort.aborted || this.#closed;
      if (request.context.endsConnect && !isOver)
        endConnect(request, this.#dial, this.#tools, resolve, reject);
      else this.#send(request, resolve, reject);
    });
  };

  readonly #dial: Dial = (wanted, callback) =>
    createDial(this.#endpoint, this.#options, this.#tools.mesh, this.#tools.secrets)(wanted, callback);

  readonly dial: NonNullable<EndpointTransport['dial']> = (callback, tunnel) => {
    if (tunnel === undefined) {
      return this.#dialRaw([], (error, dialed) => callback(error, dialed?.socket, dialed?.peerId));
    }
    return this.#options.protocol?.kind === 'http2'
      ? tunnelOverHttp2(tunnel, this.#sendUnnamed, this.#options, this.#tools, callback)
      : tunnelOverHttp1(tunnel, this.#dialRaw, callback);
  };

  /** A connection that no pool keeps: it ends with its certificates. */
  readonly #dialRaw: Dial = (wanted, callback) =>
    this.#dial(wanted, (error, dialed) => {
      if (dialed !== undefined) {
        const { socket, expiresAtMs } = dialed;
        const { tcpKeepaliveMs } = this.#options;
        if (tcpKeepaliveMs !== undefined) socket.setKeepAlive(true, tcpKeepaliveMs);
        if (Number.isFinite(expiresAtMs)) closeAtExpiry(socket, expiresAtMs, this.#tools.mesh.clock);
      }
      callback(error, dialed);
    });

  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    this.#renew();
    await Promise.all(this.#retiring);
  }

  /** `name` is what is sent as SNI, when the request chooses it. */
  #poolsFor(name: string): EndpointPools {
    const known = this.#pools.get(name);
    if (known !== undefined) return known;
    const [oldest] = this.#pools;
    if (oldest !== undefined && this.#pools.size >= MAX_NAMES) {
      this.#pools.delete(oldest[0]);
      this.#retire(oldest[1], oldest[1].close(), this.#expiresAtMs);
    }
    const pools = new EndpointPools(this.#endpoint, optionsFor(name, this.#options), {
      ...this.#tools,
      expected: this.#sizes.get(name),
      onExpiry: (atMs) => this.#expiresAt(atMs),
    });
    this.#pools.set(name, pools);
    return pools;
  }

  /** A connection was made whose certificates end then: be off it well before. */
  #expiresAt(notAfterMs: number): void {
    if (notAfterMs >= this.#expiresAtMs) return;
    const { clock } = this.#tools.mesh;
    this.#expiresAtMs = notAfterMs;
    this.#expiry?.cancel();
    const leftMs = notAfterMs - clock.wallTime();
    const marginMs = Math.min(60_000, leftMs * 0.1);
    this.#expiry = atWallTime(clock, notAfterMs - marginMs, () => this.#renew());
  }

  /**
   * The next request opens new connections, as do those that wait for one; the old ones finish what they carry and
   * close, at the latest soon after they expire.
   */
  #renew(): void {
    const old = [...this.#pools];
    const expiresAtMs = this.#expiresAtMs;
    this.#sizes = new Map(Array.from(this.#pools, ([name, { size }]) => [name, size]));
    this.#pools.clear();
    this.#expiry?.cancel();
    this.#expiry = undefined;
    this.#expiresAtMs = Number.POSITIVE_INFINITY;
    for (const [name, pools] of old) {
      const elsewhere = name === '' ? this.#sendUnnamed : this.#send;
      // Where the endpoint is gone there is no other place for what waits.
      this.#retire(pools, this.#closed ? pools.close() : pools.retire(elsewhere), expiresAtMs);
    }
  }

  #retire(pools: EndpointPools, ended: Promise<void>, expiresAtMs: number): void {
    const { clock } = this.#tools.mesh;
    const cut = Number.isFinite(expiresAtMs)
      ? atWallTime(clock, expiresAtMs + EXPIRY_GRACE_MS, () => pools.destroy())
      : undefined;
    const retired: Promise<void> = ended.finally(() => {
      cut?.cancel();
      this.#retiring.delete(retired);
    });
    this.#retiring.add(retired);
  }

  readonly #send: Elsewhere = (request, resolve, reject) =>
    this.#sendBy(nameOf(request, this.#options), request, resolve, reject);

  /** Of those whose SNI is the configuration's: tunnels are asked for by the name of somebody else. */
  readonly #sendUnnamed: Elsewhere = (request, resolve, reject) => this.#sendBy('', request, resolve, reject);

  #sendBy(
    name: string,
    request: Request,
    resolve: (response: Response) => void,
    reject: (error: TransportError) => void,
  ): void {
    if (request.abort.aborted) reject(new TransportError('aborted', false, request.abort.reason));
    else if (this.#closed) reject(new TransportError('connect', false, new Error('this endpoint is gone')));
    else this.#poolsFor(name).send(request, resolve, reject);
  }
}

/** How long exchanges may run on after a certificate of their connection has expired; servers give them twice that. */
const EXPIRY_GRACE_MS = 5_000;

/** Names by which connections to one endpoint are kept; the oldest make room. */
const MAX_NAMES = 100;

/** Envoy `auto_sni`: the host of the request, without its port. */
function nameOf({ headers, authority }: Request, { autoSni, tls }: TransportOptions): string {
  if (autoSni !== true || tls === undefined) return '';
  const host = headers.get('host') ?? authority;
  if (host.startsWith('[')) return host.slice(1, host.indexOf(']'));
  const colon = host.indexOf(':');
  return (colon < 0 ? host : host.slice(0, colon)).toLowerCase();
}

function optionsFor(name: string, options: TransportOptions): TransportOptions {
  const { tls, autoSanValidation } = options;
  if (name === '' || tls === undefined) return options;
  // Envoy: the name overrides what the TLS context says.
  const own = { ...tls, sni: name, autoHostSni: undefined };
  return { ...options, tls: autoSanValidation === true ? { ...own, matchSni: true } : own };
}
