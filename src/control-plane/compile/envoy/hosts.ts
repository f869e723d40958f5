import type { RouteConfiguration, VirtualHost } from '../../../model/route.js';
import { isEqual } from '../../../runtime/equal.js';
import { ShardedMap } from '../../../runtime/sharded-map.js';
import { parseClusterName } from '../../mesh/names.js';

/** A virtual host of a service with the port that it is for. */
export interface PortHost {
  readonly port: number;
  readonly virtualHost: VirtualHost;
}

const NO_HOSTS: readonly PortHost[] = [];

/** The virtual hosts of all services, those of port 80 first: a name without a port means them. Follows the routes. */
export class EnvoyHosts {
  #from = ShardedMap.from<RouteConfiguration>([]);
  #sorted = NO_HOSTS;

  of(routes: ShardedMap<RouteConfiguration>): readonly PortHost[] {
    const gone = new Set<PortHost>();
    const come: PortHost[] = [];
    for (const [, before, after] of this.#from.changesTo(routes)) {
      for (const one of before === undefined ? NO_HOSTS : hostsOf(before)) gone.add(one);
      if (after !== undefined) come.push(...hostsOf(after));
    }
    this.#from = routes;
    if (gone.size + come.length > 0)
      this.#sorted = merged(
        this.#sorted.filter((one) => !gone.has(one)),
        come.sort(inOrder),
      );
    return this.#sorted;
  }
}

const known = new WeakMap<RouteConfiguration, readonly PortHost[]>();

function hostsOf(table: RouteConfiguration): readonly PortHost[] {
  let found = known.get(table);
  if (found === undefined) {
    const cluster = parseClusterName(table.name);
    found =
      cluster === undefined
        ? NO_HOSTS
        : table.virtualHosts.map((virtualHost) => ({ port: cluster.port, virtualHost }));
    known.set(table, found);
  }
  return found;
}

function inOrder(a: PortHost, b: PortHost): number {
  return rank(a) - rank(b) || (a.virtualHost.name < b.virtualHost.name ? -1 : 1);
}

function rank({ port }: PortHost): number {
  return port === 80 ? 0 : port;
}

/** Two lists that are in order as one. */
function merged(left: readonly PortHost[], right: readonly PortHost[]): readonly PortHost[] {
  const all: PortHost[] = [];
  let next = 0;
  for (const one of left) {
    for (let other = right[next]; other !== undefined && inOrder(other, one) < 0; other = right[++next])
      all.push(other);
    all.push(one);
  }
  return [...all, ...right.slice(next)];
}

/** The hosts of one table. Envoy: a domain may stand in a table once; the first host has it. */
export class HostTable {
  #from: readonly VirtualHost[] = [];
  #to: readonly VirtualHost[] = [];

  of(hosts: readonly VirtualHost[]): readonly VirtualHost[] {
    this.#to = this.#follow(hosts) ?? withoutSharedDomains(hosts);
    this.#from = hosts;
    return this.#to;
  }

  /** Undefined where other hosts or domains are there than before. */
  #follow(hosts: readonly VirtualHost[]): readonly VirtualHost[] | undefined {
    // Each host of the list stands in the table, in its place.
    if (hosts.length !== this.#from.length || hosts.length !== this.#to.length) return undefined;
    const all: VirtualHost[] = [];
    for (const [at, host] of hosts.entries()) {
      const [from, to] = [this.#from[at], this.#to[at]];
      if (from === undefined || to === undefined) return undefined;
      if (host === from) all.push(to);
      else if (!isEqual(host.domains, from.domains)) return undefined;
      else all.push(from === to ? host : { ...host, domains: to.domains });
    }
    return all;
  }
}

function withoutSharedDomains(virtualHosts: readonly VirtualHost[]): readonly VirtualHost[] {
  const seen = new Set<string>();
  return virtualHosts.flatMap((virtualHost) => {
    const domains = virtualHost.domains.filter((domain) => !seen.has(domain));
    for (const domain of domains) seen.add(domain);
    if (domains.length === virtualHost.domains.length) return [virtualHost];
    return domains.length === 0 ? [] : [{ ...virtualHost, domains }];
  });
}
