import {
  CLUSTER,
  CLUSTER_LOAD_ASSIGNMENT,
  LISTENER,
  ROUTE_CONFIGURATION,
} from '../../../src/codec/resource-types.js';
import { createCompiler } from '../../../src/control-plane/compile/compile.js';
import { type ExplainQuery, explainIn } from '../../../src/control-plane/explain/explain-in.js';
import type { RequestExplanation } from '../../../src/control-plane/explain/explanation.js';
import { DEFAULT_MESH_CONFIG } from '../../../src/control-plane/mesh/mesh-config.js';
import type { WorkloadInput } from '../../../src/control-plane/registry/workload.js';
import type { ResourceSet } from '../../../src/control-plane/resources/resource-set.js';
import type { Snapshot } from '../../../src/model/snapshot.js';
import type { Found } from '../../../src/xds/found.js';
import { resolve } from '../../../src/xds/resolve.js';
import { nodeOf, registryOf, viewOf } from '../../unit/control-plane/compile/mesh.js';
import { createDataPath, type DataPath } from '../../unit/mesh/support.js';

/** The same documents twice: what the control plane says of them, and a client that was sent what they come to. */
export interface BothSides {
  readonly live: DataPath;
  explain(query: ExplainQuery): Promise<RequestExplanation>;
}

export function bothSides(text: string, workloads: readonly WorkloadInput[]): BothSides {
  const view = viewOf(text);
  const registry = registryOf(workloads);
  const set = createCompiler(DEFAULT_MESH_CONFIG).compile(view, registry, nodeOf());
  return {
    live: createDataPath(receivedBy(set)),
    explain: (query) => explainIn({ view, registry, config: DEFAULT_MESH_CONFIG }, query),
  };
}

interface Codec<T extends object> {
  decode(bytes: Uint8Array): { readonly name: string; readonly resource: T };
}

/** What a client makes of the bytes of a set. */
function receivedBy({ listeners, routes, clusters, endpoints, encoders }: ResourceSet): Snapshot {
  const found = <T extends object>(
    all: ReadonlyMap<string, T>,
    encode: (one: T) => Uint8Array,
    codec: Codec<T>,
  ) => {
    const decoded = new Map(
      [...all].map(([name, one]) => [name, codec.decode(encode(one)).resource] as const),
    );
    return (name: string): Found<T> => decoded.get(name) ?? 'absent';
  };
  const view = {
    listener: found(listeners, encoders.listener, LISTENER),
    routes: found(routes, encoders.route, ROUTE_CONFIGURATION),
    cluster: found(clusters, encoders.cluster, CLUSTER),
    assignment: found(endpoints, encoders.endpoints, CLUSTER_LOAD_ASSIGNMENT),
    virtualHosts: () => ({ hosts: [], isPending: false }),
    secret: () => 'absent' as const,
    extension: () => 'absent' as const,
    runtime: () => 'absent' as const,
  };
  const { snapshot, missing } = resolve(view, listeners.keys());
  if (missing.length > 0) throw new Error(`missing: ${JSON.stringify(missing)}`);
  return snapshot;
}
