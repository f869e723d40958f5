import type { Node, NodeMetadata, NodeWorkload, PlaintextCaller } from '../model/node.js';
import type { WorkloadInfo } from '../service/workload.js';
import { fillTemplate } from './listener-names.js';
import type { ResolvedMeshOptions } from './options.js';

/** What this process says about itself to the control plane. */
export function describeNode(
  options: ResolvedMeshOptions,
  workloads: readonly NodeWorkload[],
  callers: readonly PlaintextCaller[] = [],
  health?: NodeMetadata['INMESH_HEALTH'],
): Node {
  const { service, version, namespace, nodeExtra } = options;
  const { GENERATOR, AUTO_REGISTER_GROUP: group } = nodeExtra;
  return {
    id: options.nodeId,
    cluster: options.nodeCluster,
    locality: options.locality,
    extra: nodeExtra,
    clientFeatures: options.clientFeatures,
    dynamicParameters: options.control.dynamicParameters,
    metadata: {
      NAMESPACE: namespace,
      SERVICE_ACCOUNT: options.serviceAccount,
      LABELS: {
        app: service,
        ...(version === '' ? {} : { version }),
        'service.istio.io/canonical-name': service,
        ...(version === '' ? {} : { 'service.istio.io/canonical-revision': version }),
        ...options.labels,
      },
      INSTANCE_IPS: options.address,
      // A bootstrap made for another control plane says which kind of configuration it has, e.g. istiod's `grpc`.
      GENERATOR: typeof GENERATOR === 'string' ? GENERATOR : 'inmesh',
      CLUSTER_ID: options.clusterId,
      ...(version === '' ? {} : { INMESH_VERSION: version }),
      ...(typeof group === 'string' && group !== '' && { AUTO_REGISTER_GROUP: group }),
      ...(health !== undefined && { INMESH_HEALTH: health }),
      INMESH_WORKLOADS: workloads,
      ...(callers.length > 0 && { INMESH_PLAINTEXT: callers }),
    },
  };
}

/** This process as telemetry names it. */
export function describeWorkload(options: ResolvedMeshOptions): WorkloadInfo {
  const { service, version, namespace, labels } = options;
  return {
    workload: service,
    namespace,
    canonicalService: labels['service.istio.io/canonical-name'] ?? service,
    // Istio's default.
    canonicalRevision: labels['service.istio.io/canonical-revision'] ?? (version === '' ? 'latest' : version),
    app: labels['app'] ?? service,
    version: labels['version'] ?? version,
    cluster: options.clusterId,
  };
}

/** Name of the inbound listener of a served address (gRFC A36 `server_listener_resource_name_template`). */
export function inboundListenerName(template: string, address: string, port: number): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return fillTemplate(template, `${host}:${port}`);
}
