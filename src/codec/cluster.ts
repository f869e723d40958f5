import { create } from '@bufbuild/protobuf';
import type { Cluster } from '../model/cluster.js';
import type { TransportSocketMatch } from '../model/tls.js';
import { cluster } from '../proto/xds.js';
import { decodeCircuitBreakers, encodeCircuitBreakers } from './circuit-breakers.js';
import { decodeDiscovery, encodeDiscovery } from './cluster-discovery.js';
import { checkClusterProvided } from './cluster-kinds.js';
import { decodeCommonLb, encodeCommonLb } from './common-lb.js';
import { decodePositiveDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { decodeProxyNames } from './forward-proxy.js';
import { decodeHealthChecks, encodeHealthChecks } from './health-check.js';
import { decodeLabels } from './labels.js';
import { decodeLbPolicy, encodeLbPolicy } from './lb-policy.js';
import { decodeLoadReporting, encodeLoadReporting } from './load-reporting.js';
import { decodeMetadata, encodeMetadata } from './metadata.js';
import { decodeOutlierDetection, encodeOutlierDetection } from './outlier-detection.js';
import { at, type Path, refuse } from './path.js';
import { decodeProtocolOptions, encodeProtocolOptions } from './protocol-options.js';
import { decodeUpstreamSocket, encodeUpstreamSocket } from './transport-socket.js';
import {
  decodeBindConfig,
  decodeKeepalive,
  encodeBindConfig,
  encodeKeepalive,
} from './upstream-connection.js';
import { checkAuto } from './upstream-protocol.js';

/** Envoy's default. */
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

const clusterFields = onlyFields(() => cluster.ClusterSchema, {
  enforced: [
    'name',
    'type',
    'cluster_type',
    'eds_cluster_config',
    'load_assignment',
    'dns_refresh_rate',
    'dns_failure_refresh_rate',
    'respect_dns_ttl',
    'dns_jitter',
    'dns_lookup_family',
    'wait_for_warm_on_init',
    'connect_timeout',
    'lb_policy',
    'least_request_lb_config',
    'round_robin_lb_config',
    'ring_hash_lb_config',
    'maglev_lb_config',
    'lb_subset_config',
    'load_balancing_policy',
    'common_lb_config',
    'circuit_breakers',
    'outlier_detection',
    'transport_socket',
    'transport_socket_matches',
    'typed_extension_protocol_options',
    'common_http_protocol_options',
    'http_protocol_options',
    'http2_protocol_options',
    'upstream_http_protocol_options',
    'protocol_selection',
    'max_requests_per_connection',
    'upstream_connection_options',
    'upstream_bind_config',
    'metadata',
    'health_checks',
    'original_dst_lb_config',
    'cleanup_interval',
    'ignore_health_on_host_removal',
    'lrs_server',
    'lrs_report_endpoint_metrics',
  ],
  ignored: [
    // Names and extent of Envoy's statistics.
    'alt_stat_name',
    'track_cluster_stats',
    'track_timeout_budgets',
  ],
});

/** The cluster. */
export function decodeCluster(message: cluster.Cluster, path: Path): Cluster {
  clusterFields(message, path);
  const { outlierDetection } = message;
  const socket = decodeUpstreamSocket(message.transportSocket, at(path, 'transport_socket'));
  const { tls } = socket;
  const transportSocketMatches = message.transportSocketMatches.map((match, index) =>
    decodeSocketMatch(match, at(path, 'transport_socket_matches', index)),
  );
  const discovery = decodeDiscovery(message, path);
  const given = decodeProtocolOptions(message, path);
  const options = { ...given, ...decodeProxyNames(message, discovery, given, path) };
  const allTls = tls !== undefined && transportSocketMatches.every((match) => match.tls !== undefined);
  checkAuto(options.protocol, allTls, path);
  const sockets = [tls, ...transportSocketMatches.map((match) => match.tls)];
  if (options.autoSanValidation === true && sockets.some((one) => one?.mode === 'mesh')) {
    refuse(at(path, 'typed_extension_protocol_options'), 'auto_san_validation is not supported in the mesh');
  }
  const lbPolicy = decodeLbPolicy(message, path);
  checkClusterProvided(discovery.kind, lbPolicy.kind, path);
  return {
    name: message.name,
    discovery,
    lbPolicy,
    connectTimeoutMs: decodePositiveDuration(
      message.connectTimeout,
      DEFAULT_CONNECT_TIMEOUT_MS,
      at(path, 'connect_timeout'),
    ),
    circuitBreakers: decodeCircuitBreakers(message.circuitBreakers, at(path, 'circuit_breakers')),
    outlierDetection:
      outlierDetection && decodeOutlierDetection(outlierDetection, at(path, 'outlier_detection')),
    ...socket,
    transportSocketMatches,
    ...decodeCommonLb(message.commonLbConfig, at(path, 'common_lb_config')),
    metadata: decodeMetadata(message.metadata),
    healthCheck: decodeHealthChecks(message.healthChecks, options.protocol !== undefined, path),
    waitsForWarmUp: message.waitForWarmOnInit === false ? false : undefined,
    ignoreHealthOnHostRemoval: message.ignoreHealthOnHostRemoval || undefined,
    loadReporting: decodeLoadReporting(message, path),
    sourceAddress: decodeBindConfig(message.upstreamBindConfig, at(path, 'upstream_bind_config')),
    tcpKeepaliveMs: decodeKeepalive(
      message.upstreamConnectionOptions,
      at(path, 'upstream_connection_options'),
    ),
    ...options,
  };
}

function decodeSocketMatch(message: cluster.Cluster_TransportSocketMatch, path: Path): TransportSocketMatch {
  if (message.name === '') refuse(at(path, 'name'), 'must not be empty');
  return {
    name: message.name,
    match: decodeLabels(message.match ?? {}, path, 'match'),
    ...decodeUpstreamSocket(message.transportSocket, at(path, 'transport_socket')),
  };
}

/** The cluster as a message. */
export function encodeCluster(model: Cluster): cluster.Cluster {
  const message = create(cluster.ClusterSchema, {
    name: model.name,
    ...encodeDiscovery(model.discovery),
    ...encodeLbPolicy(model.lbPolicy),
    ...encodeLoadReporting(model.loadReporting),
    connectTimeout: encodeDuration(model.connectTimeoutMs),
    circuitBreakers: encodeCircuitBreakers(model.circuitBreakers),
    commonLbConfig: encodeCommonLb(model),
    healthChecks: encodeHealthChecks(model.healthCheck),
    ignoreHealthOnHostRemoval: model.ignoreHealthOnHostRemoval ?? false,
    waitForWarmOnInit: model.waitsForWarmUp ?? true,
    typedExtensionProtocolOptions: encodeProtocolOptions(model),
    transportSocketMatches: model.transportSocketMatches.map(encodeSocketMatch),
  });
  const metadata = encodeMetadata(model.metadata);
  if (metadata !== undefined) message.metadata = metadata;
  if (model.outlierDetection !== undefined)
    message.outlierDetection = encodeOutlierDetection(model.outlierDetection);
  encodeKeepalive(model, message);
  encodeBindConfig(model, message);
  if (model.tls !== undefined || model.proxyProtocol !== undefined)
    message.transportSocket = encodeUpstreamSocket(model);
  return message;
}

function encodeSocketMatch({
  name,
  match,
  ...socket
}: TransportSocketMatch): cluster.Cluster_TransportSocketMatch {
  return create(cluster.Cluster_TransportSocketMatchSchema, {
    name,
    match: { ...match },
    transportSocket: encodeUpstreamSocket(socket),
  });
}
