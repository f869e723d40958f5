import { create, toBinary } from '@bufbuild/protobuf';
import { encodeAddress } from '../../../codec/address.js';
import { encodeConnectionManager } from '../../../codec/http-connection-manager.js';
import type { AccessLog } from '../../../model/access-log.js';
import type { SocketAddress } from '../../../model/address.js';
import type { HttpFilter } from '../../../model/filter-config.js';
import type { HttpConnectionManager } from '../../../model/listener.js';
import type { PathRules } from '../../../model/request-processing.js';
import { packAny } from '../../../proto/any.js';
import { core, httpConnectionManager as hcm, listener, tlsInspector, wkt } from '../../../proto/xds.js';
import type { WireResource } from '../../resources/resource-set.js';
import type { EnvoyTracing } from './tracing.js';

const HCM = 'envoy.filters.network.http_connection_manager';
/** What Istio's proxies call themselves to the clients of an application. */
const SERVER_NAME = 'istio-envoy';
const TLS_INSPECTOR = 'envoy.filters.listener.tls_inspector';

/** Istio's format of access logs. */
const ISTIO_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% ' +
  '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% ' +
  '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ' +
  '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% ' +
  '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

/** Where an Envoy logs unless something else is said. */
export const ACCESS_LOGS: readonly AccessLog[] = [
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
  readonly routes: HttpConnectionManager['routes'];
  readonly filters: readonly HttpFilter[];
  readonly callers: Callers;
  /** What is done to paths. */
  readonly paths: PathRules;
  /** Undefined = requests are not traced. */
  readonly traced: EnvoyTracing | undefined;
  /** Default `ACCESS_LOGS`. */
  readonly accessLogs?: readonly AccessLog[] | undefined;
  /** Whether HTTP/2 is what they speak (Istio says so for gRPC). Default false. */
  readonly isHttp2?: boolean;
}

/**
 * Who sends requests: the applications of this machine; strangers, of whom nothing is believed that they say of where
 * requests come from; or clients of the application, who are named to it by their certificates.
 */
export type Callers = 'own' | 'strangers' | 'clients';

/** The connection manager as the network filter that ends a chain. */
export function httpFilter({
  statPrefix,
  routes,
  filters,
  callers,
  paths,
  traced,
  accessLogs = ACCESS_LOGS,
  isHttp2 = false,
}: HttpChain): listener.Filter {
  const message = encodeConnectionManager({
    routes,
    filters,
    upgrades: [{ type: 'websocket', enabled: true }],
    accessLogs,
    paths,
  });
  message.statPrefix = statPrefix;
  if (traced !== undefined) message.tracing = traced.tracing;
  if (traced?.requestIds !== undefined) message.requestIdExtension = traced.requestIds;
  // Istio: no idle exchange is ended.
  message.streamIdleTimeout = create(wkt.DurationSchema);
  if (isHttp2) message.http2ProtocolOptions = create(core.Http2ProtocolOptionsSchema);
  if (callers !== 'own') nameCallers(message, callers);
  const value = packAny(hcm.HttpConnectionManagerSchema, message);
  return create(listener.FilterSchema, { name: HCM, configType: { case: 'typedConfig', value } });
}

/** Istio: at the edge `x-forwarded-client-cert` is made anew; to the application its client is added. */
function nameCallers(message: hcm.HttpConnectionManager, callers: 'strangers' | 'clients'): void {
  const { SANITIZE_SET, APPEND_FORWARD } = hcm.HttpConnectionManager_ForwardClientCertDetails;
  const isEdge = callers === 'strangers';
  message.useRemoteAddress = isEdge;
  message.forwardClientCertDetails = isEdge ? SANITIZE_SET : APPEND_FORWARD;
  message.setCurrentClientCertDetails = create(hcm.HttpConnectionManager_SetCurrentClientCertDetailsSchema, {
    subject: true,
    cert: isEdge,
    dns: true,
    uri: true,
  });
  if (!isEdge) message.serverName = SERVER_NAME;
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
