import type { Node } from '../../model/node.js';
import { createWorkload, membersOf, type Workload, type WorkloadHealth } from './workload.js';

/**
 * The workloads that an xDS node says it serves. Undefined when the node does not take part in registration; an empty list
 * means that it serves nothing (any more). Istio's automatic registration: a node that names a WorkloadGroup and no ports
 * serves those of the group. `reported` is what it last said of its health beside its metadata.
 * @throws MeshError `INMESH_OPTION_INVALID` when one of them is malformed.
 */
export function workloadsOfNode(node: Node, reported?: WorkloadHealth): readonly Workload[] | undefined {
  const { metadata, locality } = node;
  const { AUTO_REGISTER_GROUP: group, INMESH_WORKLOADS: served } = metadata;
  const common = {
    namespace: metadata.NAMESPACE,
    labels: metadata.LABELS,
    serviceAccount: metadata.SERVICE_ACCOUNT,
    locality,
    clusterId: metadata.CLUSTER_ID,
    group,
    health: reported ?? metadata.INMESH_HEALTH,
  };
  if (served !== undefined) {
    const version = metadata.INMESH_VERSION ?? metadata.LABELS['version'];
    return served.map((one) => createWorkload(node.id, { ...common, ...one, version }));
  }
  if (group === undefined) return undefined;
  // Istio: the first of its addresses.
  const [address = ''] = metadata.INSTANCE_IPS.split(',');
  const tlsMode = metadata.LABELS['security.istio.io/tlsMode'] === 'istio' ? 'istio' : 'disabled';
  const namespace = metadata.NAMESPACE || 'default';
  return [
    createWorkload(node.id, {
      ...common,
      namespace,
      service: membersOf(group),
      address,
      port: 0,
      tlsMode,
      isMember: true,
    }),
  ];
}
