import type { Cluster } from '../../../model/cluster.js';
import type { ClusterLoadAssignment } from '../../../model/endpoint.js';
import type { Listener, OutboundListener } from '../../../model/listener.js';
import type { RouteConfiguration } from '../../../model/route.js';
import type { Steps } from '../../../runtime/steps.js';
import { OUTBOUND_FILTERS } from '../fault.js';
import { Joined } from '../joined.js';
import { Mapped } from '../mapped.js';
import type { CommonOutline } from '../outlined.js';
import type { PieceChange } from '../pieces.js';
import { emptyCluster, type GrpcCluster, grpcCluster } from './clusters.js';
import { clustersOf, grpcRoutes } from './routes.js';

/** What gRPC's own clients are sent in place of the common outline; follows it at the cost of what changes. */
export class GrpcOutlines {
  readonly #routes = new Mapped((table: RouteConfiguration) => grpcTable(table));
  readonly #listeners = new Mapped(grpcListeners);
  readonly #listenersByName = new Joined((all: readonly OutboundListener[]) =>
    all.map((one) => [one.name, one as Listener] as const),
  );
  readonly #clusters = new Mapped(grpcCluster);
  /** A client waits 15 s for a cluster that a route names and nobody has, with all its calls (gRFC A57). */
  readonly #empty = new Map<string, GrpcCluster>();
  readonly #clustersByName = new Joined(({ clusters }: GrpcCluster) =>
    clusters.map((one): readonly [string, Cluster] => [one.name, one]),
  );
  readonly #ownEndpoints = new Joined(({ endpoints }: GrpcCluster) =>
    endpoints.map((one): readonly [string, ClusterLoadAssignment] => [one.clusterName, one]),
  );

  /** May be left in a pause. */
  *of(outline: CommonOutline): Steps<CommonOutline> {
    yield* this.#routes.prepare(outline.routes);
    yield* this.#listeners.prepare(outline.listeners);
    yield* this.#clusters.prepare(outline.clusters);
    const tables = this.#routes.of(outline.routes);
    const listeners = this.#listeners.of(outline.listeners);
    const clusters = this.#clusters.of(outline.clusters);
    const isSame = tables.changes.length === 0 && clusters.changes.length === 0;
    const changes = isSame
      ? []
      : [...clusters.changes, ...this.#emptyChanges(tables.map.values(), clusters.map)];
    const all = () => [...clusters.map.values(), ...this.#empty.values()];
    return {
      ...outline,
      listeners: this.#listenersByName.after(listeners.changes, () => listeners.map.values()),
      routes: this.#tablesByName.after(tables.changes, () => tables.map.values()),
      clusters: this.#clustersByName.after(changes, all),
      ownEndpoints: this.#ownEndpoints.after(changes, all),
    };
  }

  readonly #tablesByName = new Joined(({ table }: GrpcTable) => [[table.name, table] as const]);

  /** Which clusters without endpoints there must be, and need not be any more. */
  #emptyChanges(
    tables: Iterable<GrpcTable>,
    clusters: ReadonlyMap<string, GrpcCluster>,
  ): readonly PieceChange<GrpcCluster>[] {
    const known = new Set<string>();
    for (const one of clusters.values()) for (const { name } of one.clusters) known.add(name);
    const missing = new Set<string>();
    for (const { clusters: named } of tables)
      for (const name of named) if (!known.has(name)) missing.add(name);
    const changes: PieceChange<GrpcCluster>[] = [];
    for (const [name, before] of this.#empty) {
      if (missing.has(name)) continue;
      this.#empty.delete(name);
      changes.push({ before, after: undefined });
    }
    for (const name of missing) {
      if (this.#empty.has(name)) continue;
      const after = emptyCluster(name);
      this.#empty.set(name, after);
      changes.push({ before: undefined, after });
    }
    return changes;
  }
}

interface GrpcTable {
  readonly table: RouteConfiguration;
  /** Names of the clusters that its routes lead to. */
  readonly clusters: readonly string[];
}

function grpcTable(common: RouteConfiguration): GrpcTable {
  const table = grpcRoutes(common);
  return { table, clusters: clustersOf(table) };
}

function grpcListeners(listener: Listener): readonly OutboundListener[] {
  if (listener.kind !== 'outbound') return [];
  // gRFC A39: a filter that a client does not know makes it refuse the listener.
  const http = { routes: listener.http.routes, filters: OUTBOUND_FILTERS };
  return [{ kind: 'outbound', name: listener.name, http }];
}
