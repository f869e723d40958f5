import type { Cluster } from '../model/cluster.js';
import type { ClusterLoadAssignment } from '../model/endpoint.js';
import type { FilterExtension } from '../model/filter-extension.js';
import type { Listener } from '../model/listener.js';
import type { RouteConfiguration } from '../model/route.js';
import type { Runtime, RuntimeLayer, RuntimeLayerSource } from '../model/runtime.js';
import type { Secret } from '../model/secret.js';
import type { ResolvedOutbound, Snapshot } from '../model/snapshot.js';
import type { Found } from './found.js';
import type { FoundHosts } from './virtual-hosts.js';

/** What is known about every resource. */
export interface ResourceView {
  listener(name: string): Found<Listener>;
  routes(name: string): Found<RouteConfiguration>;
  /** What came by VHDS for a table. */
  virtualHosts(table: string): FoundHosts;
  cluster(name: string): Found<Cluster>;
  assignment(name: string): Found<ClusterLoadAssignment>;
  secret(name: string): Found<Secret>;
  extension(name: string): Found<FilterExtension>;
  runtime(name: string): Found<RuntimeLayer>;
  /** Hears of a domain of a virtual host (VHDS) that another one of its table has already. */
  onTaken?(table: string, host: string, domain: string): void;
}

/** The kinds of resources that references lead to. */
export type ReferenceKind =
  | 'listener'
  | 'routes'
  | 'virtual-hosts'
  | 'cluster'
  | 'assignment'
  | 'secret'
  | 'extension'
  | 'runtime';

/** A resource that something needs and that was not answered yet. */
export interface MissingResource {
  readonly kind: ReferenceKind;
  readonly name: string;
}

/** What follows from a view. */
export interface Resolution {
  /** The names to be subscribed to; listeners are the caller's. */
  readonly wanted: {
    readonly routes: ReadonlySet<string>;
    readonly clusters: ReadonlySet<string>;
    readonly assignments: ReadonlySet<string>;
    readonly secrets: ReadonlySet<string>;
    readonly extensions: ReadonlySet<string>;
    readonly runtimes: ReadonlySet<string>;
    /** Names of route tables that have more virtual hosts to give (VHDS). */
    readonly tables: ReadonlySet<string>;
  };
  readonly missing: readonly MissingResource[];
  /**
   * The best consistent configuration: a listener or cluster whose references are not all answered keeps the form it
   * had in the previous snapshot. The previous snapshot itself when nothing changed.
   */
  readonly snapshot: Snapshot;
}

/** What is asked for although no listener needs it. */
export interface FollowedNames {
  readonly clusters?: Iterable<string> | undefined;
  /** What the runtime is made of. */
  readonly runtime?: readonly RuntimeLayerSource[] | undefined;
  /** Nothing waits for them. */
  readonly secrets?: Iterable<string> | undefined;
}

/** Fails closed: the mesh owns the host, and without routes it answers locally. */
export function closedOutbound(name: string): ResolvedOutbound {
  const routes: RouteConfiguration = { name, virtualHosts: [] };
  return {
    listener: { kind: 'outbound', name, http: { routes: { kind: 'inline', config: routes }, filters: [] } },
    routes,
  };
}

/** Whether both runtimes have the same values. */
export function isSameRuntime(a: Runtime, b: Runtime): boolean {
  return JSON.stringify([...a]) === JSON.stringify([...b]);
}

/** Whether both maps have the same objects. */
export function isSameMap<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
