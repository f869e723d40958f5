import type { Node } from '../../model/node.js';
import { createWorkload, type Workload } from './workload.js';

/**
 * The workloads that an xDS node says it serves. Undefined when the node does not take part in registration
 * (no `INMESH_WORKLOADS`); an empty list means that it serves nothing (any more).
 * @throws MeshError `INMESH_OPTION_INVALID` when one of them is malformed.
 */
export function workloadsOfNode(node: Node): readonly Workload[] | undefined {
  const { metadata, locality } = node;
  return metadata.INMESH_WORKLOADS?.map((served) =>
    createWorkload(node.id, {
      ...served,
      namespace: metadata.NAMESPACE,
      version: metadata.INMESH_VERSION ?? metadata.LABELS['version'],
      labels: metadata.LABELS,
      serviceAccount: metadata.SERVICE_ACCOUNT,
      locality,
      clusterId: metadata.CLUSTER_ID,
    }),
  );
}
