import { NO_LOCALITY } from '../../model/endpoint.js';
import type { Node } from '../../model/node.js';
import { MeshError } from '../../runtime/errors.js';
import { type Compiler, createCompiler } from '../compile/compile.js';
import { meshConfigOf } from '../compile/mesh-document.js';
import { typeByLabels } from '../compile/profile.js';
import { GATEWAY_NAME_LABEL } from '../gateway-api/gateway-services.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import { type CallerQuery, findCaller } from './caller.js';
import { connectionOf, explainConnection } from './connection.js';
import { explainRequest } from './explain.js';
import type { RequestExplanation } from './explanation.js';
import type { ExplainedRequest } from './request.js';

/** A request, who sends it, and by what way. */
export interface ExplainQuery extends ExplainedRequest, CallerQuery {
  /** `namespace/name` of a Gateway by which it comes in; undefined = a member of the mesh sends it. */
  readonly gateway?: string | undefined;
}

/** Everything that the answer depends on besides the question. */
export interface ExplainState {
  readonly view: ConfigView;
  readonly registry: RegistrySnapshot;
  readonly config: MeshConfig;
  /** One that has seen the configuration before; default a new one. */
  readonly compiler?: Compiler | undefined;
}

/** Tells what a configuration with its registered workloads does with a request. */
export async function explainIn(state: ExplainState, query: ExplainQuery): Promise<RequestExplanation> {
  const { view, registry, config, compiler = createCompiler(config) } = state;
  const named = query.gateway !== undefined;
  const caller = named ? gatewayCaller(query.gateway, query, view) : findCaller(query, view, registry);
  // Who has the labels of a gateway sends what comes in there.
  const isByGateway = named || (query.labels !== undefined && typeByLabels(query.labels, view) === 'router');
  const node = nodeOf(caller, isByGateway);
  const set = compiler.compile(view, registry, node);
  const port = isByGateway ? portOf(query.url) : undefined;
  const world = { ...state, config: meshConfigOf(view, config), set, caller, gatewayPort: port };
  const connection = connectionOf(query);
  return connection === undefined ? explainRequest(query, world) : explainConnection(connection, world);
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
  const [, scheme = '', port] =
    /^(?:(https?|grpcs?):\/\/)?(?:\[[^\]]*\]|[^/?#:]*)(?::(\d+))?/i.exec(url.trim()) ?? [];
  if (port !== undefined) return Number(port);
  return scheme.toLowerCase().endsWith('s') ? 443 : 80;
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
      // Nobody says where a gateway is.
      INSTANCE_IPS: isGateway ? '' : '127.0.0.1',
      GENERATOR: isGateway ? 'envoy' : 'inmesh',
    },
  };
}
