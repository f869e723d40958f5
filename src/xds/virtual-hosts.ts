import type { RouteConfiguration, VirtualHost } from '../model/route.js';
import { MeshError } from '../runtime/errors.js';
import { originOf } from './with-runtime.js';

/** What came by VHDS for a table. */
export interface FoundHosts {
  readonly hosts: readonly VirtualHost[];
  /** The server has not spoken about the table's hosts yet. */
  readonly isPending: boolean;
}

/** Hears of a domain that a host can not have, as another one of the table has it. */
type OnTaken = (host: string, domain: string) => void;

interface Joined {
  readonly hosts: readonly VirtualHost[];
  readonly table: RouteConfiguration;
}

const joined = new WeakMap<RouteConfiguration, Joined>();
const added = new WeakMap<RouteConfiguration, readonly VirtualHost[]>();

/** The table with the virtual hosts that came by VHDS, after its own; the same object for the same hosts. */
export function withHosts(
  table: RouteConfiguration,
  hosts: readonly VirtualHost[],
  onTaken: OnTaken = () => {},
): RouteConfiguration {
  const known = joined.get(table);
  if (known !== undefined && isSameList(known.hosts, hosts)) return known.table;
  const whole = { ...table, virtualHosts: [...table.virtualHosts, ...unclaimed(table, hosts, onTaken)] };
  joined.set(table, { hosts, table: whole });
  added.set(whole, hosts);
  return whole;
}

/** Whether a table in force has a virtual host that came by VHDS. */
export function hasHost(table: RouteConfiguration, host: VirtualHost): boolean {
  return added.get(originOf(table))?.includes(host) === true;
}

/** Envoy: a domain stands only once in a table. Whoever has it keeps it. */
function unclaimed(
  table: RouteConfiguration,
  hosts: readonly VirtualHost[],
  onTaken: OnTaken,
): VirtualHost[] {
  const taken = new Set(table.virtualHosts.flatMap(({ domains }) => domains));
  return hosts.flatMap((host) => {
    const domains = host.domains.filter((domain) => !taken.has(domain));
    for (const domain of host.domains) if (taken.has(domain)) onTaken(host.name, domain);
    for (const domain of domains) taken.add(domain);
    if (domains.length === 0) return [];
    return domains.length === host.domains.length ? [host] : [{ ...host, domains }];
  });
}

function isSameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index]);
}

/** Envoy refuses a table with a domain that stands in it twice. Here the table keeps whoever had the domain first. */
export function takenDomain(table: string, host: string, domain: string): MeshError {
  const text = `domains: ${JSON.stringify(domain)} is taken by another virtual host of ${table}`;
  return new MeshError('INMESH_XDS_REJECTED', text, { resource: `${table}/${host}` });
}
