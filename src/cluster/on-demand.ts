import { formatAddress, type SocketAddress } from '../model/address.js';
import { type Endpoint, NO_LOCALITY } from '../model/endpoint.js';
import { NO_METADATA } from '../model/metadata.js';
import type { Agenda } from '../runtime/agenda.js';
import type { Timer } from '../runtime/clock.js';
import { Host, type OpenTransport } from './host.js';

export interface OnDemandTools {
  readonly agenda: Agenda;
  readonly open: OpenTransport;
  /** A host that nobody uses any more leaves. */
  readonly retire: (host: Host) => void;
}

/**
 * Hosts that come to be when they are asked for, and leave when nothing was sent to them for an interval (Envoy
 * `cleanup_interval`). The timer runs while there are any.
 */
export class OnDemandHosts {
  /** By `address:port`. */
  readonly hosts: Map<string, Host>;
  readonly #tools: OnDemandTools;
  readonly #cleanupIntervalMs: number;
  /** How many requests each host had had at the last cleanup. */
  #seen = new Map<Host, number>();
  #timer: Timer | undefined;

  constructor(known: ReadonlyMap<string, Host>, cleanupIntervalMs: number, tools: OnDemandTools) {
    this.hosts = new Map(known);
    this.#cleanupIntervalMs = cleanupIntervalMs;
    this.#tools = tools;
    if (this.hosts.size > 0) this.#arm();
  }

  /** The host of an address. */
  find(address: SocketAddress): Host {
    const key = formatAddress(address);
    const known = this.hosts.get(key);
    if (known !== undefined) return known;
    const host = new Host(
      { endpoint: endpointOf(address), locality: NO_LOCALITY, priority: 0 },
      this.#tools.open,
    );
    this.hosts.set(key, host);
    if (this.#timer === undefined) this.#arm();
    return host;
  }

  close(): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer = this.#tools.agenda.schedule(this.#cleanupIntervalMs, () => this.#cleanUp());
  }

  #cleanUp(): void {
    this.#timer = undefined;
    const seen = new Map<Host, number>();
    for (const [address, host] of this.hosts) {
      const { requests } = host.totals;
      if (host.activeRequests === 0 && this.#seen.get(host) === requests) {
        this.hosts.delete(address);
        this.#tools.retire(host);
      } else {
        seen.set(host, requests);
      }
    }
    this.#seen = seen;
    if (this.hosts.size > 0) this.#arm();
  }
}

/** A name is resolved by the platform when the connection is made. */
function endpointOf(address: SocketAddress): Endpoint {
  return {
    address,
    hostname: address.address,
    health: 'unknown',
    weight: 1,
    transportSocketMatch: {},
    metadata: NO_METADATA,
  };
}
