import type { FilterConfig, FilterOverrides } from './filter-config.js';
import type { HttpConnectionManager } from './listener.js';
import type { RouteConfiguration } from './route.js';
import { routesOf } from './routes-of.js';

/** The clusters that a filter sends requests of its own to: authorization, rate limit, keys. A new filter adds its line. */
export function clustersOfFilter(config: FilterConfig): readonly string[] {
  switch (config.kind) {
    case 'jwt-authn':
      return [...config.providers.values()].flatMap(({ jwks }) =>
        jwks.kind === 'remote' ? [jwks.uri.cluster] : [],
      );
    case 'ext-authz':
      return [config.service.kind === 'grpc' ? config.service.service.cluster : config.service.uri.cluster];
    case 'global-rate-limit':
      return [config.service.cluster];
    case 'custom':
      return config.clusters;
    default:
      return NONE;
  }
}

const NONE: readonly string[] = [];

/**
 * The clusters that the filters of a connection manager ask, each once: those of its list, and those of the overrides
 * in its route table.
 */
export function clustersOfFilters(
  { filters }: HttpConnectionManager,
  routes: RouteConfiguration | undefined,
): readonly string[] {
  const listed = filters.flatMap(({ config }) => clustersOfFilter(config));
  const overridden = routes === undefined ? NONE : clustersOfOverrides(routes);
  return listed.length + overridden.length === 0 ? NONE : [...new Set([...listed, ...overridden])];
}

const overriddenByTable = new WeakMap<RouteConfiguration, readonly string[]>();

/** Tables are immutable, so each is walked once. */
function clustersOfOverrides(routes: RouteConfiguration): readonly string[] {
  let clusters = overriddenByTable.get(routes);
  if (clusters === undefined) {
    clusters = [...overridesOf(routes)].flatMap((layer) => [...layer.values()].flatMap(clustersOfFilter));
    overriddenByTable.set(routes, clusters);
  }
  return clusters;
}

function* overridesOf({
  virtualHosts,
  filterOverrides: own,
}: RouteConfiguration): Generator<FilterOverrides> {
  if (own !== undefined) yield own;
  for (const virtualHost of virtualHosts) {
    yield virtualHost.filterOverrides;
    for (const { filterOverrides, action } of routesOf(virtualHost)) {
      yield filterOverrides;
      if (action.kind !== 'forward' || action.cluster.kind !== 'weighted') continue;
      for (const weighted of action.cluster.clusters) yield weighted.filterOverrides;
    }
  }
}
