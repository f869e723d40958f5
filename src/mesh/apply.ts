import type { ClusterRuntime } from '../cluster/cluster.js';
import type { Clusters } from '../cluster/clusters.js';
import { createFilterMemory } from '../filters/filter-memory.js';
import type { ResolvedOutbound, Snapshot } from '../model/snapshot.js';
import { HostTable } from '../routing/host-table.js';
import type { Service } from '../service/service.js';
import { clustersOf } from '../xds/targets.js';
import { hostOfListener } from './listener-names.js';
import { type OutboundTools, outboundService } from './outbound.js';

interface Built {
  readonly service: Service;
  /** The clusters that the stacks hold, to tell whether they must be built again. */
  readonly clusters: ReadonlyMap<string, ClusterRuntime | undefined>;
}

/**
 * Turns snapshots into stacks. What did not change keeps its objects: clusters with their connections and ejections,
 * and the stacks of listeners whose routes and clusters are the same.
 */
export class Applier {
  readonly #clusters: Clusters;
  readonly #tools: Omit<OutboundTools, 'cluster'>;
  #built = new Map<ResolvedOutbound, Built>();
  #applied: { readonly outbound: Snapshot['outbound']; readonly table: HostTable } | undefined;

  constructor(clusters: Clusters, tools: Omit<OutboundTools, 'cluster'>) {
    this.#clusters = clusters;
    this.#tools = { filterMemory: createFilterMemory(), ...tools };
  }

  /** Builds the table for a snapshot. The caller swaps it in; requests under way finish on the old stacks. */
  apply(snapshot: Snapshot): HostTable {
    const { outbound } = snapshot;
    this.#clusters.reconcile(snapshot.clusters);
    // Nothing but endpoints changed: the clusters, and so the stacks on them, are the same objects.
    if (this.#applied?.outbound === outbound) return this.#applied.table;
    const built = new Map<ResolvedOutbound, Built>();
    for (const resolved of outbound.values())
      built.set(resolved, this.#reuse(resolved) ?? this.#build(resolved));
    this.#built = built;
    this.#tools.onDemand?.retain(outbound);
    const table = new HostTable(
      [...built].map(([resolved, { service }]) => [resolved, service] as const),
      hostOfListener,
    );
    this.#applied = { outbound, table };
    return table;
  }

  #reuse(resolved: ResolvedOutbound): Built | undefined {
    const known = this.#built.get(resolved);
    if (known === undefined) return undefined;
    for (const [name, cluster] of known.clusters) if (this.#clusters.get(name) !== cluster) return undefined;
    return known;
  }

  #build(resolved: ResolvedOutbound): Built {
    const names = resolved.routes === undefined ? [] : clustersOf(resolved.routes);
    const clusters = new Map(names.map((name) => [name, this.#clusters.get(name)] as const));
    const service = outboundService(resolved, {
      ...this.#tools,
      cluster: (name) => clusters.get(name) ?? this.#clusters.get(name),
    });
    return { service, clusters };
  }
}
