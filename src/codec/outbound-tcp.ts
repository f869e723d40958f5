import { create } from '@bufbuild/protobuf';
import type { OutboundTcpListener, TcpFilterChain } from '../model/listener.js';
import { packAny } from '../proto/any.js';
import { core, listener, tcpProxy } from '../proto/xds.js';
import { decodeAddress, encodeAddress } from './address.js';
import { decodeAny } from './codec.js';
import { onlyFields } from './field-guard.js';
import { decodeFilterChainMatch, encodeFilterChainMatch, overlappingChain } from './filter-chain-match.js';
import { decodeInspection, encodeInspection } from './listener-filters.js';
import { at, type Path, refuse } from './path.js';
import { decodeTcpProxy, encodeTcpProxy } from './tcp-proxy.js';

export const TCP_PROXY = 'envoy.filters.network.tcp_proxy';

const listenerFields = onlyFields(() => listener.ListenerSchema, {
  enforced: [
    'name',
    'address',
    'filter_chains',
    'default_filter_chain',
    'listener_filters',
    'listener_filters_timeout',
    'continue_on_listener_filters_timeout',
    'traffic_direction',
  ],
  ignored: [
    'stat_prefix',
    // Of connections that find no filter chain: there is nobody here but the caller, who gets an error.
    'access_log',
    'metadata',
    // How Envoy comes by connections; those of this process are asked for by name.
    'bind_to_port',
    'use_original_dst',
  ],
});

const chainFields = onlyFields(() => listener.FilterChainSchema, {
  enforced: ['name', 'filter_chain_match', 'filters'],
  ignored: ['metadata'],
});

const networkFilterFields = onlyFields(() => listener.FilterSchema, { enforced: ['name', 'typed_config'] });

/** Whether a listener is for TCP connections that this process opens. */
export function isOutboundTcp({ apiListener, trafficDirection }: listener.Listener): boolean {
  return apiListener === undefined && trafficDirection === core.TrafficDirection.OUTBOUND;
}

/** An outbound listener for connections of any protocol. */
export function decodeOutboundTcp(message: listener.Listener, path: Path): OutboundTcpListener {
  listenerFields(message, path);
  const { address, defaultFilterChain: last } = message;
  if (message.filterChains.length === 0 && last === undefined) {
    refuse(at(path, 'filter_chains'), 'must not be empty');
  }
  const filterChains = message.filterChains.map((chain, index) =>
    decodeChain(chain, at(path, 'filter_chains', index)),
  );
  const twice = overlappingChain(filterChains);
  if (twice !== undefined) {
    refuse(at(path, 'filter_chains', twice), 'has the same matching rules as another filter chain');
  }
  return {
    kind: 'outbound-tcp',
    name: message.name,
    address: address && decodeAddress(address, 'ip', at(path, 'address')),
    filterChains,
    defaultChain: last && decodeChain(last, at(path, 'default_filter_chain')),
    inspection: decodeInspection(message, path),
  };
}

function decodeChain(chain: listener.FilterChain, path: Path): TcpFilterChain {
  chainFields(chain, path);
  const matchPath = at(path, 'filter_chain_match');
  const match = decodeFilterChainMatch(chain.filterChainMatch, matchPath);
  if (match.sourcePorts.length > 0) {
    refuse(
      at(matchPath, 'source_ports'),
      'is not supported: connections of this process have no port before they are made',
    );
  }
  return { name: chain.name, match, tcp: decodeFilters(chain.filters, path) };
}

function decodeFilters(filters: readonly listener.Filter[], path: Path): TcpFilterChain['tcp'] {
  const [filter] = filters;
  if (filter === undefined) return refuse(at(path, 'filters'), 'needs the TCP proxy');
  if (filters.length > 1) refuse(at(path, 'filters', 1), 'only the TCP proxy is supported');
  const filterPath = at(path, 'filters', 0);
  networkFilterFields(filter, filterPath);
  const { configType } = filter;
  const where = at(filterPath, 'typed_config');
  if (configType.case !== 'typedConfig') return refuse(where, 'is required');
  const message = decodeAny(tcpProxy.TcpProxySchema, configType.value, where);
  if (message === undefined) {
    return refuse(where, `must be a TCP proxy, not ${JSON.stringify(configType.value.typeUrl)}`);
  }
  return decodeTcpProxy(message, where);
}

/** The listener as a message. */
export function encodeOutboundTcp(model: OutboundTcpListener): listener.Listener {
  const { name, address, filterChains, defaultChain, inspection } = model;
  const message = create(listener.ListenerSchema, {
    name,
    filterChains: filterChains.map(encodeChain),
    trafficDirection: core.TrafficDirection.OUTBOUND,
  });
  if (address !== undefined) message.address = encodeAddress(address);
  if (defaultChain !== undefined) message.defaultFilterChain = encodeChain(defaultChain);
  if (inspection !== undefined) encodeInspection(inspection, message);
  return message;
}

function encodeChain({ name, match, tcp }: TcpFilterChain): listener.FilterChain {
  const proxy = packAny(tcpProxy.TcpProxySchema, encodeTcpProxy(tcp));
  return create(listener.FilterChainSchema, {
    name,
    filterChainMatch: encodeFilterChainMatch(match),
    filters: [{ name: TCP_PROXY, configType: { case: 'typedConfig', value: proxy } }],
  });
}
