import type { Cluster } from '../../model/cluster.js';
import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import type { Listener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';
import type { ShardedMap } from '../../runtime/sharded-map.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { MeshService } from '../mesh/services.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import type { WireResource } from '../resources/resource-set.js';
import type { ClusterPlan } from './clusters.js';
import type { DestinationPolicy } from './destination-rules.js';
import type { IssuerKeys } from './issuer-keys.js';
import type { PodIndex } from './pods.js';
import type { Profile } from './profile.js';

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

/** What one profile's outline is made from, besides what it shares with others. */
export interface OwnInput extends CompileInput {
  readonly profile: Profile;
  /** Grows with the services, versions and identities that are registered. */
  readonly shape: number;
}

/** What clients of several profiles share, before each is sent its own. It stays when only addresses come and go. */
export interface CommonOutline extends Outline {
  readonly plans: readonly ClusterPlan[];
  /** Endpoints that no instance decides; undefined = none. */
  readonly ownEndpoints?: ReadonlyMap<string, ClusterLoadAssignment> | undefined;
  /** The services that clients reach, and the policies of their connections to them, by host. */
  readonly services: ReadonlyMap<string, MeshService>;
  readonly policies: ReadonlyMap<string, DestinationPolicy>;
}

/** Everything but endpoints and secrets. */
export interface Outline {
  readonly listeners: ShardedMap<Listener>;
  readonly routes: ShardedMap<RouteConfiguration>;
  readonly clusters: ShardedMap<Cluster>;
  /** Listeners of Envoys; undefined = none. */
  readonly wireListeners?: ShardedMap<WireResource> | undefined;
  /** Configurations of filters by name (ECDS); undefined = none. */
  readonly extensions?: ReadonlyMap<string, WireResource> | undefined;
}
