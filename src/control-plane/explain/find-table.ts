import { fromBinary } from '@bufbuild/protobuf';
import { splitHostPort } from '../../model/address.js';
import type { HttpFilter } from '../../model/filter-config.js';
import type { OutboundListener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';
import type { ResolvedOutbound } from '../../model/snapshot.js';
import { httpConnectionManager as hcm, listener as wire } from '../../proto/xds.js';
import { HostTable } from '../../routing/host-table.js';
import type { Request, Service } from '../../service/service.js';
import type { ResourceSet } from '../resources/resource-set.js';

/** The route table that a request comes to. */
export interface FoundTable {
  readonly listener: string;
  readonly routes: RouteConfiguration | undefined;
  readonly filters: readonly HttpFilter[];
  readonly idleTimeoutMs: number | undefined;
  /** Of a gateway, which knows where a request comes in, and what of it is TLS. */
  readonly isGateway: boolean;
}

/** The table that the SDK takes for the request's origin, by its own host table; undefined: it is not the mesh's. */
export function findTable(set: ResourceSet, request: Request): FoundTable | undefined {
  const owners = new Map<Service, ResolvedOutbound>();
  for (const listener of set.listeners.values()) {
    if (listener.kind !== 'outbound') continue;
    const never: Service = () => Promise.reject(new TypeError('nothing is sent'));
    owners.set(never, { listener, routes: tableOf(set, listener) });
  }
  const hosts = new HostTable([...owners].map(([service, resolved]) => [resolved, service] as const));
  const target = hosts.lookup(`${request.scheme}://${request.authority}`);
  const found = target && owners.get(target.service);
  if (found === undefined) return undefined;
  const { listener, routes } = found;
  const { filters, streamIdleTimeoutMs } = listener.http;
  return { listener: listener.name, routes, filters, idleTimeoutMs: streamIdleTimeoutMs, isGateway: false };
}

function tableOf(set: ResourceSet, { http }: OutboundListener): RouteConfiguration | undefined {
  return http.routes.kind === 'inline' ? http.routes.config : set.routes.get(http.routes.name);
}

/** The table of a gateway: by the port, and for TLS by the server name. */
export function findGatewayTable(set: ResourceSet, request: Request, port: number): FoundTable | undefined {
  const found = [...set.wireListeners.values()]
    .map(({ bytes }) => fromBinary(wire.ListenerSchema, bytes))
    .find((one) => portOf(one) === port);
  if (found === undefined) return undefined;
  const name = splitHostPort(request.authority).host;
  const chains = found.filterChains
    .map((chain) => ({ chain, rank: serverNameRank(chain.filterChainMatch?.serverNames ?? [], name) }))
    .filter(({ rank }) => rank > 0)
    .sort((a, b) => b.rank - a.rank);
  const manager = chains.flatMap(({ chain }) =>
    chain.filters.flatMap(({ configType }) =>
      configType.case === 'typedConfig' && configType.value.typeUrl.endsWith('.HttpConnectionManager')
        ? [fromBinary(hcm.HttpConnectionManagerSchema, configType.value.value)]
        : [],
    ),
  )[0];
  const { routeSpecifier } = manager ?? {};
  const routes =
    routeSpecifier?.case === 'rds' ? set.routes.get(routeSpecifier.value.routeConfigName) : undefined;
  return { listener: found.name, routes, filters: [], idleTimeoutMs: undefined, isGateway: true };
}

function portOf({ address }: wire.Listener): number | undefined {
  const socket = address?.address.case === 'socketAddress' ? address.address.value : undefined;
  return socket?.portSpecifier.case === 'portValue' ? socket.portSpecifier.value : undefined;
}

/** Envoy: the exact name, then the longest suffix, then chains that name none. 0 = none of these. */
function serverNameRank(names: readonly string[], name: string): number {
  if (names.length === 0) return 1;
  let best = 0;
  for (const one of names) {
    if (one === name) return 1_000_000;
    if (one.startsWith('*.') && name.endsWith(one.slice(1))) best = Math.max(best, one.length + 1);
  }
  return best;
}
