import { create, toBinary } from '@bufbuild/protobuf';
import { encodeAddress } from '../../../codec/address.js';
import { encodeConnectionManager } from '../../../codec/http-connection-manager.js';
import type { AccessLog } from '../../../model/access-log.js';
import type { SocketAddress } from '../../../model/address.js';
import type { HttpFilter } from '../../../model/filter-config.js';
import type { PathRules } from '../../../model/request-processing.js';
import { packAny } from '../../../proto/any.js';
import { core, httpConnectionManager as hcm, listener, tlsInspector, wkt } from '../../../proto/xds.js';
import type { WireResource } from '../../resources/resource-set.js';
import type { EnvoyTracing } from './tracing.js';

const HCM = 'envoy.filters.network.http_connection_manager';
const TLS_INSPECTOR = 'envoy.filters.listener.tls_inspector';

/** Istio's format of access logs. */
const ISTIO_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% ' +
  '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% ' +
  '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ' +
  '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% ' +
  '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

const ACCESS_LOGS: readonly AccessLog[] = [
  {
    sink: { kind: 'stdout' },
    format: { kind: 'text', text: ISTIO_FORMAT, omitEmptyValues: false },
    filter: undefined,
  },
];

/** What an Envoy does with requests. */
export interface HttpChain {
  /** Prefix of its statistics; Envoy demands one. */
  readonly statPrefix: string;
  /** Name of the route table. */
  readonly table: string;
  readonly filters: readonly HttpFilter[];
  /** Whether strangers call: nothing that they say of where requests come from is believed. */
  readonly isEdge: boolean;
  /** What is done to paths. */
  readonly paths: PathRules;
  /** Undefined = requests are not traced. */
  readonly traced: EnvoyTracing | undefined;
}

/** The connection manager as the network filter that ends a chain. */
export function httpFilter({
  statPrefix,
  table,
  filters,
  isEdge,
  paths,
  traced,
}: HttpChain): listener.Filter {
  const message = encodeConnectionManager({
    routes: { kind: 'rds', name: table },
    filters,
    upgrades: [{ type: 'websocket', enabled: true }],
    accessLogs: ACCESS_LOGS,
    paths,
  });
  message.statPrefix = statPrefix;
  if (traced !== undefined) message.tracing = traced.tracing;
  if (traced?.requestIds !== undefined) message.requestIdExtension = traced.requestIds;
  // Istio: no idle exchange is ended.
  message.streamIdleTimeout = create(wkt.DurationSchema);
  if (isEdge) {
    message.useRemoteAddress = true;
    message.forwardClientCertDetails = hcm.HttpConnectionManager_ForwardClientCertDetails.SANITIZE_SET;
    message.setCurrentClientCertDetails = create(
      hcm.HttpConnectionManager_SetCurrentClientCertDetailsSchema,
      {
        subject: true,
        cert: true,
        dns: true,
        uri: true,
      },
    );
  }
  const value = packAny(hcm.HttpConnectionManagerSchema, message);
  return create(listener.FilterSchema, { name: HCM, configType: { case: 'typedConfig', value } });
}

/** What a listener consists of. */
export interface ListenerParts {
  readonly name: string;
  readonly address: SocketAddress;
  readonly direction: 'inbound' | 'outbound';
  readonly chains: readonly listener.FilterChain[];
}

/** A listener on a socket of its own. */
export function socketListener({ name, address, direction, chains }: ListenerParts): WireResource {
  const { INBOUND, OUTBOUND } = core.TrafficDirection;
  const message = create(listener.ListenerSchema, {
    name,
    address: encodeAddress(address),
    filterChains: [...chains],
    trafficDirection: direction === 'inbound' ? INBOUND : OUTBOUND,
  });
  if (chains.some(looksAtTls)) message.listenerFilters = [tlsInspection()];
  return { name, bytes: toBinary(listener.ListenerSchema, message) };
}

/** Whether a chain is chosen by what only the first bytes tell. */
function looksAtTls({ filterChainMatch: match }: listener.FilterChain): boolean {
  return match !== undefined && (match.serverNames.length > 0 || match.transportProtocol !== '');
}

function tlsInspection(): listener.ListenerFilter {
  const value = packAny(tlsInspector.TlsInspectorSchema, create(tlsInspector.TlsInspectorSchema));
  return create(listener.ListenerFilterSchema, {
    name: TLS_INSPECTOR,
    configType: { case: 'typedConfig', value },
  });
}

/** A chain that takes every connection. */
export function openChain(filter: listener.Filter): listener.FilterChain {
  return create(listener.FilterChainSchema, { filters: [filter] });
}
