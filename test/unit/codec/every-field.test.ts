import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { ResourceType } from '../../../src/codec/codec.js';
import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import { schemaOf } from '../../../src/proto/any.js';
import { MeshError } from '../../../src/runtime/errors.js';
import { variants } from './field-walk.js';
import {
  ASSIGNMENT,
  CLUSTER_MODEL,
  DNS_CLUSTER,
  INBOUND,
  OUTBOUND,
  OUTBOUND_TCP,
  ROUTES,
  TRACED,
  TRACED_ROUTES,
} from './samples.js';

/** Each message in the trees of the samples, and each of its fields: what happens when it is set? */

type Outcome = 'refused' | 'decoded' | 'dropped';

function outcomes<T>(type: ResourceType<T>, models: readonly T[]): ReadonlyMap<string, ReadonlySet<Outcome>> {
  const schema = schemaOf(type.typeUrl);
  if (schema === undefined) throw new Error(`no schema for ${type.typeUrl}`);
  const found = new Map<string, Set<Outcome>>();
  for (const model of models) {
    const bytes = type.encode(model);
    const expected = textOf(type.decode(bytes).resource);
    for (const variant of variants(schema, fromBinary(schema, bytes))) {
      const set = found.get(variant.field) ?? new Set();
      found.set(variant.field, set.add(outcome(type, toBinary(schema, variant.message), expected)));
    }
  }
  return found;
}

function outcome(type: ResourceType<unknown>, bytes: Uint8Array, expected: string): Outcome {
  try {
    return textOf(type.decode(bytes).resource) === expected ? 'dropped' : 'decoded';
  } catch (error) {
    if (error instanceof MeshError && error.code === 'INMESH_XDS_DECODE') return 'refused';
    throw error;
  }
}

function textOf(resource: unknown): string {
  return JSON.stringify(resource, mapsAsEntries);
}

function mapsAsEntries(_key: string, value: unknown): unknown {
  return value instanceof Map ? [...value] : value;
}

function dropped(found: ReadonlyMap<string, ReadonlySet<Outcome>>): string[] {
  return [...found]
    .filter(([, set]) => set.has('dropped'))
    .map(([field]) => field)
    .sort();
}

function listed(...lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())].sort();
}

/** Statistics, logs, spans, remarks for other tools. */
const INVISIBLE = {
  LDS: [
    // Where it is empty.
    'envoy.config.listener.v3.FilterChain.filter_chain_match',
    'envoy.config.listener.v3.FilterChain.metadata',
    'envoy.config.listener.v3.Listener.access_log',
    'envoy.config.listener.v3.Listener.bind_to_port',
    'envoy.config.listener.v3.Listener.metadata',
    'envoy.config.listener.v3.Listener.stat_prefix',
    'envoy.config.listener.v3.Listener.traffic_direction',
    'envoy.config.listener.v3.Listener.use_original_dst',
    'envoy.extensions.filters.http.router.v3.Router.dynamic_stats',
    'envoy.extensions.filters.http.router.v3.Router.start_child_span',
    'envoy.extensions.filters.http.router.v3.Router.suppress_grpc_request_failure_code_stats',
    'envoy.extensions.filters.http.router.v3.Router.upstream_log',
    'envoy.extensions.filters.http.router.v3.Router.upstream_log_options',
    'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector.enable_ja3_fingerprinting',
    'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector.initial_read_buffer_size',
    'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.access_log_flush_interval',
    'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.access_log_options',
    'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.flush_access_log_on_connected',
    'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.access_log_flush_interval',
    'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.access_log_options',
    'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.flush_access_log_on_new_request',
  ],
  RDS: ['envoy.config.route.v3.RouteConfiguration.metadata', 'envoy.config.route.v3.VirtualHost.metadata'],
  CDS: [
    'envoy.config.cluster.v3.Cluster.alt_stat_name',
    'envoy.config.cluster.v3.Cluster.metadata',
    'envoy.config.cluster.v3.Cluster.track_cluster_stats',
    'envoy.config.cluster.v3.Cluster.track_timeout_budgets',
  ],
};

const FAULT = [
  // Statistics and logs.
  'disable_downstream_cluster_stats',
  'filter_metadata',
].map((field) => `envoy.extensions.filters.http.fault.v3.HTTPFault.${field}`);

/** Route tables also stand within listeners. */
const TABLE = [
  // Answered locally when a request comes; bounds bodies, and none of these is long.
  'envoy.config.route.v3.RouteConfiguration.validate_clusters',
  'envoy.config.route.v3.RouteConfiguration.max_direct_response_body_size_bytes',
];

const SOURCE = [
  // The xDS client has one such time for all. `self` means the same as `ads`.
  'envoy.config.core.v3.ConfigSource.initial_fetch_timeout',
  'envoy.config.core.v3.ConfigSource.self',
];

const manager = (field: string): string =>
  `envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.${field}`;

describe('a field that nobody decodes is refused, unless it is known to be harmless', () => {
  test('in listeners', () => {
    const found = outcomes(LISTENER, [OUTBOUND, OUTBOUND_TCP, INBOUND, ...TRACED]);
    const harmless = [
      // An API listener binds no address.
      'envoy.config.listener.v3.Listener.address',
      // The conditions of fetches of keys are fixed; no effect on a prefix that says so already.
      'envoy.config.core.v3.RetryPolicy.retry_on',
      'envoy.config.route.v3.RouteMatch.case_sensitive',
      // Superseded by the direction's own.
      ...[
        'content_length',
        'content_type',
        'disable_on_etag_header',
        'remove_accept_encoding_header',
        'runtime_enabled',
      ].map((field) => `envoy.extensions.filters.http.compressor.v3.Compressor.${field}`),
      // Of a filter that is known.
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter.is_optional',
      // Sessions are never resumed.
      'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext.disable_stateful_session_resumption',
      'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext.disable_stateless_session_resumption',
      'envoy.config.route.v3.RouteConfiguration.metadata',
      // Empty: no limit in it.
      manager('common_http_protocol_options'),
      // Empty, or what holds anyway; how a server names itself while it has no name.
      ...['internal_address_config', 'scheme_header_transformation', 'server_header_transformation'].map(
        manager,
      ),
      manager('path_with_escaped_slashes_action'),
      // Of a header that nobody may send on.
      manager('set_current_client_cert_details'),
      // The headers that it leaves out are never sent.
      'envoy.config.core.v3.GrpcService.EnvoyGrpc.skip_envoy_headers',
      // Load balancing reads the namespace `envoy.lb` only.
      'envoy.config.core.v3.Metadata.typed_filter_metadata',
      'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.metadata_match',
      'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight.metadata_match',
      // Metadata has no typed values here, so there is none to send.
      ...['typed_metadata_context_namespaces', 'route_typed_metadata_context_namespaces'].map(
        (field) => `envoy.extensions.filters.http.ext_authz.v3.ExtAuthz.${field}`,
      ),
      // The name of the only engine.
      'envoy.type.matcher.v3.RegexMatcher.google_re2',
      // Without a condition nothing is logged.
      'envoy.config.rbac.v3.RBAC.audit_logging_options',
      // Where there is a `collector_service`; and what Envoy itself reads no more.
      ...['collector_cluster', 'collector_endpoint', 'collector_hostname', 'split_spans_for_request'].map(
        (field) => `envoy.config.trace.v3.ZipkinConfig.${field}`,
      ),
    ];
    expect(dropped(found)).toEqual(listed(INVISIBLE.LDS, FAULT, TABLE, SOURCE, harmless));
    expect(found.size).toBeGreaterThan(200);
  });

  test('in route tables', () => {
    const found = outcomes(ROUTE_CONFIGURATION, [ROUTES, TRACED_ROUTES]);
    const harmless = [
      // No effect on a regular expression; the name of the only engine.
      'envoy.config.route.v3.RouteMatch.case_sensitive',
      // Empty metadata says nothing; its typed form is for extensions that nobody has.
      'envoy.config.route.v3.Route.metadata',
      'envoy.config.core.v3.Metadata.typed_filter_metadata',
      'envoy.type.matcher.v3.RegexMatcher.google_re2',
      // Superseded by the policy itself.
      'envoy.config.route.v3.RouteAction.retry_policy_typed_config',
      'envoy.config.route.v3.WeightedCluster.runtime_key_prefix',
      // Load balancing reads the namespace `envoy.lb` only.
      'envoy.config.route.v3.WeightedCluster.ClusterWeight.metadata_match',
    ];
    expect(dropped(found)).toEqual(listed(INVISIBLE.RDS, FAULT, TABLE, harmless));
    expect(found.size).toBeGreaterThan(140);
  });

  test('in clusters', () => {
    const found = outcomes(CLUSTER, [CLUSTER_MODEL, DNS_CLUSTER]);
    const harmless = [
      // Superseded by the list of policies.
      'envoy.config.cluster.v3.Cluster.CommonLbConfig.consistent_hashing_lb_config',
      // Without selectors it is off.
      'envoy.config.cluster.v3.Cluster.lb_subset_config',
      'envoy.config.cluster.v3.Cluster.maglev_lb_config',
      'envoy.config.cluster.v3.Cluster.ring_hash_lb_config',
      // Superseded by the extension options, by the list of policies, by EDS.
      'envoy.config.cluster.v3.Cluster.common_http_protocol_options',
      'envoy.config.cluster.v3.Cluster.max_requests_per_connection',
      'envoy.config.cluster.v3.Cluster.http_protocol_options',
      'envoy.config.cluster.v3.Cluster.http2_protocol_options',
      'envoy.config.cluster.v3.Cluster.upstream_http_protocol_options',
      'envoy.config.cluster.v3.Cluster.protocol_selection',
      // Without an address; without any parameter.
      'envoy.config.cluster.v3.Cluster.upstream_bind_config',
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.upstream_http_protocol_options',
      'envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.tls_params',
      'envoy.config.cluster.v3.Cluster.least_request_lb_config',
      'envoy.config.cluster.v3.Cluster.round_robin_lb_config',
      ...[
        'dns_refresh_rate',
        'dns_failure_refresh_rate',
        'respect_dns_ttl',
        'dns_lookup_family',
        'dns_jitter',
      ].map((field) => `envoy.config.cluster.v3.Cluster.${field}`),
      // In the second policy of a list whose first is known.
      'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin.locality_lb_config',
      'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin.slow_start_config',
      // Where Envoy writes its log of health events.
      'envoy.config.core.v3.HealthCheck.event_log_path',
      'envoy.config.core.v3.HealthCheck.event_logger',
      // Empty, it says nothing.
      'envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest.slow_start_config',
      'envoy.config.endpoint.v3.LbEndpoint.metadata',
      'envoy.config.endpoint.v3.LocalityLbEndpoints.metadata',
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.outlier_detection',
      // Sessions are never resumed.
      'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext.max_session_keys',
    ];
    expect(dropped(found)).toEqual([...INVISIBLE.CDS, ...SOURCE, ...harmless].sort());
    expect(found.size).toBeGreaterThan(150);
  });

  test('in endpoints', () => {
    const found = outcomes(CLUSTER_LOAD_ASSIGNMENT, [ASSIGNMENT]);
    expect(dropped(found)).toEqual([
      'envoy.config.core.v3.Metadata.typed_filter_metadata',
      'envoy.config.endpoint.v3.LocalityLbEndpoints.metadata',
    ]);
    expect(found.size).toBeGreaterThan(20);
  });
});
