import { create } from '@bufbuild/protobuf';
import type { TlsInspection } from '../model/listener.js';
import { packAny } from '../proto/any.js';
import { httpInspector, listener, tlsInspector } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';

const TLS_INSPECTOR = 'envoy.filters.listener.tls_inspector';
const INSPECTION_TIMEOUT_MS = 15_000;

const listenerFilterFields = onlyFields(() => listener.ListenerFilterSchema, {
  enforced: ['name', 'typed_config'],
});

const inspectorFields = onlyFields(() => tlsInspector.TlsInspectorSchema, {
  enforced: [],
  // Fingerprints are for logs, which do not have them; and how Envoy reads.
  ignored: ['enable_ja3_fingerprinting', 'initial_read_buffer_size'],
});

const httpInspectorFields = onlyFields(() => httpInspector.HttpInspectorSchema, { enforced: [] });

/** What Envoy's HTTP inspector finds on connections without TLS. */
const PLAINTEXT_PROTOCOLS: ReadonlySet<string> = new Set(['http/1.0', 'http/1.1', 'h2c']);

/** How the first bytes of connections are looked at; undefined where no filter of the listener does. */
export function decodeInspection(message: listener.Listener, path: Path): TlsInspection | undefined {
  const { listenerFilters, listenerFiltersTimeout: timeout } = message;
  let inspectsHttp = false;
  for (const [index, filter] of listenerFilters.entries()) {
    const kind = decodeListenerFilter(filter, at(path, 'listener_filters', index));
    inspectsHttp ||= kind === 'http';
  }
  if (inspectsHttp) refusePlaintextProtocols(message.filterChains, path);
  if (listenerFilters.length === 0) return undefined;
  return {
    timeoutMs: decodeOptionalDuration(timeout, at(path, 'listener_filters_timeout')) ?? INSPECTION_TIMEOUT_MS,
    continuesOnTimeout: message.continueOnListenerFiltersTimeout,
  };
}

function decodeListenerFilter(filter: listener.ListenerFilter, path: Path): 'tls' | 'http' {
  listenerFilterFields(filter, path);
  const where = at(path, 'typed_config');
  const value = required(
    filter.configType.case === 'typedConfig' ? filter.configType.value : undefined,
    where,
  );
  const tls = decodeAny(tlsInspector.TlsInspectorSchema, value, where);
  if (tls !== undefined) {
    inspectorFields(tls, where);
    return 'tls';
  }
  const http = decodeAny(httpInspector.HttpInspectorSchema, value, where);
  if (http === undefined)
    return refuse(where, `the filter ${JSON.stringify(value.typeUrl)} is not supported`);
  httpInspectorFields(http, where);
  return 'http';
}

/**
 * Servers here know HTTP/1 and HTTP/2 apart without an inspector, so it does nothing unless chains are chosen by what it
 * finds. Without one such a chain takes no plaintext, in Envoy as well.
 */
function refusePlaintextProtocols(chains: readonly listener.FilterChain[], path: Path): void {
  for (const [index, { filterChainMatch: match }] of chains.entries()) {
    if (match === undefined || match.transportProtocol === 'tls') continue;
    const found = match.applicationProtocols.findIndex((name) => PLAINTEXT_PROTOCOLS.has(name));
    if (found < 0) continue;
    const where = at(at(path, 'filter_chains', index), 'filter_chain_match');
    refuse(
      at(where, 'application_protocols', found),
      `${JSON.stringify(match.applicationProtocols[found])} is not supported with an HTTP inspector, unless transport_protocol is "tls"`,
    );
  }
}

/** Writes the inspection into a listener's message. */
export function encodeInspection(
  { timeoutMs, continuesOnTimeout }: TlsInspection,
  message: listener.Listener,
): void {
  const inspector = packAny(tlsInspector.TlsInspectorSchema, create(tlsInspector.TlsInspectorSchema));
  message.listenerFilters = [
    create(listener.ListenerFilterSchema, {
      name: TLS_INSPECTOR,
      configType: { case: 'typedConfig', value: inspector },
    }),
  ];
  message.listenerFiltersTimeout = encodeDuration(timeoutMs);
  message.continueOnListenerFiltersTimeout = continuesOnTimeout;
}
