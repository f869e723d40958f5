import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import { WeakMemo } from '../../runtime/weak-memo.js';
import type { ConfigView } from '../kinds/view.js';
import { pathRules } from '../mesh/mesh-config.js';
import { listServices, type MeshService, visibleServices } from '../mesh/services.js';
import { snapshotOf } from '../registry/snapshot.js';
import { GRPC_ENCODERS, SDK_ENCODERS } from '../resources/encoders.js';
import { authorizationCompiler } from './authorization/workload.js';
import { backendTlsFields, gatewayCertificate } from './backend-tls.js';
import { type ClusterPlan, chosen, dialsNames, planClusters, servedByEds } from './clusters.js';
import {
  type DestinationPolicy,
  type DestinationRuleIndex,
  indexDestinationRules,
  NO_POLICY,
} from './destination-rules.js';
import { compileAssignment } from './endpoints.js';
import { listenPorts } from './envoy/gateway-ports.js';
import { type EnvoyGateways, envoyGateways } from './envoy/gateways.js';
import { envoyOutline } from './envoy/outline.js';
import { type EnvoyTracing, envoyTracing } from './envoy/tracing.js';
import { patchOutline } from './envoy-filter/patched.js';
import { breakerOf } from './failure-rate-breakers.js';
import { gatewayFilters } from './inbound-security.js';
import { hasIpAddress, type InstanceIndex, indexInstances, isResolved, registeredIn } from './instances.js';
import { routeHashOf } from './load-balancer.js';
import { compileListeners, policyOfTarget } from './outbound-listeners.js';
import { unknownHostOf } from './outbound-policy.js';
import type { OutlineBasis, OutlineMemory } from './outline-memory.js';
import type { CompileInput, Outline } from './outlined.js';
import { type MtlsModes, mtlsModes } from './peer-authentication.js';
import type { Pieces } from './pieces.js';
import type { EnvoyOptions, Profile } from './profile.js';
import type { CompileWorld } from './recorded.js';
import type { Target } from './route-context.js';
import { clientScope } from './sidecar.js';
import { byName } from './tracing.js';
import { meshVirtualServices } from './virtual-services.js';

const DESTINATIONS = { inmesh: 'known', envoy: 'by-name', grpc: 'unknown' } as const;

/** What one profile's outline and endpoints are made from. */
export interface OutlineInput extends CompileInput {
  readonly profile: Profile;
}

/** Listeners, routes and clusters for a profile; what the memory has of it and nothing changed in is taken from there. */
export function compileOutline(input: OutlineInput, basis: OutlineBasis, memory: OutlineMemory): Outline {
  const { generator, patches, envoy } = input.profile;
  const outline = memory.outline(input.view, basis, (view) => unpatchedOutline(view, input, memory));
  return patchOutline(outline, {
    patches,
    encoders: generator === 'grpc' ? GRPC_ENCODERS : SDK_ENCODERS,
    isOurs: generator === 'inmesh',
    // Istio: all that a gateway has is a gateway's.
    context: (envoy?.gateways.length ?? 0) > 0 ? 'GATEWAY' : 'SIDECAR_OUTBOUND',
    onRefused: input.onRefused,
  });
}

function unpatchedOutline(view: ConfigView, input: OutlineInput, memory: OutlineMemory): Outline {
  const { registry, config, profile } = input;
  const visible = visibleServices(listServices(view, registry), profile.namespace, config);
  const virtualServices = meshVirtualServices(view, profile.namespace, config);
  const scope = clientScope(profile.sidecar?.spec, {
    namespace: profile.namespace,
    services: profile.generator === 'grpc' ? reachableByGrpc(visible) : visible,
    virtualServices,
  });
  const rules = indexDestinationRules(view, config);
  const world: CompileWorld = {
    ...input,
    view: input.view,
    modes: mtlsModes(view, config),
    clientCertificate: gatewayCertificate(view, profile),
    services: byHost.get([scope.services], () => new Map(scope.services.map((one) => [one.host, one]))),
    policies: memory.policies([scope.services, rules], () => policiesOf(scope.services, rules, profile)),
  };
  const planned = memory.clusters(world, (service, pieces) =>
    planService(service, { world, profile, pieces }),
  );
  const outline = { ...compileListeners({ view, world, profile, scope, memory }), ...planned };
  if (profile.generator === 'grpc') return memory.grpc.of(outline);
  if (profile.envoy === undefined) return outline;
  const traced = tracedBy(profile, profile.envoy, world.services);
  const gateways = gatewaysOf(view, world, { ...input, envoy: profile.envoy, traced });
  const unknown = unknownHostOf(profile, config, (name) => world.services.get(name));
  return envoyOutline(outline, { options: profile.envoy, config, gateways, unknown, traced });
}

/** How an Envoy traces; Istio: a collector that is not there is not reported to. */
function tracedBy(
  { tracing }: Profile,
  { gateways }: EnvoyOptions,
  services: ReadonlyMap<string, MeshService>,
): EnvoyTracing | undefined {
  return envoyTracing(tracing, gateways.length > 0, (service, port) => {
    const found = byName(service, port);
    const known = found && services.get(found.host);
    const isMeant = !service.includes('/') || service.startsWith(`${known?.namespace}/`);
    return known !== undefined && isMeant ? found : undefined;
  });
}

/** What an Envoy is sent for the Gateways that it carries out. */
function gatewaysOf(
  view: ConfigView,
  { services, policies }: CompileWorld,
  input: OutlineInput & { readonly envoy: EnvoyOptions; readonly traced: EnvoyTracing | undefined },
): EnvoyGateways {
  const { registry, config, profile, envoy, traced } = input;
  const subject = { namespace: profile.namespace, labels: envoy.labels, gateways: envoy.gateways };
  const { http, tcp } = authorizationCompiler(view, registry, config)(subject);
  const policyOf = (target: Target) => policyOfTarget(target, policies.get(target.host), config);
  return envoyGateways({
    view,
    assumesSecrets: input.assumesSecrets,
    profile,
    config,
    serviceOf: (name) => services.get(name),
    hashOf: (target) => routeHashOf(policyOf(target).loadBalancer),
    policyOf,
    filters: gatewayFilters(view, subject, { ...input, authorization: http }),
    guards: tcp,
    paths: pathRules(config),
    traced,
    listenPorts: listenPorts(envoy, {
      namespace: profile.namespace,
      services: envoy.gateways.length === 0 ? [] : services.values(),
      // Envoys do not register, so that documents alone say which services lead to them.
      instances: indexInstances(view, registeredIn(snapshotOf([]))),
      labelsOf: ({ source, namespace }) => {
        if (source.kind === 'implied') return {};
        const kind = source.kind === 'kubernetes' ? 'Service' : 'ServiceEntry';
        return view.get(kind, namespace, source.name)?.labels ?? {};
      },
    }),
  });
}

const byHost = new WeakMemo<ReadonlyMap<string, MeshService>>();

/** The policies of connections to services, by host. */
function policiesOf(
  services: readonly MeshService[],
  rules: DestinationRuleIndex,
  { namespace: clientNamespace, labels }: Profile,
): ReadonlyMap<string, DestinationPolicy> {
  return new Map(
    services.map(({ host, namespace }) => [
      host,
      rules.find({ clientNamespace, labels, serviceNamespace: namespace, host }),
    ]),
  );
}

/** The clusters of a service. */
function planService(
  service: MeshService,
  {
    world,
    profile,
    pieces,
  }: {
    readonly world: CompileWorld;
    readonly profile: Profile;
    readonly pieces: Pieces<readonly ClusterPlan[]>;
  },
): readonly ClusterPlan[] {
  const policy = world.policies.get(service.host) ?? NO_POLICY;
  const { host, source, ports, exportTo, trafficDistribution } = service;
  const input = [source, ports, exportTo, trafficDistribution, policy];
  return pieces.take(host, input, world, ({ view, config, registered, clientCertificate }) =>
    planClusters(service, policy, {
      config,
      client: profile.place,
      instances: indexInstances(view, registered),
      destinations: DESTINATIONS[profile.generator],
      backendTls: backendTlsFields(view, clientCertificate),
      ...(profile.generator === 'inmesh' && {
        breakerOf: (target: Target) => breakerOf(view, target, profile.namespace),
      }),
    }),
  );
}

/** What endpoints are made with. */
interface EndpointTools {
  readonly instances: InstanceIndex;
  readonly modes: MtlsModes;
}

/** The endpoints of all clusters that are served by EDS; those of the memory where they would be the same. */
export function compileEndpoints(
  input: OutlineInput,
  plans: readonly ClusterPlan[],
  memory: OutlineMemory,
): ReadonlyMap<string, ClusterLoadAssignment> {
  return memory.endpoints(input.view, (view, pieces) => {
    const world: CompileWorld = { ...input, modes: mtlsModes(view, input.config), ...NOBODY_REACHED };
    const endpoints = new Map<string, ClusterLoadAssignment>();
    for (const plan of plans) {
      if (!servedByEds(plan)) continue;
      const { name } = plan.cluster;
      const { service, port, labels, locality } = plan;
      const assignment = pieces.take(
        name,
        [service.source, service.ports, port, labels, locality],
        world,
        (recorded) =>
          compileAssignmentOf(plan, input.profile, {
            instances: indexInstances(recorded.view, recorded.registered),
            modes: recorded.modeOf,
          }),
      );
      endpoints.set(name, assignment);
    }
    return endpoints;
  });
}

const NOBODY_REACHED = { services: new Map(), policies: new Map(), clientCertificate: undefined } as const;

/** The endpoints of some clusters, whatever was made before. */
export function freshEndpoints(
  { view, config, registry, pods, profile }: OutlineInput,
  plans: Iterable<ClusterPlan>,
): ReadonlyMap<string, ClusterLoadAssignment> {
  const tools = {
    instances: indexInstances(view, registeredIn(registry, pods)),
    modes: mtlsModes(view, config),
  };
  const endpoints = new Map<string, ClusterLoadAssignment>();
  for (const plan of plans) {
    if (servedByEds(plan)) endpoints.set(plan.cluster.name, compileAssignmentOf(plan, profile, tools));
  }
  return endpoints;
}

function compileAssignmentOf(
  plan: ClusterPlan,
  { place: client, generator }: Profile,
  { instances, modes }: EndpointTools,
): ClusterLoadAssignment {
  // gRPC's own clients refuse addresses other than those of IP.
  const canGoOut = generator === 'grpc' ? hasIpAddress : isResolved;
  const serving = chosen(instances.of(plan.service, plan.port), plan.labels).filter(canGoOut);
  return compileAssignment(plan.cluster.name, serving, {
    acceptsMutualTls: (one) => one.tlsMode === 'istio' && modes(one, one.port) !== 'DISABLE',
    plan: plan.locality,
    client,
  });
}

function reachableByGrpc(services: readonly MeshService[]): readonly MeshService[] {
  return reachable.get([services], () => services.filter(isReachableByGrpc));
}

const reachable = new WeakMemo<readonly MeshService[]>();

/** NONE means "dial what the application asked for", which gRPC's own clients do with what the mesh does not own. */
function isReachableByGrpc({ source }: MeshService): boolean {
  return source.kind !== 'entry' || !dialsNames(source.spec);
}
