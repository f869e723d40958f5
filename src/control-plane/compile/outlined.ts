import type { Cluster } from '../../model/cluster.js';
import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import type { Listener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { WireResource } from '../resources/resource-set.js';
import type { ClusterPlan } from './clusters.js';
import type { InstanceInput } from './instances.js';
import type { IssuerKeys } from './issuer-keys.js';

/** What compilation starts from. */
export interface CompileInput extends InstanceInput {
  readonly config: MeshConfig;
  readonly keys: IssuerKeys;
  /** Hears why an EnvoyFilter does not change something. */
  readonly onRefused: (reason: string) => void;
}

/** Everything but endpoints: it stays when only addresses come and go. */
export interface Outline {
  readonly listeners: ReadonlyMap<string, Listener>;
  readonly routes: ReadonlyMap<string, RouteConfiguration>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly plans: readonly ClusterPlan[];
  /** Those of the plans whose endpoints may be others than those of the outline before; undefined = all. */
  readonly freshPlans?: readonly ClusterPlan[] | undefined;
  /** Endpoints that no instance decides; undefined = none. */
  readonly ownEndpoints?: ReadonlyMap<string, ClusterLoadAssignment> | undefined;
  /** Listeners of Envoys; undefined = none. */
  readonly wireListeners?: ReadonlyMap<string, WireResource> | undefined;
  /** Configurations of filters by name (ECDS); undefined = none. */
  readonly extensions?: ReadonlyMap<string, WireResource> | undefined;
}
