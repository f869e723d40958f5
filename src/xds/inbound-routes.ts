import { inboundChains, withHttp } from '../model/inbound-chains.js';
import type { InboundListener } from '../model/listener.js';
import type { RouteConfiguration } from '../model/route.js';
import type { Found } from './found.js';

/** Names of the route tables that a server's filter chains take from RDS (gRFC A36). */
export function tablesOf(listener: InboundListener): readonly string[] {
  return inboundChains(listener).flatMap(({ http }) =>
    http?.routes.kind === 'rds' ? [http.routes.name] : [],
  );
}

/** The listener as it was filled in last, and with what. */
const filledIn = new WeakMap<
  InboundListener,
  { readonly tables: ReadonlyMap<string, RouteConfiguration>; readonly listener: InboundListener }
>();

/**
 * The listener with its route tables, or `pending` while one has to be waited for. A chain whose table does not exist, or
 * was refused, keeps the reference, which lets nothing in. The same object for the same tables.
 */
export function withTables(
  listener: InboundListener,
  find: (name: string) => Found<RouteConfiguration>,
): InboundListener | 'pending' {
  const tables = new Map<string, RouteConfiguration>();
  for (const name of tablesOf(listener)) {
    const found = find(name);
    if (found === 'pending') return 'pending';
    if (typeof found === 'object') tables.set(name, found);
  }
  if (tables.size === 0) return listener;
  const known = filledIn.get(listener);
  if (known !== undefined && isSame(known.tables, tables)) return known.listener;
  const filled = withHttp(listener, (http) => {
    const config = http.routes.kind === 'rds' ? tables.get(http.routes.name) : undefined;
    return config === undefined ? http : { ...http, routes: { kind: 'inline', config } };
  });
  filledIn.set(listener, { tables, listener: filled });
  return filled;
}

function isSame<V>(one: ReadonlyMap<string, V>, other: ReadonlyMap<string, V>): boolean {
  return one.size === other.size && [...one].every(([name, value]) => other.get(name) === value);
}
