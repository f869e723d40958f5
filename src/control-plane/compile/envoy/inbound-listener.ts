import { create, toBinary } from '@bufbuild/protobuf';
import { encodeAddress } from '../../../codec/address.js';
import { encodeDuration } from '../../../codec/duration.js';
import { encodeFilterChainMatch } from '../../../codec/filter-chain-match.js';
import { encodeNetworkGuard } from '../../../codec/network-guard.js';
import { encodeTcpServer } from '../../../codec/tcp-proxy.js';
import { encodeDownstreamSocket } from '../../../codec/transport-socket.js';
import type { AccessLog } from '../../../model/access-log.js';
import { MATCH_EVERYTHING } from '../../../model/filter-chain-match.js';
import type { NetworkGuard } from '../../../model/network-guard.js';
import type { PathRules } from '../../../model/request-processing.js';
import { DEFAULT_TCP_IDLE_MS } from '../../../model/tcp-proxy.js';
import type { DownstreamTls } from '../../../model/tls.js';
import { packAny } from '../../../proto/any.js';
import { core, listener, tcpProxy } from '../../../proto/xds.js';
import { inboundClusterName } from '../../mesh/names.js';
import type { WireResource } from '../../resources/resource-set.js';
import type { InboundHttpPolicy } from '../listeners.js';
import type { MtlsMode } from '../peer-authentication.js';
import { gatewaySocket } from './gateway-tls.js';
import { type ChainOption, chainOptions, ownTlsOptions } from './inbound-chains.js';
import { BLACK_HOLE, INBOUND_PASSTHROUGH } from './inbound-clusters.js';
import { listenerFilters } from './inbound-inspectors.js';
import type { InboundPlace, InboundPort } from './inbound-ports.js';
import { type InboundTarget, inboundRoutes } from './inbound-routes.js';
import { ACCESS_LOGS, httpFilter } from './listener.js';
import type { EnvoyTracing } from './tracing.js';

/** Istio's name of the listener that captured connections come to. */
export const VIRTUAL_INBOUND = 'virtualInbound';
const CATCH_ALL_HTTP = 'virtualInbound-catchall-http';
const TO_ITSELF = 'virtualInbound-blackhole';
const TCP_PROXY = 'envoy.filters.network.tcp_proxy';
const HTTP_ALPN: readonly string[] = ['h2', 'http/1.1'];

/** What the listeners of an application's ports are compiled with. */
export interface InboundListenerTools {
  readonly place: InboundPlace;
  /** Where captured connections come to. */
  readonly listenPort: number;
  /** How long first bytes are waited for; 0 = without end. */
  readonly detectionTimeoutMs: number;
  readonly modeOf: (port: number) => MtlsMode;
  /** Ports with an mTLS mode of their own, whoever declared them. */
  readonly ownModes: readonly number[];
  /** TLS of the mesh. */
  readonly mesh: DownstreamTls;
  /** What is done to the requests of a port. */
  readonly httpOf: (port: number) => InboundHttpPolicy;
  /** What is done to paths before that. */
  readonly paths: PathRules;
  /** What connections without requests pass. */
  readonly guards: readonly NetworkGuard[];
  readonly traced: EnvoyTracing | undefined;
}

/** The listeners of the ports of an application (Istio: buildInboundListeners). */
export function inboundWires(
  ports: readonly InboundPort[],
  tools: InboundListenerTools,
): readonly WireResource[] {
  const { place, listenPort } = tools;
  // What is dialled as the listener itself goes nowhere.
  const usable = ports.filter(({ port }) => port !== listenPort);
  const bound = usable.flatMap((port) => {
    const { bind } = port;
    if (bind === undefined) return [];
    const address = { address: bind, port: port.port };
    return [inboundWire(`${bind}_${port.port}`, address, portChains(port, tools), false, tools)];
  });
  if (place.interception === 'NONE') return bound;
  const captured = usable.filter(({ bind }) => bind === undefined);
  const known = new Set(usable.map(({ port }) => port));
  const undeclared = tools.ownModes.filter((port) => port !== listenPort && !known.has(port));
  const chains = [
    blackHole(listenPort),
    ...[0, ...undeclared].flatMap((port) => passthroughChains(port, tools)),
    ...captured.flatMap((port) => portChains(port, tools)),
  ];
  const address = { address: place.wildcard, port: listenPort };
  return [inboundWire(VIRTUAL_INBOUND, address, chains, true, tools), ...bound];
}

function inboundWire(
  name: string,
  address: { readonly address: string; readonly port: number },
  filterChains: listener.FilterChain[],
  isCaptured: boolean,
  { place, detectionTimeoutMs }: InboundListenerTools,
): WireResource {
  const keepsSource = place.interception === 'TPROXY';
  const message = create(listener.ListenerSchema, {
    name,
    address: encodeAddress(address),
    filterChains,
    listenerFilters: listenerFilters(filterChains, { isCaptured, keepsSource }),
    listenerFiltersTimeout: encodeDuration(detectionTimeoutMs),
    // Istio: who says nothing may wait for the server to speak first.
    continueOnListenerFiltersTimeout: true,
    trafficDirection: core.TrafficDirection.INBOUND,
    maxConnectionsToAcceptPerSocketEvent: 1,
    ...(isCaptured && keepsSource && { transparent: true }),
  });
  return { name, bytes: toBinary(listener.ListenerSchema, message) };
}

/** What a chain leads to, and what it is called. */
interface ChainPlace extends InboundTarget {
  /** Where connections come to; undefined = to any port that no chain names. */
  readonly destinationPort: number | undefined;
  readonly names: Readonly<Record<ChainOption['inner'], string>>;
  readonly statPrefix: string;
  readonly isHttp2: boolean;
}

/** The chains of a declared port. Its own TLS is ended only where the mesh's is not (Istio). */
function portChains(port: InboundPort, tools: InboundListenerTools): listener.FilterChain[] {
  const { protocol, servicePort, bind = tools.place.wildcard, isHttp2 } = port;
  const name = `${bind}_${port.port}`;
  const place: ChainPlace = {
    destinationPort: port.port,
    names: { http: name, tcp: name },
    cluster: inboundClusterName(port.port),
    port: servicePort.number,
    host: port.host,
    statPrefix: `inbound_${name}`,
    isHttp2,
  };
  const mode = tools.modeOf(port.port);
  if (port.tls === undefined || mode !== 'DISABLE') {
    const socket = encodeDownstreamSocket(tools.mesh);
    return chainOptions(mode, protocol).map((option) => chainOf(option, place, socket, tools));
  }
  const socket = gatewaySocket(port.tls, [...HTTP_ALPN], () => false);
  // Without a certificate there is nothing to end it with.
  return socket === undefined
    ? []
    : ownTlsOptions(protocol).map((option) => chainOf(option, place, socket, tools));
}

/** The chains of a port that nobody declared; 0 = of all such. */
function passthroughChains(port: number, tools: InboundListenerTools): listener.FilterChain[] {
  const place: ChainPlace = {
    destinationPort: port === 0 ? undefined : port,
    names: { http: CATCH_ALL_HTTP, tcp: VIRTUAL_INBOUND },
    cluster: INBOUND_PASSTHROUGH,
    port: 0,
    host: '',
    statPrefix: INBOUND_PASSTHROUGH,
    isHttp2: false,
  };
  const socket = encodeDownstreamSocket(tools.mesh);
  return chainOptions(tools.modeOf(port), 'auto').map((option) => chainOf(option, place, socket, tools));
}

function chainOf(
  { transportProtocol, applicationProtocols, inner, endsTls }: ChainOption,
  place: ChainPlace,
  socket: core.TransportSocket,
  tools: InboundListenerTools,
): listener.FilterChain {
  const match = {
    ...MATCH_EVERYTHING,
    transportProtocol,
    applicationProtocols,
    ...(place.destinationPort !== undefined && { destinationPort: place.destinationPort }),
  };
  const chain = create(listener.FilterChainSchema, {
    name: place.names[inner],
    filterChainMatch: encodeFilterChainMatch(match),
    filters: inner === 'http' ? [httpOf(place, tools)] : tcpFilters(place, tools),
  });
  if (endsTls) chain.transportSocket = socket;
  return chain;
}

function httpOf(
  place: ChainPlace,
  { httpOf: policyOf, paths, traced }: InboundListenerTools,
): listener.Filter {
  const { filters, accessLogs } = policyOf(place.destinationPort ?? 0);
  return httpFilter({
    statPrefix: place.statPrefix,
    routes: { kind: 'inline', config: inboundRoutes(place) },
    filters,
    callers: 'clients',
    paths,
    accessLogs,
    traced,
    isHttp2: place.isHttp2,
  });
}

function tcpFilters(
  { cluster, destinationPort = 0 }: ChainPlace,
  { guards, httpOf: policyOf }: InboundListenerTools,
): listener.Filter[] {
  const { accessLogs = ACCESS_LOGS } = policyOf(destinationPort);
  return [...guards.map(encodeNetworkGuard), tcpFilter(cluster, accessLogs)];
}

function tcpFilter(cluster: string, accessLogs?: readonly AccessLog[]): listener.Filter {
  const message = encodeTcpServer({ cluster, idleTimeoutMs: DEFAULT_TCP_IDLE_MS, accessLogs });
  message.statPrefix = cluster;
  const value = packAny(tcpProxy.TcpProxySchema, message);
  return create(listener.FilterSchema, { name: TCP_PROXY, configType: { case: 'typedConfig', value } });
}

/** Istio: a connection to the listener itself would be sent to it again and again. */
function blackHole(listenPort: number): listener.FilterChain {
  return create(listener.FilterChainSchema, {
    name: TO_ITSELF,
    filterChainMatch: encodeFilterChainMatch({ ...MATCH_EVERYTHING, destinationPort: listenPort }),
    filters: [tcpFilter(BLACK_HOLE)],
  });
}
