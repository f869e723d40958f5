import type { Json } from './json.js';
import type { AdsWorld } from './world.js';

type Fields = { readonly [key: string]: Json };

const TYPE = 'type.googleapis.com/';
const ROUTER: Json = {
  name: 'envoy.filters.http.router',
  typed_config: { '@type': `${TYPE}envoy.extensions.filters.http.router.v3.Router` },
};

/** A listener in gRPC's client-side shape. */
export function apiListener(routes: Fields, filters: readonly Json[] = []): Fields {
  return {
    api_listener: {
      api_listener: {
        '@type': `${TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
        http_filters: [...filters, ROUTER],
        ...routes,
      },
    },
  };
}

/** Routes by name, from the same stream. */
export function byRds(name: string): Fields {
  return { rds: { route_config_name: name, config_source: { ads: {}, resource_api_version: 'V3' } } };
}

/** A route configuration with one virtual host for every name. */
export function routesTo(...routes: readonly Fields[]): Fields {
  return { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] };
}

/** A route of everything to a cluster. */
export function toCluster(cluster: string, action: Fields = {}, match: Fields = { prefix: '/' }): Fields {
  return { match, route: { cluster, ...action } };
}

/** A cluster whose endpoints come by EDS. */
export function edsCluster(serviceName: string, fields: Fields = {}): Fields {
  return {
    type: 'EDS',
    eds_cluster_config: {
      eds_config: { ads: {}, resource_api_version: 'V3' },
      ...(serviceName !== '' && { service_name: serviceName }),
    },
    lb_policy: 'ROUND_ROBIN',
    ...fields,
  };
}

/** One locality with endpoints on this machine. */
export function locality(ports: readonly number[], fields: Fields = {}): Fields {
  return {
    locality: { region: 'here' },
    load_balancing_weight: 1,
    lb_endpoints: ports.map((port) => ({
      endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
    })),
    ...fields,
  };
}

/** The endpoints of a cluster, in one locality. */
export function endpointsAt(...ports: readonly number[]): Fields {
  return { endpoints: [locality(ports)] };
}

/** A host with its route, cluster and endpoints. */
export function putHost(world: AdsWorld, host: string, ports: readonly number[]): void {
  const name = host.split('.')[0] ?? host;
  world.put('LDS', `${host}:80`, apiListener(byRds(`${name}-routes`)));
  world.put('RDS', `${name}-routes`, routesTo(toCluster(name)));
  world.put('CDS', name, edsCluster(`${name}-endpoints`));
  world.put('EDS', `${name}-endpoints`, endpointsAt(...ports));
}
