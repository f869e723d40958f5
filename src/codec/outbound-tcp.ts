import { create } from '@bufbuild/protobuf';
import type { OutboundTcpListener, TcpFilterChain, TlsInspection } from '../model/listener.js';
import { packAny } from '../proto/any.js';
import { core, listener, tcpProxy, tlsInspector } from '../proto/xds.js';
import { decodeAddress, encodeAddress } from './address.js';
import { decodeAny } from './codec.js';
import { decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { decodeFilterChainMatch, encodeFilterChainMatch, overlappingChain } from './filter-chain-match.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeTcpProxy, encodeTcpProxy } from './tcp-proxy.js';

export const TCP_PROXY = 'envoy.filters.network.tcp_proxy';
const TLS_INSPECTOR = 'envoy.filters.listener.tls_inspector';
const INSPECTION_TIMEOUT_MS = 15_000;

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

const listenerFilterFields = onlyFields(() => listener.ListenerFilterSchema, {
  enforced: ['name', 'typed_config'],
});

const inspectorFields = onlyFields(() => tlsInspector.TlsInspectorSchema, {
  enforced: [],
  // Fingerprints are for logs, which do not have them; and how Envoy reads.
  ignored: ['enable_ja3_fingerprinting', 'initial_read_buffer_size'],
});

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

function decodeInspection(message: listener.Listener, path: Path): TlsInspection | undefined {
  const { listenerFilters, listenerFiltersTimeout: timeout } = message;
  for (const [index, filter] of listenerFilters.entries()) {
    decodeListenerFilter(filter, at(path, 'listener_filters', index));
  }
  if (listenerFilters.length === 0) return undefined;
  return {
    timeoutMs: decodeOptionalDuration(timeout, at(path, 'listener_filters_timeout')) ?? INSPECTION_TIMEOUT_MS,
    continuesOnTimeout: message.continueOnListenerFiltersTimeout,
  };
}

function decodeListenerFilter(filter: listener.ListenerFilter, path: Path): void {
  listenerFilterFields(filter, path);
  const where = at(path, 'typed_config');
  const value = required(
    filter.configType.case === 'typedConfig' ? filter.configType.value : undefined,
    where,
  );
  const inspector = decodeAny(tlsInspector.TlsInspectorSchema, value, where);
  if (inspector === undefined) refuse(where, `the filter ${JSON.stringify(value.typeUrl)} is not supported`);
  else inspectorFields(inspector, where);
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
  if (inspection !== undefined) {
    const inspector = packAny(tlsInspector.TlsInspectorSchema, create(tlsInspector.TlsInspectorSchema));
    message.listenerFilters = [
      create(listener.ListenerFilterSchema, {
        name: TLS_INSPECTOR,
        configType: { case: 'typedConfig', value: inspector },
      }),
    ];
    message.listenerFiltersTimeout = encodeDuration(inspection.timeoutMs);
    message.continueOnListenerFiltersTimeout = inspection.continuesOnTimeout;
  }
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
