import type { RouteConfiguration } from '../../../model/route.js';
import type { GatewayServer } from '../../kinds/types.js';
import type { WireResource } from '../../resources/resource-set.js';
import { gatewayListener } from './gateway-listener.js';
import { type GatewayTools, gatewayKey, type PortServer } from './gateway-plan.js';
import { gatewayTable } from './gateway-routes.js';

/** What gateways bring. */
export interface EnvoyGateways {
  readonly listeners: readonly WireResource[];
  readonly tables: readonly RouteConfiguration[];
}

/** Istio: the services that a Gateway is for, in place of a selector. */
const GATEWAY_SERVICE = 'internal.istio.io/gateway-service';

/** The listeners and route tables of the Gateways that select the node (Istio: buildGatewayListeners). */
export function envoyGateways(tools: GatewayTools): EnvoyGateways {
  const { view, profile } = tools;
  const selected = new Set(profile.envoy?.gateways ?? []);
  // Istio: of two that contradict each other the older one counts, and of equal age the one whose name is first.
  const gateways = view
    .list('Gateway')
    .filter((one) => selected.has(gatewayKey(one)))
    .sort((a, b) => compare(a.name, b.name) || compare(a.namespace, b.namespace));
  const byPlace = new Map<string, PortServer[]>();
  for (const gateway of gateways) {
    const hosts = gateway.annotations[GATEWAY_SERVICE]?.split(',');
    for (const server of gateway.spec.servers ?? []) {
      for (const listenPort of tools.listenPorts(server.port.number, hosts)) {
        const place = `${server.bind || '0.0.0.0'}_${listenPort}`;
        const one = { gateway, server, kind: kindOf(server), listenPort };
        byPlace.set(place, [...(byPlace.get(place) ?? []), one]);
      }
    }
  }
  const listeners: WireResource[] = [];
  const tables: RouteConfiguration[] = [];
  for (const place of [...byPlace.keys()].sort()) {
    const servers = compatible(byPlace.get(place) ?? []);
    const found = gatewayListener(place, servers, tools);
    if (found === undefined) continue;
    listeners.push(found.listener);
    for (const table of found.tables) tables.push(gatewayTable(table, tools));
  }
  return { listeners, tables };
}

const HTTP: ReadonlySet<string> = new Set(['http', 'http2', 'grpc', 'grpc-web']);

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What a server does with connections (Istio: a TLS server without a mode passes it through). */
function kindOf({ port, tls }: GatewayServer): PortServer['kind'] {
  const protocol = port.protocol.toLowerCase();
  if (HTTP.has(protocol)) return 'http';
  if (protocol !== 'https' && protocol !== 'tls') return 'tcp';
  const { mode = 'PASSTHROUGH' } = tls ?? {};
  if (mode === 'PASSTHROUGH' || mode === 'AUTO_PASSTHROUGH') return 'passthrough';
  return protocol === 'https' ? 'https' : 'terminated';
}

/**
 * Istio: what is there first decides whether a port speaks TLS or not; those who differ are left out. Plain TCP says
 * nothing by which two servers could be told apart.
 */
function compatible(servers: readonly PortServer[]): readonly PortServer[] {
  const groupOf = ({ kind }: PortServer) => (kind === 'http' || kind === 'tcp' ? kind : 'tls');
  const [first] = servers;
  if (first?.kind === 'tcp') return [first];
  return servers.filter((one) => first !== undefined && groupOf(one) === groupOf(first));
}
