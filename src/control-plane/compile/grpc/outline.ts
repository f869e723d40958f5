import type { Cluster } from '../../../model/cluster.js';
import type { ClusterLoadAssignment } from '../../../model/endpoint.js';
import type { Listener } from '../../../model/listener.js';
import { OUTBOUND_FILTERS } from '../fault.js';
import type { Outline } from '../outlined.js';
import { emptyCluster, type GrpcCluster, grpcCluster } from './clusters.js';
import { clustersOf, grpcRoutes } from './routes.js';

/** What gRPC's own clients are sent in place of the common outline. */
export function grpcOutline(outline: Outline): Outline {
  const routes = new Map([...outline.routes].map(([name, table]) => [name, grpcRoutes(table)]));
  const listeners = new Map<string, Listener>();
  for (const [name, listener] of outline.listeners) {
    if (listener.kind !== 'outbound') continue;
    // gRFC A39: a filter that a client does not know makes it refuse the listener.
    const http = { routes: listener.http.routes, filters: OUTBOUND_FILTERS };
    listeners.set(name, { kind: 'outbound', name, http });
  }
  const clusters = new Map<string, Cluster>();
  const ownEndpoints = new Map<string, ClusterLoadAssignment>();
  const add = (added: GrpcCluster) => {
    for (const one of added.clusters) clusters.set(one.name, one);
    for (const one of added.endpoints) ownEndpoints.set(one.clusterName, one);
  };
  for (const cluster of outline.clusters.values()) add(grpcCluster(cluster));
  // A client waits 15 s for a cluster that a route names and nobody has, with all its calls (gRFC A57).
  for (const table of routes.values()) {
    for (const name of clustersOf(table)) if (!clusters.has(name)) add(emptyCluster(name));
  }
  return { ...outline, listeners, routes, clusters, ownEndpoints };
}
