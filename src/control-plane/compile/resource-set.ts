import type { Cluster } from '../../model/cluster.js';
import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import type { Listener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';

/** What one class of nodes receives, by name. */
export interface ResourceSet {
  readonly listeners: ReadonlyMap<string, Listener>;
  readonly routes: ReadonlyMap<string, RouteConfiguration>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly endpoints: ReadonlyMap<string, ClusterLoadAssignment>;
}
