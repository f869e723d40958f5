import { lookup, Resolver } from 'node:dns/promises';
import type { DnsLookupFamily } from '../model/dns-cache.js';

/** An address, and how long it holds where that is known. */
export type DnsAnswer = string | { readonly address: string; readonly ttlMs: number };

/** Gives the addresses of a host name; rejects when there are none. */
export type ResolveName = (hostname: string, family?: DnsLookupFamily) => Promise<readonly DnsAnswer[]>;

type Family = 4 | 6;

/** The families that are asked for in turn; Envoy AUTO: IPv6 first. */
const ORDER: Readonly<Record<DnsLookupFamily | 'auto', readonly Family[]>> = {
  auto: [6, 4],
  'v4-only': [4],
  'v6-only': [6],
  'v4-preferred': [4, 6],
  all: [4, 6],
};

/**
 * Asks the name servers. Names they don't know (`localhost`, /etc/hosts, search domains) are looked up as the platform
 * does, which occupies a thread and tells no life of records.
 */
export function createNameResolver(): ResolveName {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  const ask = (hostname: string, family: Family) =>
    orNone(
      family === 4 ? resolver.resolve4(hostname, { ttl: true }) : resolver.resolve6(hostname, { ttl: true }),
    );
  return async (hostname, family) => {
    const order = ORDER[family ?? 'auto'];
    const found = await inOrder(order, family === 'all', (one) => ask(hostname, one));
    if (found.length > 0) return found.map(({ address, ttl }) => ({ address, ttlMs: ttl * 1000 }));
    const known = await lookup(hostname, { all: true, family: order.length === 1 ? order[0] : 0 });
    const chosen = await inOrder(order, family === 'all', async (one) =>
      known.filter((entry) => entry.family === one),
    );
    return chosen.map(({ address }) => address);
  };
}

/** The first family that has any, or all of them. */
async function inOrder<T>(
  families: readonly Family[],
  takesAll: boolean,
  find: (family: Family) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  if (takesAll) return (await Promise.all(families.map(find))).flat();
  for (const family of families) {
    const found = await find(family);
    if (found.length > 0) return found;
  }
  return [];
}

/** A failure here only means that the next way is tried. */
function orNone<T>(answer: Promise<readonly T[]>): Promise<readonly T[]> {
  return answer.catch(() => []);
}
