import { create } from '@bufbuild/protobuf';
import type { ChainCriteria, FilterChainMatch } from '../model/filter-chain-match.js';
import type {
  FilterChain,
  InboundChainConfig,
  InboundListener,
  Listener,
  OutboundListener,
  TcpServerChain,
} from '../model/listener.js';
import type { NetworkGuard } from '../model/network-guard.js';
import { packAny } from '../proto/any.js';
import { core, httpConnectionManager as hcm, listener, tcpProxy, type wkt } from '../proto/xds.js';
import { decodeAddress, encodeAddress } from './address.js';
import { decodeAny } from './codec.js';
import { onlyFields } from './field-guard.js';
import {
  asksMore,
  decodeFilterChainMatch,
  encodeFilterChainMatch,
  overlappingChain,
} from './filter-chain-match.js';
import { decodeConnectionManager, encodeConnectionManager } from './http-connection-manager.js';
import { decodeInspection, encodeInspection } from './listener-filters.js';
import { decodeNetworkGuard, encodeNetworkGuard } from './network-guard.js';
import { decodeOutboundTcp, encodeOutboundTcp, isOutboundTcp, TCP_PROXY } from './outbound-tcp.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeReadiness, encodeReadiness } from './readiness.js';
import { decodeTcpServer, encodeTcpServer } from './tcp-proxy.js';
import { decodeDownstreamSocket, encodeDownstreamSocket } from './transport-socket.js';

const HCM_FILTER = 'envoy.filters.network.http_connection_manager';

/** Names and forms of Envoy's statistics and logs, and remarks for other tools. */
const REMARKS = ['stat_prefix', 'access_log', 'traffic_direction', 'metadata'];

const outboundFields = onlyFields(() => listener.ListenerSchema, {
  enforced: ['name', 'api_listener'],
  // An API listener binds no socket, so the address that Istio adds is a remark too.
  ignored: ['address', ...REMARKS],
});

const inboundFields = onlyFields(() => listener.ListenerSchema, {
  enforced: [
    'name',
    'address',
    'filter_chains',
    'default_filter_chain',
    'listener_filters',
    'listener_filters_timeout',
    'continue_on_listener_filters_timeout',
  ],
  ignored: REMARKS,
});

const chainFields = onlyFields(() => listener.FilterChainSchema, {
  enforced: ['name', 'filter_chain_match', 'filters', 'transport_socket'],
  ignored: ['metadata'],
});

const networkFilterFields = onlyFields(() => listener.FilterSchema, { enforced: ['name', 'typed_config'] });

/** The listener: outbound when it is an API listener or says so, else inbound. */
export function decodeListener(message: listener.Listener, path: Path): Listener {
  if (isOutboundTcp(message)) return decodeOutboundTcp(message, path);
  return message.apiListener === undefined ? decodeInbound(message, path) : decodeOutbound(message, path);
}

function decodeOutbound(message: listener.Listener, path: Path): OutboundListener {
  outboundFields(message, path);
  const managerPath = at(at(path, 'api_listener'), 'api_listener');
  const any = required(message.apiListener?.apiListener, managerPath);
  return { kind: 'outbound', name: message.name, http: decodeManager(any, managerPath, 'outbound') };
}

function decodeInbound(message: listener.Listener, path: Path): InboundListener {
  inboundFields(message, path);
  const { address, defaultFilterChain: last } = message;
  if (message.filterChains.length === 0 && last === undefined) {
    refuse(at(path, 'filter_chains'), 'must not be empty');
  }
  const matches = message.filterChains.map((chain, index) => ({
    match: decodeFilterChainMatch(
      chain.filterChainMatch,
      at(at(path, 'filter_chains', index), 'filter_chain_match'),
    ),
  }));
  const twice = overlappingChain(matches);
  if (twice !== undefined) {
    refuse(at(path, 'filter_chains', twice), 'has the same matching rules as another filter chain');
  }
  const inspection = decodeInspection(message, path);
  const readiness = decodeReadiness(message, path);
  return {
    kind: 'inbound',
    name: message.name,
    address: address && decodeAddress(address, 'ip', at(path, 'address')),
    filterChains: message.filterChains.map((chain, index) =>
      decodeChain(chain, matches[index]?.match, at(path, 'filter_chains', index)),
    ),
    ...(last && { defaultChain: decodeDefaultChain(last, at(path, 'default_filter_chain')) }),
    ...(inspection && { inspection }),
    ...(readiness && { readiness }),
  };
}

/** The default chain takes whatever no other does; Envoy does not look at a match of it. */
function decodeDefaultChain(chain: listener.FilterChain, path: Path): InboundChainConfig {
  const match = decodeFilterChainMatch(chain.filterChainMatch, at(path, 'filter_chain_match'));
  if (match.transportProtocol !== '' || asksMore(match)) {
    refuse(
      at(path, 'filter_chain_match'),
      'is not supported here: the default takes what no other chain does',
    );
  }
  return decodeChain(chain, undefined, path);
}

function decodeChain(
  chain: listener.FilterChain,
  match: FilterChainMatch | undefined,
  path: Path,
): InboundChainConfig {
  chainFields(chain, path);
  return {
    name: chain.name,
    transportProtocol: match?.transportProtocol ?? '',
    ...(match !== undefined && asksMore(match) && { match: criteriaOf(match) }),
    tls: decodeDownstreamSocket(chain.transportSocket, at(path, 'transport_socket')),
    ...decodeNetworkFilters(chain.filters, path),
  };
}

function criteriaOf(match: FilterChainMatch): ChainCriteria {
  const { transportProtocol: _known, ...criteria } = match;
  return criteria;
}

type Terminal = Pick<FilterChain, 'http'> | Pick<TcpServerChain, 'tcp' | 'guards'>;

function decodeNetworkFilters(filters: readonly listener.Filter[], path: Path): Terminal {
  const guards: NetworkGuard[] = [];
  for (const [index, filter] of filters.entries()) {
    const filterPath = at(path, 'filters', index);
    networkFilterFields(filter, filterPath);
    const { configType } = filter;
    const where = at(filterPath, 'typed_config');
    if (configType.case !== 'typedConfig') return refuse(where, 'is required');
    const guard = decodeNetworkGuard(configType.value, where);
    if (guard !== undefined) {
      guards.push(guard);
      continue;
    }
    if (index < filters.length - 1) refuse(at(path, 'filters', index + 1), 'nothing may follow here');
    const proxy = decodeAny(tcpProxy.TcpProxySchema, configType.value, where);
    if (proxy !== undefined) {
      return { tcp: decodeTcpServer(proxy, where), ...(guards.length > 0 && { guards }) };
    }
    if (guards.length > 0) refuse(at(path, 'filters', 0), 'is supported before the TCP proxy only');
    return { http: decodeManager(configType.value, where, 'inbound') };
  }
  return refuse(at(path, 'filters'), 'needs the HTTP connection manager or the TCP proxy');
}

function decodeManager(any: wkt.Any, path: Path, side: 'outbound' | 'inbound'): FilterChain['http'] {
  const message = decodeAny(hcm.HttpConnectionManagerSchema, any, path);
  if (message === undefined) {
    return refuse(path, `must be an HTTP connection manager, not ${JSON.stringify(any.typeUrl)}`);
  }
  return decodeConnectionManager(message, path, side);
}

/** The listener as a message. */
export function encodeListener(model: Listener): listener.Listener {
  switch (model.kind) {
    case 'outbound':
      return encodeOutbound(model);
    case 'outbound-tcp':
      return encodeOutboundTcp(model);
    case 'inbound':
      return encodeInbound(model);
  }
}

function encodeOutbound({ name, http }: OutboundListener): listener.Listener {
  return create(listener.ListenerSchema, {
    name,
    apiListener: { apiListener: packAny(hcm.HttpConnectionManagerSchema, encodeConnectionManager(http)) },
  });
}

function encodeInbound(model: InboundListener): listener.Listener {
  const { name, address, filterChains, defaultChain, inspection, readiness } = model;
  const message = create(listener.ListenerSchema, {
    name,
    filterChains: filterChains.map(encodeChain),
    trafficDirection: core.TrafficDirection.INBOUND,
  });
  if (address !== undefined) message.address = encodeAddress(address);
  if (defaultChain !== undefined) message.defaultFilterChain = encodeChain(defaultChain);
  if (inspection !== undefined) encodeInspection(inspection, message);
  if (readiness !== undefined) encodeReadiness(readiness, message);
  return message;
}

function encodeChain(model: InboundChainConfig): listener.FilterChain {
  const { name, transportProtocol, match, tls } = model;
  const guards = model.tcp === undefined ? [] : (model.guards ?? []);
  const filters = [...guards.map(encodeNetworkGuard), encodeTerminal(model)];
  const chain = create(listener.FilterChainSchema, { name, filters });
  if (match !== undefined) chain.filterChainMatch = encodeFilterChainMatch({ ...match, transportProtocol });
  else if (transportProtocol !== '')
    chain.filterChainMatch = create(listener.FilterChainMatchSchema, { transportProtocol });
  if (tls !== undefined) chain.transportSocket = encodeDownstreamSocket(tls);
  return chain;
}

function encodeTerminal({ http, tcp }: InboundChainConfig): listener.Filter {
  const [name, value] =
    tcp === undefined
      ? [HCM_FILTER, packAny(hcm.HttpConnectionManagerSchema, encodeConnectionManager(http))]
      : [TCP_PROXY, packAny(tcpProxy.TcpProxySchema, encodeTcpServer(tcp))];
  return create(listener.FilterSchema, { name, configType: { case: 'typedConfig', value } });
}
