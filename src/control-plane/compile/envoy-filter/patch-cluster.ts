import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { cluster } from '../../../proto/xds.js';
import { listsOf, merges } from './list-patches.js';
import { mergeAny, mergeMessage } from './merge-message.js';
import { cloned } from './message-value.js';
import { isInContext, type Patch, type PatchContext } from './patches.js';

type Cluster = cluster.Cluster;

/** A cluster with its patches; undefined when one removes it (Istio: ApplyClusterMerge). */
export function patchCluster(
  bytes: Uint8Array,
  patches: readonly Patch[],
  context: PatchContext,
): Uint8Array | undefined {
  const all = patches.filter((patch) => patch.applyTo === 'CLUSTER' && isInContext(patch, context));
  if (all.length === 0) return bytes;
  let message = fromBinary(cluster.ClusterSchema, bytes);
  const own = all.filter((patch) => isForCluster(patch, message.name));
  if (own.length === 0) return bytes;
  for (const patch of own) {
    if (patch.operation === 'REMOVE') return undefined;
    if (merges(patch)) message = merge(message, patch);
  }
  return toBinary(cluster.ClusterSchema, message);
}

/** Clusters that patches bring. */
export function addedClusters(patches: readonly Patch[], context: PatchContext): readonly Cluster[] {
  return patches
    .filter((one) => one.applyTo === 'CLUSTER' && one.operation === 'ADD' && isInContext(one, context))
    .flatMap(({ value }) => cloned(cluster.ClusterSchema, value) ?? []);
}

/** Whether a patch is for the cluster of that name. */
export function isForCluster({ match }: Patch, name: string): boolean {
  const wanted = match.cluster;
  if (wanted === undefined) return true;
  // Istio: a name is enough.
  if (wanted.name) return wanted.name === name;
  const [, port = '', subset = '', host = ''] = name.split('|');
  return (
    (!wanted.subset || wanted.subset === subset) &&
    (!wanted.service || wanted.service === host) &&
    (!wanted.portNumber || String(wanted.portNumber) === port)
  );
}

/** Istio (mergeTransportSocketCluster): a patch with TLS changes TLS alone: that of its kind within, else as a whole. */
function merge(message: Cluster, patch: Patch): Cluster {
  const value = cloned(cluster.ClusterSchema, patch.value);
  if (value === undefined) return message;
  const wanted = value.transportSocket;
  if (wanted === undefined) return mergeMessage(cluster.ClusterSchema, message, value, listsOf(patch));
  const matches = message.transportSocketMatches.map(({ transportSocket }) => transportSocket);
  const socket = [...matches, message.transportSocket].find((one) => one?.name === wanted.name);
  if (socket === undefined) {
    // Both at once is nothing that an Envoy takes.
    if (matches.length === 0) message.transportSocket = wanted;
  } else if (socket.configType.case === 'typedConfig' && wanted.configType.case === 'typedConfig') {
    socket.configType.value = mergeAny(socket.configType.value, wanted.configType.value, listsOf(patch));
  }
  return message;
}
