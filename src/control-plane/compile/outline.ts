import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import { pathRules } from '../mesh/mesh-config.js';
import { listServices, type MeshService, visibleServices } from '../mesh/services.js';
import { snapshotOf } from '../registry/snapshot.js';
import { GRPC_ENCODERS, SDK_ENCODERS } from '../resources/encoders.js';
import { authorizationCompiler } from './authorization/workload.js';
import { backendTlsFields } from './backend-tls.js';
import { type ClusterPlan, chosen, dialsNames, planClusters, servedByEds } from './clusters.js';
import { indexDestinationRules, NO_POLICY } from './destination-rules.js';
import { compileAssignment } from './endpoints.js';
import { listenPorts } from './envoy/gateway-ports.js';
import { envoyGateways } from './envoy/gateways.js';
import { envoyOutline } from './envoy/outline.js';
import { patchOutline } from './envoy-filter/patched.js';
import { breakerOf } from './failure-rate-breakers.js';
import { grpcOutline } from './grpc/outline.js';
import { gatewayFilters } from './inbound-security.js';
import { hasIpAddress, indexInstances, isResolved } from './instances.js';
import { routeHashOf } from './load-balancer.js';
import { compileListeners, policyOfTarget } from './outbound-listeners.js';
import { unknownHostOf } from './outbound-policy.js';
import { OutlineMemory, type Reached } from './outline-memory.js';
import type { CompileInput, Outline } from './outlined.js';
import { mtlsModes } from './peer-authentication.js';
import { PodIndex } from './pods.js';
import type { Profile } from './profile.js';
import type { Target } from './route-context.js';
import { clientScope } from './sidecar.js';
import { meshVirtualServices } from './virtual-services.js';

const DESTINATIONS = { inmesh: 'known', envoy: 'by-name', grpc: 'unknown' } as const;

/** Listeners, routes and clusters for a profile; what the memory has of it and nothing changed in is taken from there. */
export function compileOutline(
  input: CompileInput,
  profile: Profile,
  memory: OutlineMemory = new OutlineMemory(),
): Outline {
  const { generator, patches, envoy } = profile;
  return patchOutline(unpatchedOutline(input, profile, memory), {
    patches,
    encoders: generator === 'grpc' ? GRPC_ENCODERS : SDK_ENCODERS,
    isOurs: generator === 'inmesh',
    // Istio: all that a gateway has is a gateway's.
    context: (envoy?.gateways.length ?? 0) > 0 ? 'GATEWAY' : 'SIDECAR_OUTBOUND',
    onRefused: input.onRefused,
  });
}

function unpatchedOutline(input: CompileInput, profile: Profile, memory: OutlineMemory): Outline {
  const { view, registry, config } = input;
  memory.begin(view, registry);
  const visible = visibleServices(listServices(view, registry), profile.namespace, config);
  const virtualServices = meshVirtualServices(view, profile.namespace, config);
  const scope = clientScope(profile.sidecar?.spec, {
    namespace: profile.namespace,
    services: profile.generator === 'grpc' ? visible.filter(isReachableByGrpc) : visible,
    virtualServices,
  });
  const { services } = scope;
  const { byHost, policies, plans, clusters } = reach(services, input, { profile, memory });
  const outline = {
    ...compileListeners({
      view,
      config,
      profile,
      services: byHost,
      policies,
      scope,
      virtualServices,
      memory,
    }),
    clusters,
    plans,
    freshPlans: memory.end(),
  };
  if (profile.generator === 'grpc') return grpcOutline(outline);
  if (profile.envoy === undefined) return outline;
  const { namespace, envoy: place } = profile;
  const subject = { namespace, labels: place.labels, gateways: place.gateways };
  const { http, tcp } = authorizationCompiler(view, registry, config)(subject);
  const gateways = envoyGateways({
    view,
    profile,
    config,
    serviceOf: (name) => byHost.get(name),
    hashOf: (target) => routeHashOf(policyOfTarget(target, policies.get(target.host), config).loadBalancer),
    policyOf: (target) => policyOfTarget(target, policies.get(target.host), config),
    filters: gatewayFilters(view, subject, { ...input, authorization: http }),
    guards: tcp,
    paths: pathRules(config),
    listenPorts: listenPorts(profile.envoy, {
      services,
      // Envoys do not register, so that documents alone say which services lead to them.
      instances: indexInstances({ view, registry: snapshotOf([]), pods: new PodIndex() }),
      labelsOf: ({ source, namespace }) => {
        if (source.kind === 'implied') return {};
        const kind = source.kind === 'kubernetes' ? 'Service' : 'ServiceEntry';
        return view.get(kind, namespace, source.name)?.labels ?? {};
      },
    }),
  });
  const unknown = unknownHostOf(profile, config, (name) => byHost.get(name));
  return envoyOutline(outline, { options: profile.envoy, config, gateways, unknown });
}

/** The clusters of services, with the policies of connections to them. */
function reach(
  services: readonly MeshService[],
  input: CompileInput,
  { profile, memory }: { readonly profile: Profile; readonly memory: OutlineMemory },
): Reached {
  const { view, config } = input;
  const destinationRules = indexDestinationRules(view, config);
  const instances = indexInstances(input);
  const tools = {
    config,
    client: profile.place,
    instances,
    destinations: DESTINATIONS[profile.generator],
    backendTls: backendTlsFields(view, profile),
    ...(profile.generator === 'inmesh' && {
      breakerOf: (target: Target) => breakerOf(view, target, profile.namespace),
    }),
  };
  return memory.reached([services, destinationRules], () => {
    const byHost = new Map(services.map((service) => [service.host, service]));
    const policies = new Map(
      services.map(({ host, namespace }) => {
        const { namespace: clientNamespace, labels } = profile;
        const query = { clientNamespace, labels, serviceNamespace: namespace, host };
        return [host, destinationRules.find(query)] as const;
      }),
    );
    const plans = services.flatMap((service) => {
      const policy = policies.get(service.host) ?? NO_POLICY;
      return memory.clusters(service, policy, () => planClusters(service, policy, tools));
    });
    return {
      byHost,
      policies,
      plans,
      clusters: new Map(plans.map(({ cluster }) => [cluster.name, cluster])),
    };
  });
}

/** The endpoints of those of the clusters that are served by EDS. */
export function compileEndpoints(
  input: CompileInput,
  plans: Iterable<ClusterPlan>,
  { place: client, generator }: Profile,
): ReadonlyMap<string, ClusterLoadAssignment> {
  const instances = indexInstances(input);
  const modes = mtlsModes(input.view, input.config);
  // gRPC's own clients refuse addresses other than those of IP.
  const canGoOut = generator === 'grpc' ? hasIpAddress : isResolved;
  const endpoints = new Map<string, ClusterLoadAssignment>();
  for (const plan of plans) {
    if (!servedByEds(plan)) continue;
    const serving = chosen(instances.of(plan.service, plan.port), plan.labels).filter(canGoOut);
    const assignment = compileAssignment(plan.cluster.name, serving, {
      acceptsMutualTls: (one) => one.tlsMode === 'istio' && modes(one, one.port) !== 'DISABLE',
      plan: plan.locality,
      client,
    });
    endpoints.set(plan.cluster.name, assignment);
  }
  return endpoints;
}

/** NONE means "dial what the application asked for", which gRPC's own clients do with what the mesh does not own. */
function isReachableByGrpc({ source }: MeshService): boolean {
  return source.kind !== 'entry' || !dialsNames(source.spec);
}
