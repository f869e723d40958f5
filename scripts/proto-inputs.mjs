/** What `build-proto.mjs` generates, under which names, and what it has to mend first. Data only. */

/** Files to generate (a trailing slash: every .proto of that folder). Their imports follow by themselves. */
export const roots = [
  // Transport: ADS, LRS, CSDS, SDS, ORCA
  'envoy/service/discovery/v3/',
  'envoy/service/load_stats/v3/lrs.proto',
  'envoy/service/status/v3/csds.proto',
  'envoy/service/runtime/v3/rtds.proto',
  'envoy/service/secret/v3/sds.proto',
  'envoy/admin/v3/config_dump_shared.proto',
  'xds/data/orca/v3/',
  'xds/service/orca/v3/',
  // Resources
  'envoy/config/core/v3/',
  'envoy/config/listener/v3/',
  'envoy/config/route/v3/',
  'envoy/config/cluster/v3/',
  'envoy/config/endpoint/v3/',
  'envoy/config/rbac/v3/',
  'envoy/config/trace/v3/datadog.proto',
  'envoy/config/trace/v3/opentelemetry.proto',
  'envoy/config/trace/v3/skywalking.proto',
  'envoy/config/trace/v3/zipkin.proto',
  'envoy/config/accesslog/v3/',
  'envoy/config/ratelimit/v3/',
  'envoy/config/common/matcher/v3/',
  'envoy/config/common/mutation_rules/v3/',
  // Listeners and HTTP filters
  'envoy/extensions/filters/network/ext_authz/v3/',
  'envoy/extensions/filters/network/http_connection_manager/v3/',
  'envoy/extensions/filters/network/rbac/v3/',
  'envoy/extensions/filters/network/tcp_proxy/v3/',
  'envoy/extensions/filters/listener/http_inspector/v3/',
  'envoy/extensions/filters/listener/original_dst/v3/',
  'envoy/extensions/filters/listener/original_src/v3/',
  'envoy/extensions/filters/listener/tls_inspector/v3/',
  'envoy/extensions/filters/common/fault/v3/',
  'envoy/extensions/filters/http/adaptive_concurrency/v3/',
  'envoy/extensions/filters/http/admission_control/v3/',
  'envoy/extensions/filters/http/bandwidth_limit/v3/',
  'envoy/extensions/filters/http/buffer/v3/',
  'envoy/extensions/filters/http/compressor/v3/',
  'envoy/extensions/filters/http/composite/v3/',
  'envoy/extensions/filters/http/cors/v3/',
  'envoy/extensions/filters/http/decompressor/v3/',
  'envoy/extensions/filters/http/dynamic_forward_proxy/v3/',
  'envoy/extensions/filters/http/ext_authz/v3/',
  'envoy/extensions/filters/http/fault/v3/',
  'envoy/extensions/filters/http/header_mutation/v3/',
  'envoy/extensions/filters/http/health_check/v3/',
  'envoy/extensions/filters/http/jwt_authn/v3/',
  'envoy/extensions/filters/http/local_ratelimit/v3/',
  'envoy/extensions/filters/http/lua/v3/',
  'envoy/extensions/filters/http/on_demand/v3/',
  'envoy/extensions/filters/http/ratelimit/v3/',
  'envoy/extensions/filters/http/rbac/v3/',
  'envoy/extensions/filters/http/router/v3/',
  'envoy/extensions/filters/http/stateful_session/v3/',
  'envoy/extensions/http/header_validators/envoy_default/v3/',
  'envoy/extensions/http/stateful_session/cookie/v3/',
  'envoy/extensions/http/stateful_session/header/v3/',
  'envoy/extensions/path/match/uri_template/v3/',
  'envoy/extensions/path/rewrite/uri_template/v3/',
  'envoy/extensions/internal_redirect/allow_listed_routes/v3/',
  'envoy/extensions/request_id/uuid/v3/',
  'envoy/extensions/tracers/opentelemetry/resource_detectors/v3/dynatrace_resource_detector.proto',
  'envoy/extensions/tracers/opentelemetry/resource_detectors/v3/environment_resource_detector.proto',
  'envoy/extensions/tracers/opentelemetry/samplers/v3/dynatrace_sampler.proto',
  'envoy/extensions/internal_redirect/previous_routes/v3/',
  'envoy/extensions/internal_redirect/safe_cross_scheme/v3/',
  'envoy/extensions/matching/common_inputs/network/v3/',
  'envoy/extensions/matching/common_inputs/environment_variable/v3/',
  'envoy/extensions/matching/input_matchers/ip/v3/',
  'envoy/extensions/formatter/metadata/v3/',
  'envoy/extensions/formatter/req_without_query/v3/',
  'envoy/extensions/compression/gzip/compressor/v3/',
  'envoy/extensions/compression/gzip/decompressor/v3/',
  'envoy/extensions/compression/brotli/compressor/v3/',
  'envoy/extensions/compression/brotli/decompressor/v3/',
  'envoy/extensions/access_loggers/file/v3/',
  'envoy/extensions/access_loggers/stream/v3/',
  'envoy/extensions/rbac/audit_loggers/stream/v3/',
  // Clusters
  'envoy/extensions/clusters/aggregate/v3/',
  'envoy/extensions/clusters/dynamic_forward_proxy/v3/',
  'envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/',
  'envoy/extensions/load_balancing_policies/cluster_provided/v3/',
  'envoy/extensions/load_balancing_policies/common/v3/',
  'envoy/extensions/load_balancing_policies/least_request/v3/',
  'envoy/extensions/load_balancing_policies/maglev/v3/',
  'envoy/extensions/load_balancing_policies/pick_first/v3/',
  'envoy/extensions/load_balancing_policies/random/v3/',
  'envoy/extensions/load_balancing_policies/ring_hash/v3/',
  'envoy/extensions/load_balancing_policies/round_robin/v3/',
  'envoy/extensions/load_balancing_policies/subset/v3/',
  'envoy/extensions/load_balancing_policies/wrr_locality/v3/',
  'envoy/extensions/retry/host/omit_canary_hosts/v3/',
  'envoy/extensions/retry/host/omit_host_metadata/v3/',
  'envoy/extensions/retry/host/previous_hosts/v3/',
  'envoy/extensions/retry/priority/previous_priorities/v3/',
  'envoy/extensions/transport_sockets/http_11_proxy/v3/',
  'envoy/extensions/transport_sockets/proxy_protocol/v3/',
  'envoy/extensions/transport_sockets/raw_buffer/v3/',
  'envoy/extensions/transport_sockets/tls/v3/',
  'envoy/extensions/upstreams/http/v3/',
  // Services a filter talks to
  'envoy/service/auth/v3/',
  'envoy/service/ratelimit/v3/',
  // Shared vocabulary
  'envoy/type/v3/',
  'envoy/type/http/v3/',
  'envoy/type/matcher/v3/',
  'envoy/type/metadata/v3/',
  'envoy/type/tracing/v3/',
  'xds/core/v3/',
  'xds/type/v3/',
  'xds/type/matcher/v3/',
  'udpa/type/v1/',
  'google/rpc/status.proto',
  'google/rpc/code.proto',
  'google/rpc/error_details.proto',
  // Ours, below proto/
  'envoy/extensions/clusters/dns/v3/',
  'envoy/extensions/load_balancing_policies/override_host/v3/override_host.proto',
  'istio/security/v1alpha1/ca.proto',
  'grpc/health/v1/health.proto',
  'spiffe/workload/workload.proto',
];

/**
 * Proto package to the namespace that `src/proto/xds.ts` exports.
 * Config packages carry their own tail (`listener`); extensions and services a prefix or suffix that says which kind
 * they are (`httpFault`, `lbRingHash`, `rateLimitService`).
 */
export const namespaces = {
  'envoy.admin.v3': 'admin',
  'envoy.config.accesslog.v3': 'accessLog',
  'envoy.config.cluster.v3': 'cluster',
  'envoy.config.common.key_value.v3': 'keyValue',
  'envoy.config.common.matcher.v3': 'commonMatcher',
  'envoy.config.common.mutation_rules.v3': 'mutationRules',
  'envoy.config.core.v3': 'core',
  'envoy.config.endpoint.v3': 'endpoint',
  'envoy.config.listener.v3': 'listener',
  'envoy.config.ratelimit.v3': 'rateLimit',
  'envoy.config.rbac.v3': 'rbac',
  'envoy.config.route.v3': 'route',
  'envoy.config.trace.v3': 'trace',
  'envoy.data.accesslog.v3': 'accessLogData',
  'envoy.extensions.access_loggers.file.v3': 'accessLogFile',
  'envoy.extensions.access_loggers.stream.v3': 'accessLogStream',
  'envoy.extensions.clusters.aggregate.v3': 'clusterAggregate',
  'envoy.extensions.clusters.common.dns.v3': 'clusterCommonDns',
  'envoy.extensions.clusters.dns.v3': 'clusterDns',
  'envoy.extensions.clusters.dynamic_forward_proxy.v3': 'clusterDynamicForwardProxy',
  'envoy.extensions.common.dynamic_forward_proxy.v3': 'commonDynamicForwardProxy',
  'envoy.extensions.common.ratelimit.v3': 'commonRateLimit',
  'envoy.extensions.compression.brotli.compressor.v3': 'brotliCompressor',
  'envoy.extensions.compression.brotli.decompressor.v3': 'brotliDecompressor',
  'envoy.extensions.compression.gzip.compressor.v3': 'gzipCompressor',
  'envoy.extensions.compression.gzip.decompressor.v3': 'gzipDecompressor',
  'envoy.extensions.filters.common.fault.v3': 'commonFault',
  'envoy.extensions.filters.http.adaptive_concurrency.v3': 'httpAdaptiveConcurrency',
  'envoy.extensions.filters.http.admission_control.v3': 'httpAdmissionControl',
  'envoy.extensions.filters.http.bandwidth_limit.v3': 'httpBandwidthLimit',
  'envoy.extensions.filters.http.buffer.v3': 'httpBuffer',
  'envoy.extensions.filters.http.composite.v3': 'httpComposite',
  'envoy.extensions.filters.http.compressor.v3': 'httpCompressor',
  'envoy.extensions.filters.http.cors.v3': 'httpCors',
  'envoy.extensions.filters.http.decompressor.v3': 'httpDecompressor',
  'envoy.extensions.filters.http.dynamic_forward_proxy.v3': 'httpDynamicForwardProxy',
  'envoy.extensions.filters.http.ext_authz.v3': 'httpExtAuthz',
  'envoy.extensions.filters.http.fault.v3': 'httpFault',
  'envoy.extensions.filters.http.header_mutation.v3': 'httpHeaderMutation',
  'envoy.extensions.filters.http.health_check.v3': 'httpHealthCheck',
  'envoy.extensions.filters.http.jwt_authn.v3': 'httpJwtAuthn',
  'envoy.extensions.filters.http.local_ratelimit.v3': 'httpLocalRateLimit',
  'envoy.extensions.filters.http.lua.v3': 'httpLua',
  'envoy.extensions.filters.http.on_demand.v3': 'httpOnDemand',
  'envoy.extensions.filters.http.ratelimit.v3': 'httpRateLimit',
  'envoy.extensions.filters.http.rbac.v3': 'httpRbac',
  'envoy.extensions.filters.http.router.v3': 'httpRouter',
  'envoy.extensions.filters.http.stateful_session.v3': 'httpStatefulSession',
  'envoy.extensions.filters.listener.http_inspector.v3': 'httpInspector',
  'envoy.extensions.filters.listener.original_dst.v3': 'originalDst',
  'envoy.extensions.filters.listener.original_src.v3': 'originalSrc',
  'envoy.extensions.filters.listener.tls_inspector.v3': 'tlsInspector',
  'envoy.extensions.filters.network.ext_authz.v3': 'networkExtAuthz',
  'envoy.extensions.filters.network.http_connection_manager.v3': 'httpConnectionManager',
  'envoy.extensions.filters.network.rbac.v3': 'networkRbac',
  'envoy.extensions.filters.network.tcp_proxy.v3': 'tcpProxy',
  'envoy.extensions.formatter.metadata.v3': 'formatterMetadata',
  'envoy.extensions.formatter.req_without_query.v3': 'formatterReqWithoutQuery',
  'envoy.extensions.http.header_validators.envoy_default.v3': 'headerValidator',
  'envoy.extensions.http.stateful_session.cookie.v3': 'statefulSessionCookie',
  'envoy.extensions.http.stateful_session.header.v3': 'statefulSessionHeader',
  'envoy.extensions.internal_redirect.allow_listed_routes.v3': 'redirectAllowListedRoutes',
  'envoy.extensions.internal_redirect.previous_routes.v3': 'redirectPreviousRoutes',
  'envoy.extensions.internal_redirect.safe_cross_scheme.v3': 'redirectSafeCrossScheme',
  'envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3':
    'lbClientSideWeightedRoundRobin',
  'envoy.extensions.load_balancing_policies.cluster_provided.v3': 'lbClusterProvided',
  'envoy.extensions.load_balancing_policies.common.v3': 'lbCommon',
  'envoy.extensions.load_balancing_policies.least_request.v3': 'lbLeastRequest',
  'envoy.extensions.load_balancing_policies.maglev.v3': 'lbMaglev',
  'envoy.extensions.load_balancing_policies.override_host.v3': 'lbOverrideHost',
  'envoy.extensions.load_balancing_policies.pick_first.v3': 'lbPickFirst',
  'envoy.extensions.load_balancing_policies.random.v3': 'lbRandom',
  'envoy.extensions.load_balancing_policies.ring_hash.v3': 'lbRingHash',
  'envoy.extensions.load_balancing_policies.round_robin.v3': 'lbRoundRobin',
  'envoy.extensions.load_balancing_policies.subset.v3': 'lbSubset',
  'envoy.extensions.load_balancing_policies.wrr_locality.v3': 'lbWrrLocality',
  'envoy.extensions.matching.common_inputs.environment_variable.v3': 'environmentInput',
  'envoy.extensions.matching.common_inputs.network.v3': 'networkInputs',
  'envoy.extensions.matching.input_matchers.ip.v3': 'ipMatcher',
  'envoy.extensions.path.match.uri_template.v3': 'uriTemplateMatch',
  'envoy.extensions.path.rewrite.uri_template.v3': 'uriTemplateRewrite',
  'envoy.extensions.rbac.audit_loggers.stream.v3': 'rbacAuditStream',
  'envoy.extensions.retry.host.omit_canary_hosts.v3': 'retryOmitCanaryHosts',
  'envoy.extensions.retry.host.omit_host_metadata.v3': 'retryOmitHostMetadata',
  'envoy.extensions.retry.host.previous_hosts.v3': 'retryPreviousHosts',
  'envoy.extensions.request_id.uuid.v3': 'requestIdUuid',
  'envoy.extensions.tracers.opentelemetry.resource_detectors.v3': 'otelResourceDetectors',
  'envoy.extensions.tracers.opentelemetry.samplers.v3': 'otelSamplers',
  'envoy.extensions.retry.priority.previous_priorities.v3': 'retryPreviousPriorities',
  'envoy.extensions.transport_sockets.http_11_proxy.v3': 'http11Proxy',
  'envoy.extensions.transport_sockets.proxy_protocol.v3': 'proxyProtocol',
  'envoy.extensions.transport_sockets.raw_buffer.v3': 'rawBuffer',
  'envoy.extensions.transport_sockets.tls.v3': 'tls',
  'envoy.extensions.upstreams.http.v3': 'upstreamHttp',
  'envoy.service.auth.v3': 'authService',
  'envoy.service.discovery.v3': 'discovery',
  'envoy.service.load_stats.v3': 'loadStats',
  'envoy.service.ratelimit.v3': 'rateLimitService',
  'envoy.service.runtime.v3': 'runtimeService',
  'envoy.service.secret.v3': 'secretService',
  'envoy.service.status.v3': 'status',
  'envoy.type.http.v3': 'typeHttp',
  'envoy.type.matcher.v3': 'matcher',
  'envoy.type.metadata.v3': 'metadata',
  'envoy.type.tracing.v3': 'tracing',
  'envoy.type.v3': 'type',
  'google.api.expr.v1alpha1': 'cel',
  'google.rpc': 'rpc',
  'grpc.health.v1': 'grpcHealth',
  'istio.v1.auth': 'istioCa',
  'spiffe.workload': 'spiffeWorkload',
  'udpa.type.v1': 'udpaType',
  'xds.core.v3': 'xdsCore',
  'xds.data.orca.v3': 'orca',
  'xds.service.orca.v3': 'orcaService',
  'xds.type.matcher.v3': 'xdsMatcher',
  'xds.type.v3': 'xdsType',
};

/** Text inserted after an anchor that must occur exactly once. Only additions, with the public field numbers. */
export const patches = [
  {
    // Envoy 1.37 and later: which answers outlier detection counts as errors.
    file: 'envoy/extensions/upstreams/http/v3/http_protocol_options.proto',
    after: '  config.core.v3.TypedExtensionConfig header_validation_config = 7;\n',
    insert: `
  message OutlierDetection {
    // Answers that match are errors, and no others; by default those of 500 and above are.
    config.common.matcher.v3.MatchPredicate error_matcher = 1;
  }

  OutlierDetection outlier_detection = 8;
`,
  },
  {
    file: 'envoy/extensions/upstreams/http/v3/http_protocol_options.proto',
    after: 'import "envoy/config/core/v3/extension.proto";\n',
    insert: 'import "envoy/config/common/matcher/v3/matcher.proto";\n',
  },
  {
    // gRFC A114, and Envoy's slow start of the policy.
    file: 'envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin.proto',
    after:
      '  google.protobuf.FloatValue error_utilization_penalty = 6 [(validate.rules).float = {gte: 0.0}];\n',
    insert: `
  // What of a report tells the utilization, before application_utilization and cpu_utilization.
  repeated string metric_names_for_computing_utilization = 7;
  // New hosts get their share little by little.
  common.v3.SlowStartConfig slow_start_config = 8;
`,
  },
  {
    file: 'envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin.proto',
    after: 'import "google/protobuf/duration.proto";\n',
    insert: 'import "envoy/extensions/load_balancing_policies/common/v3/common.proto";\n',
  },
  {
    // Envoy 1.35 and later: tags and names of spans by format strings, spans without propagation.
    file: 'envoy/type/tracing/v3/custom_tag.proto',
    after: '    Metadata metadata = 5;\n',
    insert: `
    // A format string.
    string value = 6;
`,
  },
  {
    file: 'envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto',
    after: '    google.protobuf.BoolValue spawn_upstream_span = 10;\n',
    insert: `
    // Names of the span of a request, and of those of its attempts: format strings.
    string operation = 11;
    string upstream_operation = 12;

    // Spans are made, but their context is not handed on.
    bool no_context_propagation = 13;
`,
  },
  {
    file: 'envoy/config/route/v3/route_components.proto',
    after: '  repeated type.tracing.v3.CustomTag custom_tags = 4;\n',
    insert: `
  // Names of the span of a request, and of those of its attempts: format strings.
  string operation = 5;
  string upstream_operation = 6;
`,
  },
  {
    // Envoy 1.36 and later: W3C's headers besides B3, and collectors by HttpService.
    file: 'envoy/config/trace/v3/zipkin.proto',
    after: 'message ZipkinConfig {\n',
    insert: `
  enum TraceContextOption {
    USE_B3 = 0;
    // B3 first, then W3C; both are sent on.
    USE_B3_WITH_W3C_PROPAGATION = 1;
  }
  TraceContextOption trace_context_option = 8;
  // In place of collector_cluster, collector_endpoint and collector_hostname.
  core.v3.HttpService collector_service = 9;
`,
  },
  {
    file: 'envoy/config/trace/v3/zipkin.proto',
    after: 'package envoy.config.trace.v3;\n',
    insert: '\nimport "envoy/config/core/v3/http_service.proto";\n',
  },
  {
    // The shipped copy predates a rule that the shipped Envoy files use.
    file: 'validate/validate.proto',
    after: '  optional bool strict = 25 [default = true];\n',
    insert: '  optional bool ignore_empty = 26;\n',
  },
  {
    // gRFC A88: further states of a resource at a client.
    file: 'envoy/admin/v3/config_dump_shared.proto',
    after: '  NACKED = 4;\n',
    insert: `
  // The server said that it can not send the resource.
  RECEIVED_ERROR = 5;

  // The server said nothing in time.
  TIMEOUT = 6;
`,
  },
  {
    // gRFC A88: errors per resource.
    file: 'envoy/service/discovery/v3/discovery.proto',
    after: 'option (udpa.annotations.file_status).package_version_status = ACTIVE;\n',
    insert: `
// Tells the client why a resource it subscribed to is not there.
message ResourceError {
  ResourceName resource_name = 1;
  google.rpc.Status error_detail = 2;
}
`,
  },
  {
    file: 'envoy/service/discovery/v3/discovery.proto',
    after: 'message DiscoveryResponse {\n',
    insert: '  // Errors of single resources (gRFC A88).\n  repeated ResourceError resource_errors = 7;\n',
  },
  {
    file: 'envoy/service/discovery/v3/discovery.proto',
    after: 'message DeltaDiscoveryResponse {\n',
    insert: '  // Errors of single resources (gRFC A88).\n  repeated ResourceError resource_errors = 9;\n',
  },
  {
    // Envoy 1.38.
    file: 'envoy/config/cluster/v3/outlier_detection.proto',
    after: '  google.protobuf.BoolValue always_eject_one_host = 25;\n',
    insert: `
  // Lower the rank of hosts that answer with x-envoy-degraded.
  google.protobuf.BoolValue detect_degraded_hosts = 26;
`,
  },
  {
    file: 'envoy/config/cluster/v3/circuit_breaker.proto',
    after: 'import "envoy/type/v3/percent.proto";\n',
    insert: '\nimport "google/protobuf/duration.proto";\n',
  },
  {
    file: 'envoy/config/cluster/v3/circuit_breaker.proto',
    after: '      type.v3.Percent budget_percent = 1;\n',
    insert:
      '\n      // How long a request counts when the budget is computed.\n      google.protobuf.Duration budget_interval = 3;\n',
  },
  {
    // Attributes of cookies (SameSite, Secure …).
    file: 'envoy/type/http/v3/cookie.proto',
    after: 'message Cookie {\n',
    insert: `
  // Further attributes of the cookie.
  repeated CookieAttribute attributes = 4;
`,
  },
  {
    file: 'envoy/type/http/v3/cookie.proto',
    after: 'option (udpa.annotations.file_status).package_version_status = ACTIVE;\n',
    insert: `
// An attribute of a cookie; without a value it is a flag.
message CookieAttribute {
  string name = 1;
  string value = 2;
}
`,
  },
  {
    // Envoy 1.33: ranges of addresses in filter state.
    file: 'envoy/type/matcher/v3/filter_state.proto',
    after: 'import "envoy/type/matcher/v3/string.proto";\n',
    insert: 'import "xds/core/v3/cidr.proto";\n',
  },
  {
    file: 'envoy/type/matcher/v3/filter_state.proto',
    after: 'option (udpa.annotations.file_status).package_version_status = ACTIVE;\n',
    insert: `
// Matches an IP address by the ranges it is in.
message AddressMatcher {
  repeated xds.core.v3.CidrRange ranges = 1;
}
`,
  },
  {
    file: 'envoy/type/matcher/v3/filter_state.proto',
    after: '    StringMatcher string_match = 2;\n',
    insert: `
    // Match an address.
    AddressMatcher address_match = 3;
`,
  },
  {
    file: 'envoy/config/route/v3/route_components.proto',
    after: '  repeated type.matcher.v3.MetadataMatcher dynamic_metadata = 13;\n',
    insert: `
  // All must match objects that filters left.
  repeated type.matcher.v3.FilterStateMatcher filter_state = 16;

  // All must match cookies of the request.
  repeated CookieMatcher cookies = 17;
`,
  },
  {
    file: 'envoy/config/route/v3/route_components.proto',
    after: 'import "envoy/type/matcher/v3/metadata.proto";\n',
    insert: 'import "envoy/type/matcher/v3/filter_state.proto";\n',
  },
  {
    file: 'envoy/config/route/v3/route_components.proto',
    after: 'option (udpa.annotations.file_status).package_version_status = ACTIVE;\n',
    insert: `
// Matches the first cookie of a name.
message CookieMatcher {
  string name = 1;
  type.matcher.v3.StringMatcher string_match = 2;
  bool invert_match = 3;
}
`,
  },
  {
    // Weights by the route's hash policy.
    file: 'envoy/config/route/v3/route_components.proto',
    after:
      '    string header_name = 4\n        [(validate.rules).string = {well_known_regex: HTTP_HEADER_NAME strict: false}];\n',
    insert: `
    // Choose by the hash of the request.
    google.protobuf.BoolValue use_hash_policy = 5;
`,
  },
  {
    // Envoy 1.35.
    file: 'envoy/config/route/v3/route.proto',
    after: '  bool ignore_path_parameters_in_path_matching = 15;\n',
    insert: `
  // Choose the virtual host by this header instead of the authority.
  string vhost_header = 18;
`,
  },
  {
    // What was matched may be passed over, and the next match counts.
    file: 'xds/type/matcher/v3/matcher.proto',
    after: '      core.v3.TypedExtensionConfig action = 2;\n    }\n',
    insert: `
    // Carry the match out, and go on matching.
    bool keep_matching = 3;
`,
  },
  {
    file: 'envoy/extensions/load_balancing_policies/common/v3/common.proto',
    after: '  message ZoneAwareLbConfig {\n',
    insert: `
    enum LocalityBasis {
      HEALTHY_HOSTS_NUM = 0;
      HEALTHY_HOSTS_WEIGHT = 1;
    }
    message ForceLocalZone {
      google.protobuf.UInt32Value min_size = 1;
    }
    bool force_locality_direct_routing = 4;
    ForceLocalZone force_local_zone = 5;
    LocalityBasis locality_basis = 6;
`,
  },
  {
    file: 'envoy/extensions/load_balancing_policies/common/v3/common.proto',
    after: 'import "envoy/config/core/v3/base.proto";\n',
    insert: 'import "envoy/config/route/v3/route_components.proto";\n',
  },
  {
    file: 'envoy/extensions/load_balancing_policies/common/v3/common.proto',
    after: 'message ConsistentHashingLbConfig {\n',
    insert: '  repeated config.route.v3.RouteAction.HashPolicy hash_policy = 3;\n',
  },
  {
    // Envoy 1.35 and later: waits between attempts to connect, jitter of the life of a connection.
    file: 'envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto',
    after: 'import "envoy/config/core/v3/base.proto";\n',
    insert: 'import "envoy/config/core/v3/backoff.proto";\nimport "envoy/type/v3/percent.proto";\n',
  },
  {
    file: 'envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto',
    after: '  TcpAccessLogOptions access_log_options = 17;\n',
    insert: `
  // Waits before the next attempt to connect.
  config.core.v3.BackoffStrategy backoff_options = 18;

  // How much longer than its maximum a connection may live, at random.
  type.v3.Percent max_downstream_connection_duration_jitter_percentage = 20;
`,
  },
  {
    // gRFC A101.
    file: 'envoy/extensions/transport_sockets/tls/v3/tls.proto',
    after: 'message UpstreamTlsContext {\n',
    insert: `
  // Take the SNI from the host name of the endpoint, where it has one.
  bool auto_host_sni = 6;
  // Expect a DNS subject alternative name equal to the SNI that was sent.
  bool auto_sni_san_validation = 7;
`,
  },
  {
    // Envoy 1.33 and later: more ways to make rate limit descriptors, and how many hits they count for.
    file: 'envoy/config/route/v3/route_components.proto',
    after: '    message GenericKey {\n',
    insert: `      // Stands in for a value that turns out empty.
      string default_value = 3;
`,
  },
  {
    file: 'envoy/config/route/v3/route_components.proto',
    after: '    message HeaderValueMatch {\n',
    insert: `      // Stands in for a value that turns out empty.
      string default_value = 5;
`,
  },
  {
    file: 'envoy/config/route/v3/route_components.proto',
    after: '    message QueryParameterValueMatch {\n',
    insert: `      // Stands in for a value that turns out empty.
      string default_value = 5;
`,
  },
  {
    file: 'envoy/config/route/v3/route_components.proto',
    after:
      '    message RemoteAddress {\n      option (udpa.annotations.versioning).previous_message_type =\n          "envoy.api.v2.route.RateLimit.Action.RemoteAddress";\n    }\n',
    insert: `
    // The value of a query parameter of the request.
    message QueryParameters {
      string query_parameter_name = 1;
      string descriptor_key = 2;
      // Whether the rest of the descriptor goes without it when the parameter is absent.
      bool skip_if_absent = 3;
    }
`,
  },
  {
    file: 'envoy/config/route/v3/route_components.proto',
    after: '      MaskedRemoteAddress masked_remote_address = 10;\n',
    insert: `
      // The value of a query parameter.
      QueryParameters query_parameters = 12;
`,
  },
  {
    file: 'envoy/config/route/v3/route_components.proto',
    after: '  Override limit = 4;\n',
    insert: `
  // How many hits a descriptor counts for: a number, or a format with one command.
  message HitsAddend {
    google.protobuf.UInt64Value number = 1;
    string format = 2;
    // Whether the hits are given back.
    bool is_negative_hits = 3;
  }

  // Whether the headers that tell callers about their limit are sent.
  enum XRateLimitOption {
    UNSPECIFIED = 0;
    OFF = 1;
    DRAFT_VERSION_03 = 2;
  }

  HitsAddend hits_addend = 5;
  // Counted when the exchange is over; it never refuses anything.
  bool apply_on_stream_done = 6;
  XRateLimitOption x_ratelimit_option = 7;
`,
  },
  {
    file: 'envoy/extensions/common/ratelimit/v3/ratelimit.proto',
    after: 'import "envoy/type/v3/token_bucket.proto";\n',
    insert: `
import "google/protobuf/wrappers.proto";
`,
  },
  {
    file: 'envoy/extensions/common/ratelimit/v3/ratelimit.proto',
    after: '  RateLimitOverride limit = 2;\n',
    insert: `
  // Hits of this descriptor; 1 when absent.
  google.protobuf.UInt64Value hits_addend = 3;
  // Whether the hits are given back.
  bool is_negative_hits = 4;
`,
  },
  {
    file: 'envoy/extensions/common/ratelimit/v3/ratelimit.proto',
    after: '  type.v3.TokenBucket token_bucket = 2 [(validate.rules).message = {required: true}];\n',
    insert: `
  // Counts only.
  bool shadow_mode = 3;
`,
  },
  {
    file: 'envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.proto',
    after: 'import "envoy/config/core/v3/base.proto";\n',
    insert: `import "envoy/config/route/v3/route_components.proto";
`,
  },
  {
    file: 'envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.proto',
    after: '  bool rate_limited_as_resource_exhausted = 15;\n',
    insert: `
  // Makes descriptors; those of routes and virtual hosts are not read when there are some.
  repeated config.route.v3.RateLimit rate_limits = 17;
  // Buckets that are kept per descriptor with wildcards.
  google.protobuf.UInt32Value max_dynamic_descriptors = 18;
`,
  },
  {
    file: 'envoy/config/cluster/v3/cluster.proto',
    after: '  bool respect_dns_ttl = 39;\n',
    insert: `
  // Names are asked for up to so much later, at random.
  google.protobuf.Duration dns_jitter = 58;
`,
  },
  {
    // Envoy 1.34 and 1.35: shares of requests, and limits of the filter itself.
    file: 'envoy/extensions/filters/http/ratelimit/v3/rate_limit.proto',
    after: '  string stat_prefix = 13;\n',
    insert: `
  // Share of the requests that the service is asked about.
  config.core.v3.RuntimeFractionalPercent filter_enabled = 14;
  // Share of the requests over the limit that are refused.
  config.core.v3.RuntimeFractionalPercent filter_enforced = 15;
  // Share of the requests that are refused when the service has no answer.
  config.core.v3.RuntimeFractionalPercent failure_mode_deny_percent = 16;
  // Makes descriptors; those of routes and virtual hosts are not read when there are some.
  repeated config.route.v3.RateLimit rate_limits = 17;
`,
  },
  {
    // Once a message of its own that nothing read.
    file: 'envoy/extensions/filters/http/ratelimit/v3/rate_limit.proto',
    after: 'RouteAction.rate_limits>` fields instead.\n  // [#not-implemented-hide:]\n  ',
    insert: 'repeated config.route.v3.RateLimit rate_limits = 3;\n  // Formerly: ',
  },
  {
    // Envoy 1.37: the service could not decide.
    file: 'envoy/service/auth/v3/external_auth.proto',
    after: '    OkHttpResponse ok_response = 3;\n',
    insert: `
    // Answers the caller when errors refuse requests.
    DeniedHttpResponse error_response = 5;
`,
  },
  {
    file: 'envoy/service/ratelimit/v3/rls.proto',
    after: '      // The time unit representing a year.\n      YEAR = 6;\n',
    insert: `
      WEEK = 7;
`,
  },
  {
    file: 'envoy/type/v3/ratelimit_unit.proto',
    after: '  YEAR = 6;\n',
    insert: `
  WEEK = 7;
`,
  },
];
