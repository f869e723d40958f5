import { NO_LOCALITY } from '../model/endpoint.js';
import type { Node } from '../model/node.js';
import { systemClock } from '../runtime/clock.js';
import { MeshError } from '../runtime/errors.js';
import { silentLogger } from '../runtime/log.js';
import { createCompiler } from './compile/compile.js';
import { createMeshConfig, type MeshConfig, type MeshSettings } from './compile/mesh-config.js';
import { meshConfigOf } from './compile/mesh-document.js';
import { type CallerQuery, findCaller } from './explain/caller.js';
import { explainRequest } from './explain/explain.js';
import type { RequestExplanation } from './explain/explanation.js';
import type { ExplainedRequest } from './explain/request.js';
import { GATEWAY_NAME_LABEL } from './gateway-api/gateway-services.js';
import { type RegistrySnapshot, snapshotOf } from './registry/snapshot.js';
import { DEFAULT_LIMITS } from './schema/limits.js';
import type { Violation } from './schema/violation.js';
import { readFiles } from './sources/read-files.js';
import { createConfigStore } from './store/config-store.js';
import type { ConfigInput } from './store/file-reader.js';
import type { ConfigView } from './store/view.js';

/** A request, who sends it, and by what way. */
export interface ExplainQuery extends ExplainedRequest, CallerQuery {
  /** `namespace/name` of a Gateway by which it comes in; undefined = a member of the mesh sends it. */
  readonly gateway?: string | undefined;
}

/** What documents would do with a request. */
export type ExplainResult =
  | {
      readonly accepted: true;
      readonly explanation: RequestExplanation;
      readonly warnings: readonly Violation[];
    }
  | { readonly accepted: false; readonly violations: readonly Violation[] };

/** Tells what the documents in files and folders would do with a request. */
export async function explainFiles(
  paths: readonly string[],
  query: ExplainQuery,
  mesh: MeshSettings = {},
): Promise<ExplainResult> {
  return explainDocuments(await readFiles(paths, DEFAULT_LIMITS), query, mesh);
}

/** Tells what documents would do with a request when nobody is registered. */
export async function explainDocuments(
  input: ConfigInput,
  query: ExplainQuery,
  mesh: MeshSettings = {},
): Promise<ExplainResult> {
  const store = createConfigStore({ clock: systemClock, logger: silentLogger });
  const result = store.propose('documents', input);
  if (!result.accepted) return { accepted: false, violations: result.violations };
  const view = store.current.value;
  const state = { view, registry: snapshotOf([]), config: meshConfigOf(view, createMeshConfig(mesh)) };
  return { accepted: true, explanation: await explainIn(state, query), warnings: store.warnings.value };
}

/** Everything that the answer depends on besides the question. */
export interface ExplainState {
  readonly view: ConfigView;
  readonly registry: RegistrySnapshot;
  readonly config: MeshConfig;
}

/** Tells what a configuration with its registered workloads does with a request. */
export function explainIn(state: ExplainState, query: ExplainQuery): Promise<RequestExplanation> {
  const { view, registry, config } = state;
  const isByGateway = query.gateway !== undefined;
  const caller = isByGateway ? gatewayCaller(query.gateway, query, view) : findCaller(query, view, registry);
  const node = nodeOf(caller, isByGateway);
  const set = createCompiler(config).compile(view, registry, node);
  const port = isByGateway ? portOf(query.url) : undefined;
  return explainRequest(query, {
    ...state,
    config: meshConfigOf(view, config),
    set,
    caller,
    gatewayPort: port,
  });
}

function gatewayCaller(name: string | undefined, { labels }: CallerQuery, view: ConfigView) {
  const [namespace = '', own = ''] = name?.includes('/') ? name.split('/') : ['default', name];
  const gateway = view.get('Gateway', namespace, own);
  if (gateway === undefined && view.get('Gateway.gateway.networking.k8s.io', namespace, own) !== undefined) {
    return {
      namespace,
      name: own,
      labels: { ...labels, [GATEWAY_NAME_LABEL]: own },
      serviceAccount: 'default',
    };
  }
  if (gateway === undefined) {
    throw new MeshError('INMESH_OPTION_INVALID', `there is no Gateway ${namespace}/${own}`, {
      hint: 'Name it as namespace/name',
    });
  }
  return { namespace, name: own, labels: labels ?? gateway.spec.selector ?? {}, serviceAccount: 'default' };
}

function portOf(url: string): number {
  const [, scheme, port] = /^(?:(https?):\/\/)?(?:\[[^\]]*\]|[^/?#:]*)(?::(\d+))?/i.exec(url.trim()) ?? [];
  if (port !== undefined) return Number(port);
  return scheme?.toLowerCase() === 'https' ? 443 : 80;
}

function nodeOf(
  { namespace, labels, serviceAccount }: ReturnType<typeof findCaller>,
  isGateway: boolean,
): Node {
  return {
    id: `${isGateway ? 'router' : 'sidecar'}~127.0.0.1~explain.${namespace}~${namespace}.svc.cluster.local`,
    cluster: `explain.${namespace}`,
    locality: NO_LOCALITY,
    metadata: {
      NAMESPACE: namespace,
      SERVICE_ACCOUNT: serviceAccount,
      LABELS: labels,
      INSTANCE_IPS: isGateway ? '127.0.0.2' : '127.0.0.1',
      GENERATOR: isGateway ? 'envoy' : 'inmesh',
    },
  };
}
