import { indexDestinationRules } from '../compile/destination-rules.js';
import { indexInstances, registeredIn } from '../compile/instances.js';
import { mtlsModes } from '../compile/peer-authentication.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { listServices, visibleServices } from '../mesh/services.js';
import { selects } from '../mesh/visibility.js';
import { checkAuthorization } from '../policy/authorization-check.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import type { Caller } from './caller.js';
import type { ExplainedHead, ExplainedServer } from './explanation.js';

/** Who serves: a cluster by its name, as `outbound|port|subset|host`. */
export interface ServerQuery {
  readonly clusterName: string;
  readonly caller: Caller;
  readonly head: ExplainedHead;
  /** Whether the client would speak TLS of the mesh. */
  readonly isMutual: boolean;
}

interface World {
  readonly view: ConfigView;
  readonly registry: RegistrySnapshot;
  readonly config: MeshConfig;
}

/** What the workloads behind a cluster say of the request; those that are alike stand once. */
export function serverPolicies(query: ServerQuery, world: World): readonly ExplainedServer[] {
  const { view, registry, config } = world;
  const [, port, subset, host] = /^outbound\|(\d+)\|([^|]*)\|(.+)$/.exec(query.clusterName) ?? [];
  const services = visibleServices(listServices(view, registry), query.caller.namespace, config);
  const service = services.find((one) => one.host === host);
  const servicePort = service?.ports.find(({ number }) => number === Number(port));
  if (service === undefined || servicePort === undefined) return [];
  const rules = indexDestinationRules(view, config).find({
    clientNamespace: query.caller.namespace,
    labels: query.caller.labels,
    serviceNamespace: service.namespace,
    host: service.host,
  });
  const subsetLabels = rules.subsets.find(({ name }) => name === subset)?.labels;
  const instances = indexInstances(view, registeredIn(registry))
    .of(service, servicePort)
    .filter(({ labels }) => selects(subsetLabels, labels));
  const modes = mtlsModes(view, config);
  const found = new Map<string, ExplainedServer>();
  const { source } = service;
  const selector = source.kind === 'kubernetes' ? source.spec.selector : undefined;
  // What nothing selects is served by those who registered for it.
  const registered = source.kind !== 'entry' && selector === undefined ? source.name : undefined;
  // Before anybody runs there is what the service selects.
  const workloads =
    instances.length > 0
      ? instances
      : [
          {
            namespace: service.namespace,
            labels: { ...selector, ...subsetLabels },
            port: Number(servicePort.target ?? port),
          },
        ];
  for (const { namespace, labels, port: serving } of workloads) {
    const key = JSON.stringify([namespace, labels, serving]);
    if (found.has(key)) continue;
    const mtls = modes({ namespace, labels }, serving);
    const server = { namespace, labels, service: registered, serving };
    found.set(key, { namespace, labels, mtls, ...decide(query, server, world) });
  }
  return [...found.values()];
}

function decide(
  { caller, head, isMutual }: ServerQuery,
  server: {
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly service: string | undefined;
    readonly serving: number;
  },
  world: World,
): Pick<ExplainedServer, 'authorization' | 'policies'> {
  const principal = `${world.config.trustDomain}/ns/${caller.namespace}/sa/${caller.serviceAccount}`;
  const request = {
    protocol: head.method === '' ? ('tcp' as const) : ('http' as const),
    method: head.method,
    authority: head.authority,
    path: head.path,
    headers: head.headers,
    principal: isMutual ? principal : undefined,
    port: server.serving,
  };
  const { namespace: serverNamespace, labels, service } = server;
  const { decision, policies } = checkAuthorization(world, {
    namespace: serverNamespace,
    labels,
    service,
    request,
  });
  return {
    authorization: decision?.verdict ?? 'allowed',
    policies: policies.map(({ namespace, name }) => `${namespace}/${name}`),
  };
}
