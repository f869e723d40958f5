import { create } from '@bufbuild/protobuf';
import type { TlsInspection } from '../model/listener.js';
import { packAny } from '../proto/any.js';
import { listener, tlsInspector } from '../proto/xds.js';
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

/** How the first bytes of connections are looked at; undefined where no filter of the listener does. */
export function decodeInspection(message: listener.Listener, path: Path): TlsInspection | undefined {
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
