import type { Cluster } from '../../model/cluster.js';
import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import type { Listener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';
import type { ShardedMap } from '../../runtime/sharded-map.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import type { WireResource } from '../resources/resource-set.js';
import type { ClusterPlan } from './clusters.js';
import type { IssuerKeys } from './issuer-keys.js';
import type { PodIndex } from './pods.js';

/** What compilation starts from. */
export interface CompileInput {
  readonly view: ConfigView;
  readonly registry: RegistrySnapshot;
  readonly pods: PodIndex;
  readonly config: MeshConfig;
  readonly keys: IssuerKeys;
  /** Hears why an EnvoyFilter does not change something. */
  readonly onRefused: (reason: string) => void;
  /** Whether secrets are taken to be there that no document holds. */
  readonly assumesSecrets: boolean;
}

/** What is made for all profiles, before each is sent its own. */
export interface CommonOutline extends Outline {
  readonly listeners: ShardedMap<Listener>;
  readonly routes: ShardedMap<RouteConfiguration>;
  readonly clusters: ShardedMap<Cluster>;
}

/** Everything but endpoints: it stays when only addresses come and go. */
export interface Outline {
  readonly listeners: ReadonlyMap<string, Listener>;
  readonly routes: ReadonlyMap<string, RouteConfiguration>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly plans: readonly ClusterPlan[];
  /** Endpoints that no instance decides; undefined = none. */
  readonly ownEndpoints?: ReadonlyMap<string, ClusterLoadAssignment> | undefined;
  /** Listeners of Envoys; undefined = none. */
  readonly wireListeners?: ReadonlyMap<string, WireResource> | undefined;
  /** Configurations of filters by name (ECDS); undefined = none. */
  readonly extensions?: ReadonlyMap<string, WireResource> | undefined;
}
