import { isIP } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { encodeFilterChainMatch } from '../../../codec/filter-chain-match.js';
import { encodeNetworkGuard } from '../../../codec/network-guard.js';
import { encodeTcpProxy } from '../../../codec/tcp-proxy.js';
import type { FilterChainMatch } from '../../../model/filter-chain-match.js';
import { MATCH_EVERYTHING } from '../../../model/filter-chain-match.js';
import type { TcpFilterChain } from '../../../model/listener.js';
import type { NetworkGuard } from '../../../model/network-guard.js';
import { packAny } from '../../../proto/any.js';
import { listener, tcpProxy } from '../../../proto/xds.js';
import type { GatewayServer } from '../../kinds/types.js';
import type { WireResource } from '../../resources/resource-set.js';
import { filtersFor } from '../cors.js';
import { namedSecret } from '../credentials.js';
import { OUTBOUND_FILTERS } from '../fault.js';
import { addTcpRules, addTlsRules, Chains } from '../tcp-listeners.js';
import { type GatewayTools, gatewayKey, type PortServer, type TablePlan } from './gateway-plan.js';
import { boundServices, tableRoutes } from './gateway-routes.js';
import { gatewaySocket } from './gateway-tls.js';
import { httpFilter, socketListener } from './listener.js';

/** A listener with the route tables that it names. */
export interface GatewayListener {
  readonly listener: WireResource;
  readonly tables: readonly TablePlan[];
}

/** The listener of one port; undefined when nothing there can be served. */
export function gatewayListener(
  place: string,
  servers: readonly PortServer[],
  tools: GatewayTools,
): GatewayListener | undefined {
  const tables: TablePlan[] = [];
  const chains: listener.FilterChain[] = [];
  const taken = new Set<string>();
  const isThere = secretsOf(tools);
  const addHttp = (plan: TablePlan, make: (filter: listener.Filter) => listener.FilterChain) => {
    tables.push(plan);
    const filters = [...tools.filters, ...filtersFor(tableRoutes(plan, tools), OUTBOUND_FILTERS)];
    chains.push(
      make(
        httpFilter({
          statPrefix: `outbound_${place}`,
          routes: { kind: 'rds', name: plan.name },
          filters,
          callers: 'strangers',
          paths: tools.paths,
          traced: tools.traced,
        }),
      ),
    );
  };
  const plain = servers.filter(({ kind }) => kind === 'http');
  const [first] = plain;
  if (first !== undefined) {
    const { number } = first.server.port;
    const name = `http.${first.listenPort}${bindSuffix(first.server)}`;
    // Istio: all servers of plain HTTP on a port share one table.
    addHttp({ name, port: number, servers: plain }, (filter) =>
      create(listener.FilterChainSchema, { filters: [filter] }),
    );
  }
  for (const one of servers) {
    const { server, gateway, kind } = one;
    if (kind === 'http') continue;
    if (kind !== 'https') {
      chains.push(...tcpChains(one, tools, taken));
      continue;
    }
    const socket = gatewaySocket(server.tls ?? {}, ['h2', 'http/1.1'], isThere);
    const names = freeNames(serverNames(server), taken);
    if (socket === undefined || names === undefined) continue;
    const { number, name } = server.port;
    addHttp(
      { name: `https.${number}.${name}.${gateway.name}.${gateway.namespace}`, port: number, servers: [one] },
      (filter) => {
        const chain = create(listener.FilterChainSchema, { filters: [filter], transportSocket: socket });
        setMatch(chain, { ...MATCH_EVERYTHING, serverNames: names });
        return chain;
      },
    );
  }
  if (chains.length === 0) return undefined;
  const address = addressOf(place);
  return { listener: socketListener({ name: place, address, direction: 'outbound', chains }), tables };
}

/** Whether SDS has a secret of the gateway's own namespace. */
function secretsOf({ view, profile, assumesSecrets }: GatewayTools): (name: string) => boolean {
  return (name) => assumesSecrets || namedSecret(view, profile.namespace, name) !== undefined;
}

function bindSuffix({ bind = '' }: GatewayServer): string {
  return bind === '' ? '' : `.${bind}`;
}

/** Chains that pass bytes on: by the names of TLS, or whatever comes. */
function tcpChains(
  { server, gateway, kind }: PortServer,
  tools: GatewayTools,
  taken: Set<string>,
): readonly listener.FilterChain[] {
  const { profile, serviceOf, policyOf } = tools;
  const socket = kind === 'terminated' ? gatewaySocket(server.tls ?? {}, [], secretsOf(tools)) : undefined;
  if (kind === 'terminated' && socket === undefined) return [];
  const chains = new Chains();
  for (const { document, host } of boundServices([{ server, gateway }], tools)) {
    const context = {
      profile,
      host,
      port: server.port.number,
      serviceOf,
      policyOf,
      gateway: gatewayKey(gateway),
    };
    if (kind === 'passthrough' || routesByName(server)) addTlsRules(document, context, chains);
    if (kind !== 'passthrough') addTcpRules(document, context, chains);
  }
  // Istio: a terminated connection is chosen by the names of its server.
  const names = kind === 'terminated' ? serverNames(server) : [];
  // The socket is the gateway's own, so that destinations tell nothing: chains for subnets can't be chosen.
  const usable = chains.list.filter(({ match }) => match.destinationRanges.length === 0);
  return usable.flatMap(({ match, tcp }) => {
    const wanted = freeNames(match.serverNames.length > 0 ? match.serverNames : names, taken);
    if (wanted === undefined) return [];
    const chain = tcpChain(tcp, { ...match, serverNames: wanted }, tools.guards);
    if (socket !== undefined) chain.transportSocket = socket;
    return [chain];
  });
}

/** Gateway API: where a listener ends TLS, the hostnames of TLSRoutes count; Istio's `tls` rules do not there. */
function routesByName({ tls }: GatewayServer): boolean {
  return tls?.gatewayApi !== undefined;
}

function tcpChain(
  tcp: TcpFilterChain['tcp'],
  match: FilterChainMatch,
  guards: readonly NetworkGuard[],
): listener.FilterChain {
  const value = packAny(tcpProxy.TcpProxySchema, encodeTcpProxy(tcp));
  const message = create(listener.FilterChainSchema, {
    filters: [
      ...guards.map(encodeNetworkGuard),
      { name: 'envoy.filters.network.tcp_proxy', configType: { case: 'typedConfig', value } },
    ],
  });
  setMatch(message, match);
  return message;
}

/** A chain for any name has no match: it takes what the others leave. */
function setMatch(chain: listener.FilterChain, match: FilterChainMatch): void {
  const message = match.serverNames.length > 0 ? encodeFilterChainMatch(match) : undefined;
  if (message !== undefined) chain.filterChainMatch = message;
}

/** Names of the hosts that a server answers to; none = any. */
function serverNames({ hosts }: GatewayServer): readonly string[] {
  const names = hosts.map((host) => host.slice(host.indexOf('/') + 1).toLowerCase());
  return names.includes('*') ? [] : [...new Set(names)];
}

/**
 * Envoy: two chains of a listener must not ask for the same, and `*` is no server name. Those names that no chain has;
 * none = any; undefined = none is left.
 */
function freeNames(names: readonly string[], taken: Set<string>): readonly string[] | undefined {
  const wanted = names.length === 0 || names.includes('*') ? [''] : names;
  const free = wanted.filter((name) => !taken.has(name));
  for (const name of free) taken.add(name);
  return free.length === 0 ? undefined : free.filter((name) => name !== '');
}

function addressOf(place: string) {
  const split = place.lastIndexOf('_');
  const [bind, port] = [place.slice(0, split), Number(place.slice(split + 1))];
  return isIP(bind) === 0 ? { address: bind.replace(/^unix:\/\//, ''), port: 0 } : { address: bind, port };
}
