import type { Mesh } from '../../../src/index.js';
import { joinQuietly } from '../mesh/support.js';
import type { Json } from './ads/json.js';
import { IndependentAds } from './ads/server.js';
import { apiListener, byRds, edsCluster, endpointsAt, locality, routesTo, toCluster } from './ads/shop.js';
import type { Caller, CallSpec, Served } from './callers.js';

type Fields = { readonly [key: string]: Json };

/** Backends in one place. */
interface Place {
  readonly names: readonly string[];
  readonly fields?: Fields;
  readonly health?: string;
}

/** An independent control plane, a member of its mesh, and backends: what scenarios happen in. */
export class PsmWorld {
  readonly ads: IndependentAds;
  readonly mesh: Mesh;
  readonly #caller: Caller;
  readonly #backends: ReadonlyMap<string, Served>;

  private constructor(parts: {
    readonly ads: IndependentAds;
    readonly mesh: Mesh;
    readonly caller: Caller;
    readonly backends: ReadonlyMap<string, Served>;
  }) {
    this.ads = parts.ads;
    this.mesh = parts.mesh;
    this.#caller = parts.caller;
    this.#backends = parts.backends;
  }

  static async start(caller: Caller, xdsProtocol: 'sotw' | 'delta'): Promise<PsmWorld> {
    const ads = await IndependentAds.start();
    const mesh = await joinQuietly({
      service: 'client',
      controlPlane: ads.address,
      startupTimeoutMs: 20_000,
      xdsProtocol,
    });
    const names = ['a', 'b', 'c', 'd'];
    const backends = await Promise.all(names.map(async (name) => [name, await caller.serve(name)] as const));
    return new PsmWorld({ ads, mesh, caller, backends: new Map(backends) });
  }

  get codes(): Caller['codes'] {
    return this.#caller.codes;
  }

  backend(name: string): Served {
    const found = this.#backends.get(name);
    if (found === undefined) throw new Error(`no backend ${name}`);
    return found;
  }

  ports(...names: readonly string[]): number[] {
    return names.map((name) => this.backend(name).port);
  }

  /** A host with the given routes; without any, all goes to the cluster of its name. */
  host(name: string, routes: readonly Fields[] = [toCluster(name)], filters: readonly Json[] = []): this {
    this.ads.world.put('LDS', `${name}:80`, apiListener(byRds(`${name}-routes`), filters));
    this.ads.world.put('RDS', `${name}-routes`, routesTo(...routes));
    return this;
  }

  /** A cluster of backends in one place. */
  cluster(name: string, names: readonly string[], fields: Fields = {}): this {
    this.ads.world.put('CDS', name, edsCluster('', { ...this.#caller.cluster, ...fields }));
    return this.endpoints(name, names);
  }

  endpoints(name: string, names: readonly string[]): this {
    this.ads.world.put('EDS', name, endpointsAt(...this.ports(...names)));
    return this;
  }

  /** The endpoints of a cluster, place by place. */
  places(name: string, places: readonly Place[]): this {
    this.ads.world.put('EDS', name, {
      endpoints: places.map(({ names, fields, health = 'UNKNOWN' }, index) => {
        const place = locality(this.ports(...names), { locality: { region: `place-${index}` }, ...fields });
        const endpoints = place['lb_endpoints'] as readonly Fields[];
        return {
          ...place,
          lb_endpoints: endpoints.map((one) => ({ ...one, health_status: health })),
        };
      }),
    });
    return this;
  }

  publish(): void {
    this.ads.publish();
  }

  async call(host: string, spec?: CallSpec): Promise<string> {
    const outcome = await this.#caller.call(this.mesh, host, spec).catch((error: unknown) => ({
      text: `!${String(error)}`,
    }));
    return outcome.text;
  }

  /** A call whose cookie counts. */
  async callFor(
    host: string,
    spec?: CallSpec,
  ): Promise<{ readonly text: string; readonly cookie: string | undefined }> {
    return this.#caller.call(this.mesh, host, spec);
  }

  /** How often each outcome came. */
  async tally(host: string, count: number, spec?: CallSpec): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (let i = 0; i < count; i++) {
      const text = await this.call(host, spec);
      counts[text] = (counts[text] ?? 0) + 1;
    }
    return counts;
  }

  /** All at once. */
  async burst(host: string, count: number, spec?: CallSpec): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    const outcomes = await Promise.all(Array.from({ length: count }, () => this.call(host, spec)));
    for (const text of outcomes) counts[text] = (counts[text] ?? 0) + 1;
    return counts;
  }

  /** Calls until the last ones all come from `names`; returns everything that came. */
  async settles(host: string, names: readonly string[], spec?: CallSpec): Promise<Set<string>> {
    const all = new Set<string>();
    const end = performance.now() + 15_000;
    let seen: string[] = [];
    const recent = Math.max(10, names.length * 6);
    const isThere = () =>
      seen.length === recent &&
      new Set(seen).size === names.length &&
      names.every((name) => seen.includes(name));
    while (!isThere()) {
      if (performance.now() > end)
        throw new Error(`${host} answers from ${[...new Set(seen)].join()} in time`);
      const text = await this.call(host, spec);
      all.add(text);
      seen = [...seen, text].slice(-recent);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return all;
  }

  async close(): Promise<void> {
    this.#caller.close();
    await this.mesh.close();
    await this.ads.close();
    for (const backend of this.#backends.values()) await backend.close();
  }
}
