import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { ClusterDiscovery } from '../model/cluster.js';
import type { ClusterLoadAssignment, Endpoint, LocalityEndpoints } from '../model/endpoint.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';

/** Gives the addresses of a host name; rejects when there are none. */
export type ResolveName = (hostname: string) => Promise<readonly string[]>;

type DnsDiscovery = Extract<ClusterDiscovery, { readonly refreshRateMs: number }>;

export interface DnsTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly resolve: ResolveName;
}

/** Keeps the endpoints of a DNS cluster fresh. */
export interface DnsWatch {
  /** Settles when every name was asked for once, with or without success. */
  readonly ready: Promise<void>;
  close(): void;
}

/**
 * Asks the name servers for A records, else for AAAA records. Names they don't know (`localhost`, /etc/hosts, search
 * domains) are looked up as the platform does, which occupies a thread.
 */
export function createNameResolver(): ResolveName {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  return async (hostname) => {
    const v4 = await orNone(resolver.resolve4(hostname));
    if (v4.length > 0) return v4;
    const v6 = await orNone(resolver.resolve6(hostname));
    if (v6.length > 0) return v6;
    const found = await lookup(hostname, { all: true });
    const preferred = found.filter(({ family }) => family === 4);
    return (preferred.length > 0 ? preferred : found).map(({ address }) => address);
  };
}

/** A failure here only means that the next way is tried. */
function orNone(answer: Promise<string[]>): Promise<string[]> {
  return answer.catch(() => []);
}

/**
 * Resolves the names of an assignment, again at the refresh rate, and tells of every change. A failure keeps the last
 * good addresses. `strict-dns` makes an endpoint of each address, `logical-dns` of the first one only.
 */
export function watchDns(
  discovery: DnsDiscovery,
  tools: DnsTools,
  onUpdate: (assignment: ClusterLoadAssignment) => void,
): DnsWatch {
  const watch = new Watch(discovery, tools, onUpdate);
  return { ready: watch.run(), close: () => watch.close() };
}

class Watch {
  readonly #discovery: DnsDiscovery;
  readonly #tools: DnsTools;
  readonly #onUpdate: (assignment: ClusterLoadAssignment) => void;
  readonly #known = new Map<string, readonly string[]>();
  readonly #names: readonly string[];
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(
    discovery: DnsDiscovery,
    tools: DnsTools,
    onUpdate: (assignment: ClusterLoadAssignment) => void,
  ) {
    this.#discovery = discovery;
    this.#tools = tools;
    this.#onUpdate = onUpdate;
    const names = discovery.assignment.localities.flatMap(({ endpoints }) =>
      endpoints.map(({ address }) => address.address),
    );
    this.#names = [...new Set(names)];
    for (const name of this.#names) if (isIP(name) !== 0) this.#known.set(name, [name]);
  }

  /** Never rejects: nobody may be waiting. */
  run(): Promise<void> {
    return this.#refresh().catch((error: unknown) => {
      this.#tools.logger.error({ error: messageOf(error) }, 'an update of a DNS cluster failed');
    });
  }

  async #refresh(): Promise<void> {
    const asked = this.#names.filter((name) => isIP(name) === 0);
    await Promise.all(asked.map((name) => this.#ask(name)));
    if (this.#isClosed) return;
    this.#onUpdate(this.#assignment());
    if (asked.length === 0) return;
    this.#timer = this.#tools.clock.schedule(this.#discovery.refreshRateMs, () => {
      void this.run();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  async #ask(name: string): Promise<void> {
    try {
      const addresses = await this.#tools.resolve(name);
      // Name servers rotate their answers: only a change of content is a change.
      if (addresses.length > 0) this.#known.set(name, [...addresses].sort());
    } catch (error) {
      const kept = this.#known.get(name)?.length ?? 0;
      this.#tools.logger.warn({ name, kept, error: messageOf(error) }, 'name resolution failed');
    }
  }

  #assignment(): ClusterLoadAssignment {
    const { assignment } = this.#discovery;
    return { ...assignment, localities: assignment.localities.map((one) => this.#expand(one)) };
  }

  #expand(locality: LocalityEndpoints): LocalityEndpoints {
    return {
      ...locality,
      endpoints: locality.endpoints.flatMap((endpoint) => this.#expandEndpoint(endpoint)),
    };
  }

  #expandEndpoint(endpoint: Endpoint): Endpoint[] {
    const { address: name, port } = endpoint.address;
    const known = this.#known.get(name) ?? [];
    const used = this.#discovery.kind === 'logical-dns' ? known.slice(0, 1) : known;
    const hostname = endpoint.hostname === '' ? name : endpoint.hostname;
    return used.map((address) => ({ ...endpoint, hostname, address: { address, port } }));
  }
}
