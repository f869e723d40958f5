import type { Cluster } from '../../model/cluster.js';
import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import type { Listener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';
import { isEqual } from '../../runtime/equal.js';
import type { ShardedMap } from '../../runtime/sharded-map.js';
import { Pauses, type Steps } from '../../runtime/steps.js';
import { recordSteps } from '../kinds/derived.js';
import { Ground } from '../kinds/ground.js';
import { isSameAnswer } from '../kinds/reads.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { MeshPort, MeshService } from '../mesh/services.js';
import type { ClusterPlan } from './clusters.js';
import { changedBetween, concernedServices } from './concerned-plans.js';
import { GrpcOutlines } from './grpc/outline.js';
import { Joined } from './joined.js';
import type { CommonOutline } from './outlined.js';
import { Pieces } from './pieces.js';
import type { Profile } from './profile.js';
import type { CompileWorld } from './recorded.js';

/** What the listeners of one host and port were made from. */
export interface ListenerInput {
  readonly host: string;
  readonly port: MeshPort;
  /** Whose rules hold for HTTP, and whose for what is none. */
  readonly http: Document<'VirtualService'> | undefined;
  readonly tcp: Document<'VirtualService'> | undefined;
  readonly aliases: readonly string[];
}

/** The listeners of one host and port, and the table that those of HTTP use. */
export interface ListenerUnit {
  readonly listeners: readonly (readonly [string, Listener])[];
  readonly routes: RouteConfiguration | undefined;
}

/** What an outline follows from besides documents. */
export interface OutlineBasis {
  readonly config: MeshConfig;
  readonly profile: Pick<Profile, 'sidecar'>;
  /** Grows with the services, versions and identities that are registered. */
  readonly shape: number;
}

/** What the clusters of a client were made of besides documents. */
type Reached = Pick<CompileWorld, 'config' | 'registry' | 'services' | 'policies'>;

/** The clusters of a client: the plans of each of its services, and all of them by name. */
export interface PlannedClusters {
  readonly plans: readonly ClusterPlan[];
  readonly clusters: ShardedMap<Cluster>;
}

/**
 * The pieces of what the clients of some profiles receive, and what each was made from: a change has those made anew that
 * it is about. Whatever has pauses may be left in one; it is then as if it had not begun, but for the pieces that it made.
 */
export class OutlineMemory {
  readonly #ground = new Ground();
  #basis: OutlineBasis | undefined;
  readonly #clusterGround = new Ground();
  readonly #clusters = new Pieces<readonly ClusterPlan[]>(this.#clusterGround, keepPlans);
  readonly #clustersByName = new Joined((plans: readonly ClusterPlan[]) =>
    plans.map(({ cluster }) => [cluster.name, cluster] as const),
  );
  #reached:
    | {
        readonly world: Reached;
        /** By service, in their order. */
        readonly all: readonly (readonly ClusterPlan[])[];
        readonly made: PlannedClusters;
      }
    | undefined;
  readonly #units = new Pieces<ListenerUnit>(this.#ground, keepUnit);
  readonly #listeners = new Joined(({ listeners }: ListenerUnit) => listeners);
  readonly #routes = new Joined(({ routes }: ListenerUnit) =>
    routes === undefined ? [] : [[routes.name, routes] as const],
  );
  readonly grpc = new GrpcOutlines();
  readonly #endpointGround = new Ground();
  readonly #endpoints = new Pieces<ClusterLoadAssignment>(this.#endpointGround, keepEqual);
  #policies: { readonly from: readonly unknown[]; readonly made: CompileWorld['policies'] } | undefined;

  /** Whether the outline that was made last would be the same now. */
  holds(view: ConfigView, basis: OutlineBasis): boolean {
    const last = this.#basis;
    return (
      last !== undefined &&
      last.shape === basis.shape &&
      isEqual(last.config, basis.config) &&
      isSameAnswer(last.profile.sidecar, basis.profile.sidecar) &&
      this.#ground.holds(view) &&
      this.#clusterGround.holds(view)
    );
  }

  /** Makes an outline of the pieces. */
  *outline<T>(view: ConfigView, basis: OutlineBasis, make: (view: ConfigView) => Steps<T>): Steps<T> {
    const { value, reads } = yield* recordSteps(view, make);
    this.#ground.add(reads);
    this.#ground.settle(view);
    this.#basis = basis;
    return value;
  }

  /** The policies by host: the same map as long as it follows from the same. */
  policies(from: readonly unknown[], make: () => CompileWorld['policies']): CompileWorld['policies'] {
    const last = this.#policies;
    if (last !== undefined && from.every((one, at) => one === last.from[at])) return last.made;
    const made = make();
    this.#policies = { from, made };
    return made;
  }

  /**
   * The clusters of services. Where nothing but workloads came and went, those alone are looked at that the services have
   * whom these may serve.
   */
  *clusters(
    world: CompileWorld,
    plan: (service: MeshService, take: Pieces<readonly ClusterPlan[]>) => readonly ClusterPlan[],
  ): Steps<PlannedClusters> {
    const last = this.#reached;
    const isReached =
      last !== undefined && isSameReach(last.world, world) && this.#clusterGround.holds(world.view);
    if (isReached && last.world.registry.services === world.registry.services) return last.made;
    const concerned = isReached
      ? concernedServices(world.services, changedBetween(last.world.registry, world.registry))
      : undefined;
    // Left in a pause, the pieces are ahead of what was reached.
    this.#reached = undefined;
    if (concerned === undefined) this.#clusters.begin();
    const all: (readonly ClusterPlan[])[] = [];
    const pauses = new Pauses();
    for (const service of world.services.values()) {
      const known = concerned?.has(service) === false ? last?.all[all.length] : undefined;
      all.push(known ?? plan(service, this.#clusters));
      if (pauses.areDue()) yield;
    }
    yield;
    const changes = this.#clusters.end();
    const isSameOrder = last !== undefined && changes.length === 0;
    const made = {
      plans: isSameOrder ? last.made.plans : all.flat(),
      clusters: this.#clustersByName.after(changes, () => all),
    };
    this.#clusterGround.settle(world.view);
    this.#reached = { world, all, made };
    return made;
  }

  /** The listeners that units come to, with their tables. */
  *listeners(
    make: (units: Pieces<ListenerUnit>) => Steps<readonly ListenerUnit[]>,
  ): Steps<Pick<CommonOutline, 'listeners' | 'routes'>> {
    this.#units.begin();
    const all = yield* make(this.#units);
    yield;
    const changes = this.#units.end();
    return {
      listeners: this.#listeners.after(changes, () => all),
      routes: this.#routes.after(changes, () => all),
    };
  }

  /** Whether endpoints that were made of the same clusters and registry would be the same now. */
  endpointsHold(view: ConfigView): boolean {
    return this.#endpointGround.holds(view);
  }

  /** Makes endpoints of the pieces: all, or some beside those that are there. */
  *endpoints<T>(
    view: ConfigView,
    which: 'all' | 'some',
    make: (view: ConfigView, endpoints: Pieces<ClusterLoadAssignment>) => Steps<T>,
  ): Steps<T> {
    if (which === 'all') this.#endpoints.begin();
    const { value, reads } = yield* recordSteps(view, (recorded) => make(recorded, this.#endpoints));
    this.#endpoints.end();
    this.#endpointGround.add(reads);
    this.#endpointGround.settle(view);
    return value;
  }
}

function isSameReach(left: Reached, right: Reached): boolean {
  return (
    left.services === right.services && left.policies === right.policies && isEqual(left.config, right.config)
  );
}

function keepEqual<T>(before: T, after: T): T {
  return isEqual(before, after) ? before : after;
}

function keepPlans(before: readonly ClusterPlan[], after: readonly ClusterPlan[]): readonly ClusterPlan[] {
  return after.map((plan, at) => {
    const cluster = before[at]?.cluster;
    return cluster !== undefined && isEqual(cluster, plan.cluster) ? { ...plan, cluster } : plan;
  });
}

function keepUnit(before: ListenerUnit, after: ListenerUnit): ListenerUnit {
  const known = new Map(before.listeners);
  const listeners = after.listeners.map(([name, one]) => {
    const old = known.get(name);
    return [name, old === undefined ? one : keepEqual(old, one)] as const;
  });
  return { listeners, routes: keepEqual(before.routes, after.routes) };
}
