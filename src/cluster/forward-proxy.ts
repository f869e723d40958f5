import { formatAddress, type SocketAddress, splitHostPort } from '../model/address.js';
import type { ForwardProxyDiscovery } from '../model/cluster.js';
import type { DnsCacheConfig } from '../model/dns-cache.js';
import { type Endpoint, NO_LOCALITY } from '../model/endpoint.js';
import { NO_METADATA } from '../model/metadata.js';
import type { Abort } from '../runtime/abort.js';
import type { Request } from '../service/service.js';
import type { NameOutcome } from './dns-cache.js';
import type { DnsCaches, HeldCache } from './dns-caches.js';
import { Host, type OpenTransport } from './host.js';

export interface ForwardProxyTools {
  readonly caches: DnsCaches;
  /** Where the name of a request has none (Envoy: 443 with TLS, else 80). */
  readonly defaultPort: number;
  readonly open: OpenTransport;
  /** A host that nobody uses any more leaves. */
  readonly retire: (host: Host) => void;
}

/**
 * Hosts by the names that requests ask for (Envoy `envoy.clusters.dynamic_forward_proxy`): each has the address that
 * its name has, and leaves with it. Whoever sends requests has their names resolved first.
 */
export class ForwardProxyHosts {
  /** By name and port. */
  readonly hosts = new Map<string, Host>();
  readonly cache: DnsCacheConfig;
  readonly #held: HeldCache;
  readonly #tools: ForwardProxyTools;
  readonly #unsubscribe: () => void;

  constructor({ cache }: ForwardProxyDiscovery, tools: ForwardProxyTools) {
    this.cache = cache;
    this.#tools = tools;
    this.#held = tools.caches.acquire(cache);
    this.#unsubscribe = this.#held.cache.onChange((key) => this.#changed(key));
  }

  /** Has the name resolved that a request asks for. */
  resolve(authority: string, abort: Abort): NameOutcome | Promise<NameOutcome> {
    return this.#held.cache.resolve(this.#addressOf(authority), abort);
  }

  /** The host of a request; undefined while its name is not resolved, and while it must not be used. */
  pick({ context, authority }: Request): Host | undefined {
    const named = context.filterState?.get('envoy.upstream.dynamic_host');
    const address = this.#addressOf(
      typeof named === 'string' ? named : authority,
      portOf(context.filterState?.get('envoy.upstream.dynamic_port')),
    );
    const key = formatAddress(address);
    const addresses = this.#held.cache.addresses(key);
    if (addresses === undefined) return undefined;
    const host = this.hosts.get(key) ?? this.#add(key, address, addresses);
    return host.health === 'unhealthy' ? undefined : host;
  }

  close(): void {
    this.#unsubscribe();
    this.#held.release();
  }

  #add(key: string, { address: hostname, port }: SocketAddress, addresses: readonly string[]): Host {
    const [address = hostname, ...others] = addresses;
    const endpoint: Endpoint = {
      address: { address, port },
      additionalAddresses: others.map((other) => ({ address: other, port })),
      hostname,
      health: 'unknown',
      weight: 1,
      transportSocketMatch: {},
      metadata: NO_METADATA,
    };
    const host = new Host({ endpoint, locality: NO_LOCALITY, priority: 0 }, this.#tools.open);
    this.hosts.set(key, host);
    return host;
  }

  /** Connections to an address that a name no longer has finish what they carry. */
  #changed(key: string): void {
    const host = this.hosts.get(key);
    if (host === undefined) return;
    this.hosts.delete(key);
    this.#tools.retire(host);
  }

  #addressOf(authority: string, defaultPort = this.#tools.defaultPort): SocketAddress {
    const { host, port } = splitHostPort(authority);
    return { address: host.toLowerCase(), port: port ?? defaultPort };
  }
}

function portOf(value: unknown): number | undefined {
  const port = Number(value);
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : undefined;
}
