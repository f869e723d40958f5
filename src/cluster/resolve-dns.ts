import { isIP } from 'node:net';
import type { DnsDiscovery } from '../model/cluster.js';
import type { ClusterLoadAssignment, Endpoint, LocalityEndpoints } from '../model/endpoint.js';
import { type Backoff, createRetryBackoff } from '../runtime/backoff.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import { type Random, remainderOf } from '../runtime/random.js';
import type { DnsAnswer, ResolveName } from './resolve-name.js';

export interface DnsTools {
  readonly clock: Clock;
  readonly random: Random;
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
 * Resolves the names of an assignment, again at the refresh rate or when their records are over, and tells of every
 * change. A failure keeps the last
 * good addresses. `strict-dns` makes an endpoint of each address, `logical-dns` one of all.
 */
export function watchDns(
  discovery: DnsDiscovery,
  tools: DnsTools,
  onUpdate: (assignment: ClusterLoadAssignment) => void,
): DnsWatch {
  const watch = new Watch(discovery, tools, onUpdate);
  return { ready: watch.run(), close: () => watch.close() };
}

/** One name: what it stands for, and when it is asked for again. */
interface Name {
  readonly name: string;
  readonly backoff: Backoff | undefined;
  timer: Timer | undefined;
}

class Watch {
  readonly #discovery: DnsDiscovery;
  readonly #tools: DnsTools;
  readonly #onUpdate: (assignment: ClusterLoadAssignment) => void;
  readonly #known = new Map<string, readonly string[]>();
  readonly #names: readonly Name[];
  #isComplete = false;
  #isClosed = false;

  constructor(
    discovery: DnsDiscovery,
    tools: DnsTools,
    onUpdate: (assignment: ClusterLoadAssignment) => void,
  ) {
    this.#discovery = discovery;
    this.#tools = tools;
    this.#onUpdate = onUpdate;
    const { failureRefresh: failure } = discovery;
    const names = discovery.assignment.localities.flatMap(({ endpoints }) =>
      endpoints.map(({ address }) => address.address),
    );
    const unique = [...new Set(names)];
    for (const name of unique) if (isIP(name) !== 0) this.#known.set(name, [name]);
    this.#names = unique
      .filter((name) => isIP(name) === 0)
      .map((name) => ({
        name,
        backoff: failure && createRetryBackoff(failure.baseMs, failure.maxMs, tools.random),
        timer: undefined,
      }));
  }

  /** Never rejects: nobody may be waiting. */
  async run(): Promise<void> {
    await Promise.all(this.#names.map((name) => this.#refresh(name)));
    this.#isComplete = true;
    this.#tell();
  }

  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#names) timer?.cancel();
  }

  /** Envoy: each name has its own pace. */
  async #refresh(one: Name): Promise<void> {
    const waitMs = await this.#ask(one);
    if (this.#isClosed) return;
    if (this.#isComplete) this.#tell();
    one.timer = this.#tools.clock.schedule(waitMs, () => {
      void this.#refresh(one);
    });
  }

  #tell(): void {
    if (this.#isClosed) return;
    try {
      this.#onUpdate(this.#assignment());
    } catch (error) {
      this.#tools.logger.error({ error: messageOf(error) }, 'an update of a DNS cluster failed');
    }
  }

  /** Asks, and gives the wait until the next time. */
  async #ask({ name, backoff }: Name): Promise<number> {
    const { refreshRateMs, respectsTtl, lookupFamily, jitterMs = 0 } = this.#discovery;
    try {
      const answers = await this.#tools.resolve(name, lookupFamily);
      const addresses = answers.map((one) => (typeof one === 'string' ? one : one.address));
      if (addresses.length > 0) this.#known.set(name, this.#order(addresses, this.#known.get(name)?.[0]));
      backoff?.reset();
      const waitMs = (respectsTtl === true ? shortestLife(answers) : undefined) ?? refreshRateMs;
      return jitterMs > 0 ? waitMs + remainderOf(this.#tools.random(), jitterMs) : waitMs;
    } catch (error) {
      const kept = this.#known.get(name)?.length ?? 0;
      this.#tools.logger.warn({ name, kept, error: messageOf(error) }, 'name resolution failed');
      return backoff === undefined ? refreshRateMs : Math.max(1, backoff.next());
    }
  }

  /**
   * Name servers rotate their answers: only a change of content is a change. The one endpoint of a logical name keeps
   * the address that it has as long as it may.
   */
  #order(addresses: readonly string[], first: string | undefined): readonly string[] {
    if (this.#discovery.kind === 'strict-dns') return [...addresses].sort();
    const kept = first !== undefined && addresses.includes(first) ? first : addresses[0];
    const others = addresses.filter((one) => one !== kept).sort();
    return kept === undefined ? others : [kept, ...others];
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
    const hostname = endpoint.hostname === '' ? name : endpoint.hostname;
    const addresses = known.map((address) => ({ address, port }));
    if (this.#discovery.kind === 'strict-dns')
      return addresses.map((address) => ({ ...endpoint, hostname, address }));
    const [address, ...others] = addresses;
    if (address === undefined) return [];
    const additionalAddresses = others.length > 0 ? others : undefined;
    return [{ ...endpoint, hostname, address, additionalAddresses }];
  }
}

/** Envoy: the shortest life counts, and 0 says nothing. */
function shortestLife(answers: readonly DnsAnswer[]): number | undefined {
  const lives = answers.flatMap((one) => (typeof one === 'string' ? [] : [one.ttlMs]));
  return lives.length === 0 ? undefined : Math.min(...lives) || undefined;
}
