import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { route } from '../../../proto/xds.js';
import { merges, patchList } from './list-patches.js';
import { cloned, merged } from './message-value.js';
import { type ApplyTo, isInContext, type Patch, type PatchContext } from './patches.js';

/** What is known of a route table besides what is in it. */
export interface TablePlace {
  readonly context: PatchContext;
  /** Of the service, or of the gateway's listener; 0 = of no port. */
  readonly port: number;
  /** Other names under which patches may mean it. */
  readonly names: readonly string[];
  /** Of a gateway's table: the server's port name and the Gateway, `namespace/name`. */
  readonly portName?: string | undefined;
  readonly gateway?: string | undefined;
}

type VirtualHost = route.VirtualHost;
type Route = route.Route;

/** A route table with its patches (Istio: ApplyRouteConfigurationPatches). */
export function patchRoutes(bytes: Uint8Array, patches: readonly Patch[], place: TablePlace): Uint8Array {
  const message = fromBinary(route.RouteConfigurationSchema, bytes);
  const own = patches.filter(
    (patch) => isInContext(patch, place.context) && isForTable(patch, message.name, place),
  );
  const of = (applyTo: ApplyTo) => own.filter((one) => one.applyTo === applyTo);
  if (own.length === 0) return bytes;
  let table = message;
  for (const patch of of('ROUTE_CONFIGURATION')) {
    if (merges(patch)) table = merged(route.RouteConfigurationSchema, table, patch);
  }
  const virtualHosts = table.virtualHosts.flatMap((host) =>
    patchHost(host, of('VIRTUAL_HOST'), of('HTTP_ROUTE')),
  );
  for (const { operation, value } of of('VIRTUAL_HOST')) {
    const added = operation === 'ADD' ? cloned(route.VirtualHostSchema, value) : undefined;
    if (added !== undefined) virtualHosts.push(added);
  }
  table.virtualHosts = virtualHosts;
  return toBinary(route.RouteConfigurationSchema, table);
}

function isForTable({ match }: Patch, name: string, place: TablePlace): boolean {
  const wanted = match.routeConfiguration;
  if (wanted === undefined) return true;
  const isHere =
    (!wanted.portNumber || wanted.portNumber === place.port) &&
    (!wanted.name || [name, ...place.names].includes(wanted.name));
  if (place.context !== 'GATEWAY') return isHere;
  return (
    isHere &&
    (!wanted.portName || wanted.portName === place.portName) &&
    (!wanted.gateway || wanted.gateway === place.gateway)
  );
}

function patchHost(
  virtualHost: VirtualHost,
  patches: readonly Patch[],
  routePatches: readonly Patch[],
): readonly VirtualHost[] {
  let host = virtualHost;
  for (const patch of patches) {
    if (!isForHost(patch, host)) continue;
    if (patch.operation === 'REMOVE') return [];
    if (merges(patch)) host = merged(route.VirtualHostSchema, host, patch);
    else if (patch.operation === 'REPLACE') host = cloned(route.VirtualHostSchema, patch.value) ?? host;
  }
  const own = routePatches.filter((patch) => isForHost(patch, host));
  const kept = host.routes.flatMap((one) => patchRoute(one, own));
  const added = own.filter(
    (patch) =>
      patch.operation !== 'REMOVE' &&
      // Istio: first of all, but only where the route that it names is.
      (patch.operation !== 'INSERT_FIRST' ||
        !namesRoute(patch) ||
        kept.some((one) => isForRoute(one, patch))),
  );
  host.routes = patchList(kept, added, {
    namesItem: namesRoute,
    isIt: isForRoute,
    itemOf: ({ value }) => cloned(route.RouteSchema, value),
  });
  return [host];
}

function isForHost({ match }: Patch, { name, domains }: VirtualHost): boolean {
  const wanted = match.routeConfiguration?.vhost;
  if (wanted === undefined) return true;
  return (
    (!wanted.name || wanted.name === name) && (!wanted.domainName || domains.includes(wanted.domainName))
  );
}

function namesRoute({ match }: Patch): boolean {
  return match.routeConfiguration?.vhost?.route !== undefined;
}

/** Istio: routes are removed and merged before others are put between them. */
function patchRoute(one: Route, patches: readonly Patch[]): readonly Route[] {
  let changed = one;
  for (const patch of patches) {
    if (!isForRoute(changed, patch)) continue;
    if (patch.operation === 'REMOVE') return [];
    if (merges(patch)) changed = merged(route.RouteSchema, changed, patch);
  }
  return [changed];
}

const ACTIONS: Readonly<Record<string, string>> = {
  route: 'ROUTE',
  redirect: 'REDIRECT',
  directResponse: 'DIRECT_RESPONSE',
};

function isForRoute({ name, action }: Route, { match }: Patch): boolean {
  const wanted = match.routeConfiguration?.vhost?.route;
  if (wanted === undefined) return true;
  if (wanted.name && wanted.name !== name) return false;
  const { action: kind = 'ANY' } = wanted;
  return kind === 'ANY' || ACTIONS[action.case ?? ''] === kind;
}
