import type { Route } from '../../model/route.js';
import type { ResolvedOutbound } from '../../model/snapshot.js';
import { DEFAULT_TCP_IDLE_MS, type TcpCluster } from '../../model/tcp-proxy.js';
import { compileRoutes } from '../../routing/router.js';
import { refuseConnection } from './errors.js';
import type { TcpListener } from './listener.js';
import { tcpRoute } from './proxy.js';
import type { ProxyTools, TcpRoute } from './route.js';

/**
 * Connections to a port that is configured for HTTP only: they go where a request for `/` would. Servers of gRPC's kind of
 * configuration (istiod) give every port such a listener.
 */
export function throughHttpRoutes({ listener, routes }: ResolvedOutbound, tools: ProxyTools): TcpListener {
  const router = routes && compileRoutes(routes);
  const made = new Map<Route, TcpRoute>();
  const routeOf = (route: Route): TcpRoute | undefined => {
    const known = made.get(route);
    const cluster = known === undefined ? clusterOf(route) : undefined;
    if (cluster === undefined) return known;
    const one = tcpRoute({ cluster, idleTimeoutMs: DEFAULT_TCP_IDLE_MS, maxConnectAttempts: 1 }, '', tools);
    made.set(route, one);
    return one;
  };
  return {
    inspection: undefined,
    route(request) {
      const { context } = request;
      const matched = router?.select(request, context.random);
      const route = matched && routeOf(matched.route);
      if (route !== undefined) return route;
      return refuseConnection(context, listener.name, {
        code: 'INMESH_NO_ROUTE',
        flag: 'NR',
        what: `no route of ${listener.name} leads to a cluster`,
        hint: 'Let a route for every path forward to the service, or declare the port as TCP',
      });
    },
  };
}

function clusterOf({ action }: Route): TcpCluster | undefined {
  if (action.kind !== 'forward') return undefined;
  const { cluster } = action;
  switch (cluster.kind) {
    case 'cluster':
      return { kind: 'cluster', name: cluster.name };
    case 'weighted': {
      const clusters = cluster.clusters.filter(({ name, weight }) => name !== '' && weight > 0);
      const totalWeight = clusters.reduce((sum, { weight }) => sum + weight, 0);
      return totalWeight === 0 ? undefined : { kind: 'weighted', clusters, totalWeight };
    }
    case 'header':
      return undefined;
  }
}
