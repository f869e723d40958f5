import { CLUSTER_LOAD_ASSIGNMENT } from '../codec/resource-types.js';
import type { ResolvedCluster, Snapshot } from '../model/snapshot.js';
import type { Received } from './protocol.js';
import type { ResourceView } from './resolution.js';
import { isXdstp } from './resource-name.js';

/** The clusters of a snapshot by the EDS name of their endpoints. */
type Index = ReadonlyMap<string, readonly string[]>;

/** Snapshots that differ in endpoints only share their listeners, and so the index. */
const indexes = new WeakMap<Snapshot['outbound'], Index>();

/**
 * The snapshot with the present endpoints of these EDS names, when nothing else changed since it was resolved without
 * anything missing: the rest of the configuration is not looked at. Undefined when that can't be told from them.
 */
export function withAssignments(
  view: Pick<ResourceView, 'assignment'>,
  snapshot: Snapshot,
  names: Iterable<string>,
): Snapshot | undefined {
  const index = indexOf(snapshot);
  let clusters: Map<string, ResolvedCluster> | undefined;
  for (const name of names) {
    const found = view.assignment(name);
    if (found === 'pending') return undefined;
    const assignment = found === 'absent' || found === 'refused' ? undefined : found;
    for (const user of index.get(name) ?? []) {
      const old = snapshot.clusters.get(user);
      if (old === undefined || old.assignment === assignment) continue;
      clusters ??= new Map(snapshot.clusters);
      clusters.set(user, { cluster: old.cluster, assignment });
    }
  }
  return clusters === undefined ? snapshot : { ...snapshot, clusters };
}

function indexOf({ outbound, clusters }: Snapshot): Index {
  let index = indexes.get(outbound);
  if (index === undefined) {
    index = build(clusters);
    indexes.set(outbound, index);
  }
  return index;
}

function build(clusters: Snapshot['clusters']): Index {
  const index = new Map<string, string[]>();
  for (const [name, { cluster }] of clusters) {
    if (cluster.discovery.kind !== 'eds') continue;
    const { serviceName } = cluster.discovery;
    const users = index.get(serviceName);
    if (users === undefined) index.set(serviceName, [name]);
    else users.push(name);
  }
  return index;
}

/** The EDS names that a response says something about, when it changes nothing else. */
export function changedAssignments({ typeUrl, changes, errors }: Received): readonly string[] | undefined {
  if (errors.length > 0) return undefined;
  if (typeUrl === CLUSTER_LOAD_ASSIGNMENT.typeUrl) {
    // A name that can be spelled in several ways may be that of several clusters.
    return changes.some(({ name }) => isXdstp(name)) ? undefined : changes.map(({ name }) => name);
  }
  // Servers send everything of a type again when they send anything of it.
  return changes.every(({ kind }) => kind === 'unchanged') ? [] : undefined;
}
