import { clustersOfFilters } from '../model/filter-clusters.js';
import type {
  HttpConnectionManager,
  InboundChainConfig,
  OutboundListener,
  OutboundTcpListener,
} from '../model/listener.js';
import type { MirrorPolicy } from '../model/mirror.js';
import type { ClusterSpecifier, Route, RouteConfiguration } from '../model/route.js';
import { routesOf } from '../model/routes-of.js';
import { clustersOfTcp } from '../model/tcp-proxy.js';

const targetsByTable = new WeakMap<RouteConfiguration, readonly string[]>();

/** The clusters that a route table forwards to, each once. Tables are immutable, so each is walked once. */
export function clustersOf(routes: RouteConfiguration): readonly string[] {
  let targets = targetsByTable.get(routes);
  if (targets === undefined) {
    const all = [
      ...mirrorTargets(routes.mirrors),
      ...routes.virtualHosts.flatMap((host) => [
        ...routesOf(host).flatMap(({ action }) => targetsOf(action)),
        ...mirrorTargets(host.mirrors),
      ]),
    ];
    targets = [...new Set(all)];
    targetsByTable.set(routes, targets);
  }
  return targets;
}

/** The clusters that an outbound listener needs: those of its routes, and those that its filters ask. */
export function targetsOfListener(
  { http }: OutboundListener,
  routes: RouteConfiguration | undefined,
): readonly string[] {
  const asked = clustersOfFilters(http, routes);
  const targets = routes === undefined ? [] : clustersOf(routes);
  return asked.length === 0 ? targets : [...new Set([...targets, ...asked])];
}

/** The clusters that a listener for connections forwards to. */
export function targetsOfTcp({ filterChains, defaultChain }: OutboundTcpListener): readonly string[] {
  const chains = defaultChain === undefined ? filterChains : [...filterChains, defaultChain];
  return [...new Set(chains.flatMap(({ tcp }) => clustersOfTcp(tcp)))];
}

/** The clusters that the filters of an inbound chain ask. */
export function targetsOfInbound(chain: InboundChainConfig): readonly string[] {
  const { http } = chain;
  if (http !== undefined) return clustersOfFilters(http, inlineRoutes(http));
  return (chain.guards ?? []).flatMap((guard) => (guard.kind === undefined ? [] : [guard.service.cluster]));
}

function inlineRoutes({ routes }: HttpConnectionManager): RouteConfiguration | undefined {
  return routes.kind === 'inline' ? routes.config : undefined;
}

function targetsOf(action: Route['action']): readonly string[] {
  if (action.kind !== 'forward') return [];
  return [...namesOf(action.cluster), ...mirrorTargets(action.mirrors)];
}

/** Clusters that a header names are not known before a request comes: they are there when something else names them. */
function namesOf(cluster: ClusterSpecifier): readonly string[] {
  switch (cluster.kind) {
    case 'cluster':
      return [cluster.name];
    case 'weighted':
      return cluster.clusters.flatMap(({ name }) => (name === '' ? [] : [name]));
    case 'header':
      return [];
  }
}

function mirrorTargets(mirrors: readonly MirrorPolicy[] | undefined): readonly string[] {
  return (mirrors ?? []).flatMap(({ target }) => (target.kind === 'cluster' ? [target.name] : []));
}
