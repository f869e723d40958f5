import { create } from '@bufbuild/protobuf';
import type { Cluster } from '../model/cluster.js';
import { packAny } from '../proto/any.js';
import { cluster, core, type listener } from '../proto/xds.js';
import { decodeCluster, encodeCluster } from './cluster.js';
import { decodeAny } from './codec.js';
import { at, type Path, refuse } from './path.js';

/** Where a listener's metadata says how the process that serves it asks itself for its health. */
export const READINESS_METADATA = 'inmesh.readiness';

/** The cluster of one host, with the health check, that the process probes to know whether it is ready. */
export function decodeReadiness(message: listener.Listener, path: Path): Cluster | undefined {
  const any = message.metadata?.typedFilterMetadata[READINESS_METADATA];
  if (any === undefined) return undefined;
  const own = at(at(path, 'metadata'), READINESS_METADATA);
  const found = decodeAny(cluster.ClusterSchema, any, own);
  if (found === undefined) return refuse(own, 'must be a Cluster');
  const model = decodeCluster(found, own);
  if (model.healthCheck === undefined || model.discovery.kind !== 'static')
    return refuse(own, 'must be a static cluster with a health check');
  return model;
}

/** As metadata of the listener. */
export function encodeReadiness(readiness: Cluster, message: listener.Listener): void {
  message.metadata = create(core.MetadataSchema, {
    typedFilterMetadata: {
      [READINESS_METADATA]: packAny(cluster.ClusterSchema, encodeCluster(readiness)),
    },
  });
}
