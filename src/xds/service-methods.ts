/** The service of each type that has one of its own (xDS "separate streams"), with the stem of its methods. */
const SERVICES: Readonly<Record<string, readonly [service: string, stem: string]>> = {
  'envoy.config.listener.v3.Listener': ['listener.v3.ListenerDiscoveryService', 'Listeners'],
  'envoy.config.route.v3.RouteConfiguration': ['route.v3.RouteDiscoveryService', 'Routes'],
  'envoy.config.route.v3.ScopedRouteConfiguration': ['route.v3.ScopedRoutesDiscoveryService', 'ScopedRoutes'],
  'envoy.config.route.v3.VirtualHost': ['route.v3.VirtualHostDiscoveryService', 'VirtualHosts'],
  'envoy.config.cluster.v3.Cluster': ['cluster.v3.ClusterDiscoveryService', 'Clusters'],
  'envoy.config.endpoint.v3.ClusterLoadAssignment': ['endpoint.v3.EndpointDiscoveryService', 'Endpoints'],
  'envoy.extensions.transport_sockets.tls.v3.Secret': ['secret.v3.SecretDiscoveryService', 'Secrets'],
  'envoy.service.runtime.v3.Runtime': ['runtime.v3.RuntimeDiscoveryService', 'Runtime'],
  'envoy.config.core.v3.TypedExtensionConfig': [
    'extension.v3.ExtensionConfigDiscoveryService',
    'ExtensionConfigs',
  ],
};

/** Types whose service has the delta variant only. */
const DELTA_ONLY = new Set(['envoy.config.route.v3.VirtualHost']);

/** Whether a type is carried by the delta variant only. */
export function isDeltaOnly(typeUrl: string): boolean {
  return DELTA_ONLY.has(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
}

/** The gRPC method of a type's own service; undefined when the type is served by ADS only. */
export function methodOf(typeUrl: string, variant: 'sotw' | 'delta'): string | undefined {
  const name = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
  const found = Object.hasOwn(SERVICES, name) ? SERVICES[name] : undefined;
  if (found === undefined || (variant === 'sotw' && DELTA_ONLY.has(name))) return undefined;
  return `/envoy.service.${found[0]}/${variant === 'delta' ? 'Delta' : 'Stream'}${found[1]}`;
}
