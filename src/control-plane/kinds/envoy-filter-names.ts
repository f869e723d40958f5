/** The names that filters of Envoy had before they were sorted by what they are for, each by its own prefix. */
const OLD_NAMES: Readonly<Record<string, readonly string[]>> = {
  'envoy.filters.http.': [
    'buffer',
    'cors',
    'csrf',
    'ext_authz',
    'fault',
    'grpc_http1_bridge',
    'grpc_json_transcoder',
    'grpc_web',
    'gzip',
    'health_check',
    'ip_tagging',
    'lua',
    'router',
    'squash',
  ],
  'envoy.filters.network.': [
    'client_ssl_auth',
    'http_connection_manager',
    'mongo_proxy',
    'ratelimit',
    'redis_proxy',
    'tcp_proxy',
  ],
};

const OLD_LISTENER_FILTER =
  /^envoy\.listener\.(http_inspector|original_dst|original_src|proxy_protocol|tls_inspector)$/;

const RENAMED: ReadonlyMap<string, string> = new Map([
  ...Object.entries(OLD_NAMES).flatMap(([prefix, names]) =>
    names.map((name) => [`envoy.${name}`, `${prefix}${name}`] as const),
  ),
  ['envoy.http_dynamo_filter', 'envoy.filters.http.dynamo'],
  ['envoy.rate_limit', 'envoy.filters.http.ratelimit'],
]);

/** The name that a filter of Envoy has now; undefined when it is not one of the old names (Istio: DeprecatedFilterNames). */
export function renamedFilter(name: string): string | undefined {
  const [, listener] = OLD_LISTENER_FILTER.exec(name) ?? [];
  return listener === undefined ? RENAMED.get(name) : `envoy.filters.listener.${listener}`;
}
