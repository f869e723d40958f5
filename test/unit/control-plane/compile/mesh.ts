import { createCompiler } from '../../../../src/control-plane/compile/compile.js';
import type { ConfigView } from '../../../../src/control-plane/kinds/view.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import { type RegistrySnapshot, snapshotOf } from '../../../../src/control-plane/registry/snapshot.js';
import { createWorkload, type WorkloadInput } from '../../../../src/control-plane/registry/workload.js';
import type { ResourceSet } from '../../../../src/control-plane/resources/resource-set.js';
import { formatViolations } from '../../../../src/control-plane/schema/format.js';
import { createConfigStore } from '../../../../src/control-plane/store/config-store.js';
import { NO_LOCALITY } from '../../../../src/model/endpoint.js';
import type { Node, NodeMetadata } from '../../../../src/model/node.js';
import type { Route, RouteAction } from '../../../../src/model/route.js';
import { systemClock } from '../../../../src/runtime/clock.js';
import { silentLogger } from '../../../../src/runtime/log.js';

/** The view of a text; a text that is refused fails the test. */
export function viewOf(text: string): ConfigView {
  const store = createConfigStore({ clock: systemClock, logger: silentLogger });
  const result = store.propose('test', { files: [{ file: 'test.yaml', content: text }] });
  if (!result.accepted) throw new Error(formatViolations(result.violations));
  return store.current.value;
}

/** A registry in which each workload has an owner of its own. */
export function registryOf(workloads: readonly WorkloadInput[], revision = 1): RegistrySnapshot {
  return snapshotOf(
    workloads.map((one, index) => createWorkload(`node-${index}`, one)),
    revision,
  );
}

/** A client node. */
export function nodeOf(metadata: Partial<NodeMetadata> = {}): Node {
  return {
    id: 'sidecar~127.0.0.1~client.default~default.svc.cluster.local',
    cluster: 'client.default',
    locality: NO_LOCALITY,
    metadata: {
      NAMESPACE: 'default',
      SERVICE_ACCOUNT: 'default',
      LABELS: {},
      INSTANCE_IPS: '127.0.0.1',
      GENERATOR: 'inmesh',
      ...metadata,
    },
  };
}

/** What a client receives. */
export function compile(
  text: string,
  workloads: readonly WorkloadInput[] = [],
  node: Node = nodeOf(),
): ResourceSet {
  return createCompiler(DEFAULT_MESH_CONFIG).compile(viewOf(text), registryOf(workloads), node);
}

/** The routes of a host's listener. */
export function routesOf(set: ResourceSet, host: string, port: number): readonly Route[] {
  const [virtualHost] = set.routes.get(`outbound|${port}||${host}`)?.virtualHosts ?? [];
  return virtualHost?.routes ?? [];
}

/** The action of a route that forwards. */
export function forwarding(route: Route | undefined): RouteAction {
  if (route?.action.kind !== 'forward') throw new Error(`does not forward: ${JSON.stringify(route)}`);
  return route.action;
}

/** A Service document. */
export function service(name: string, port = 9080, namespace = 'default', portName = 'http'): string {
  return `---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  selector: { app: ${name} }
  ports: [{ name: ${portName}, port: ${port} }]
`;
}

/** A document of Istio's networking group with the given specification, in flow or block style below `spec`. */
export function networking(kind: string, name: string, spec: string, namespace = 'default'): string {
  return `---
apiVersion: ${kind === 'PeerAuthentication' ? 'security' : 'networking'}.istio.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec:
${spec.replace(/^/gm, '  ')}
`;
}
