import type { Cluster } from '../../model/cluster.js';
import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import type { Listener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';
import type { RuntimeLayer } from '../../model/runtime.js';

/**
 * What one node receives, by name. The maps are shared by all nodes of a profile, and stay the same as long as nothing
 * in them changes: the server compares them, and what is in them, by reference.
 */
export interface ResourceSet {
  readonly listeners: ReadonlyMap<string, Listener>;
  readonly routes: ReadonlyMap<string, RouteConfiguration>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly endpoints: ReadonlyMap<string, ClusterLoadAssignment>;
  /** How those travel to this class of nodes. */
  readonly encoders: ResourceEncoders;
  /** Listeners that the model has no form for: those of Envoys. They stand beside `listeners`. */
  readonly wireListeners: ReadonlyMap<string, WireResource>;
  /** Secrets that the caller may have (SDS). */
  readonly secrets: ReadonlyMap<string, WireResource>;
  /** Configurations of filters that are named in listeners (ECDS); absent = none. */
  readonly extensions?: ReadonlyMap<string, WireResource> | undefined;
  /** Layers of the runtime (RTDS); absent = none. */
  readonly runtimes?: ReadonlyMap<string, RuntimeLayer> | undefined;
  /**
   * A listener that only those receive who ask for its name: other names of a service, a server's own address. The same
   * name gives the same object as long as nothing changes.
   */
  listenerOf(name: string): Listener | undefined;
}

/** A resource in the form in which it travels. */
export interface WireResource {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** How the resources of the model travel. */
export interface ResourceEncoders {
  readonly listener: (resource: Listener) => Uint8Array;
  readonly route: (resource: RouteConfiguration) => Uint8Array;
  readonly cluster: (resource: Cluster) => Uint8Array;
  readonly endpoints: (resource: ClusterLoadAssignment) => Uint8Array;
}
