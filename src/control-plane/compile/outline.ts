import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import { Pauses, type Steps } from '../../runtime/steps.js';
import { WeakMemo } from '../../runtime/weak-memo.js';
import type { ConfigView } from '../kinds/view.js';
import { listServices, type MeshService, visibleServices } from '../mesh/services.js';
import { backendTlsFields } from './backend-tls.js';
import { type ClusterPlan, chosen, dialsNames, planClusters, servedByEds } from './clusters.js';
import type { CommonProfile } from './common-profile.js';
import {
  type DestinationPolicy,
  type DestinationRuleIndex,
  indexDestinationRules,
  NO_POLICY,
} from './destination-rules.js';
import { compileAssignment } from './endpoints.js';
import { breakerOf } from './failure-rate-breakers.js';
import { hasIpAddress, type InstanceIndex, indexInstances, isResolved, registeredIn } from './instances.js';
import { compileListeners } from './outbound-listeners.js';
import type { OutlineBasis, OutlineMemory } from './outline-memory.js';
import type { CommonOutline, CompileInput } from './outlined.js';
import { mtlsModes, takesTls } from './peer-authentication.js';
import type { Pieces } from './pieces.js';
import type { CompileWorld, Recorded } from './recorded.js';
import type { Target } from './route-context.js';
import { clientScope } from './sidecar.js';
import { meshVirtualServices } from './virtual-services.js';

const DESTINATIONS = { inmesh: 'known', envoy: 'by-name', grpc: 'unknown' } as const;

/** What an outline and endpoints are made from that clients of several profiles share. */
export interface OutlineInput extends CompileInput {
  readonly profile: CommonProfile;
}

/** Listeners, routes and clusters; what the memory has of it and nothing changed in is taken from there. */
export function compileOutline(
  input: OutlineInput,
  basis: OutlineBasis,
  memory: OutlineMemory,
): Steps<CommonOutline> {
  return memory.outline(input.view, basis, (view) => outlineSteps(view, input, memory));
}

function* outlineSteps(view: ConfigView, input: OutlineInput, memory: OutlineMemory): Steps<CommonOutline> {
  const { registry, config, profile } = input;
  const visible = visibleServices(listServices(view, registry), profile.namespace, config);
  const virtualServices = meshVirtualServices(view, profile.namespace, config);
  yield;
  const scope = clientScope(profile.sidecar?.spec, {
    namespace: profile.namespace,
    services: profile.generator === 'grpc' ? reachableByGrpc(visible) : visible,
    virtualServices,
  });
  yield;
  const rules = indexDestinationRules(view, config);
  const services = byHost.get([scope.services], () => new Map(scope.services.map((one) => [one.host, one])));
  yield;
  const policies = memory.policies([scope.services, rules], () => policiesOf(scope.services, rules, profile));
  const world: CompileWorld = {
    ...input,
    view: input.view,
    modes: mtlsModes(view, config),
    services,
    policies,
  };
  const planned = yield* memory.clusters(world, (service, pieces) =>
    planService(service, { world, profile, pieces }),
  );
  yield;
  const listeners = yield* compileListeners({ view, world, profile, scope, memory });
  yield;
  const outline = { ...listeners, ...planned, services, policies };
  return profile.generator === 'grpc' ? yield* memory.grpc.of(outline) : outline;
}

const byHost = new WeakMemo<ReadonlyMap<string, MeshService>>();

/** The policies of connections to services, by host. */
function policiesOf(
  services: readonly MeshService[],
  rules: DestinationRuleIndex,
  { namespace: clientNamespace, labels }: CommonProfile,
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
    readonly profile: CommonProfile;
    readonly pieces: Pieces<readonly ClusterPlan[]>;
  },
): readonly ClusterPlan[] {
  const policy = world.policies.get(service.host) ?? NO_POLICY;
  const { host, source, ports, exportTo, trafficDistribution } = service;
  const input = [source, ports, exportTo, trafficDistribution, policy];
  return pieces.take(host, input, world, ({ view, config, registered }) =>
    planClusters(service, policy, {
      config,
      client: profile.place,
      instances: indexInstances(view, registered),
      destinations: DESTINATIONS[profile.generator],
      backendTls: backendTlsFields(view, profile.certificate),
      ...(profile.generator === 'inmesh' && {
        breakerOf: (target: Target) => breakerOf(view, target, profile.namespace),
      }),
    }),
  );
}

/** What endpoints are made with. */
interface EndpointTools {
  readonly instances: InstanceIndex;
  readonly takesMutualTls: Recorded['takesMutualTls'];
}

/** The endpoints of clusters that are served by EDS, all or some; those of the memory where they would be the same. */
export function compileEndpoints(
  input: OutlineInput,
  plans: readonly ClusterPlan[],
  memory: OutlineMemory,
  which: 'all' | 'some' = 'all',
): Steps<ReadonlyMap<string, ClusterLoadAssignment>> {
  return memory.endpoints(input.view, which, function* (view, pieces) {
    const world: CompileWorld = { ...input, modes: mtlsModes(view, input.config), ...NOBODY_REACHED };
    const endpoints = new Map<string, ClusterLoadAssignment>();
    const pauses = new Pauses();
    for (const plan of plans) {
      if (pauses.areDue()) yield;
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
            takesMutualTls: recorded.takesMutualTls,
          }),
      );
      endpoints.set(name, assignment);
    }
    return endpoints;
  });
}

const NOBODY_REACHED = { services: new Map(), policies: new Map() } as const;

/** The endpoints of some clusters, whatever was made before. */
export function* freshEndpoints(
  { view, config, registry, pods, profile }: OutlineInput,
  plans: Iterable<ClusterPlan>,
): Steps<ReadonlyMap<string, ClusterLoadAssignment>> {
  const modes = mtlsModes(view, config);
  const tools: EndpointTools = {
    instances: indexInstances(view, registeredIn(registry, pods)),
    takesMutualTls: (workload, port) => takesTls(modes(workload, port)),
  };
  const endpoints = new Map<string, ClusterLoadAssignment>();
  const pauses = new Pauses();
  for (const plan of plans) {
    if (pauses.areDue()) yield;
    if (servedByEds(plan)) endpoints.set(plan.cluster.name, compileAssignmentOf(plan, profile, tools));
  }
  return endpoints;
}

function compileAssignmentOf(
  plan: ClusterPlan,
  { place: client, generator }: CommonProfile,
  { instances, takesMutualTls }: EndpointTools,
): ClusterLoadAssignment {
  // gRPC's own clients refuse addresses other than those of IP.
  const canGoOut = generator === 'grpc' ? hasIpAddress : isResolved;
  const serving = chosen(instances.of(plan.service, plan.port), plan.labels).filter(canGoOut);
  return compileAssignment(plan.cluster.name, serving, {
    acceptsMutualTls: (one) => one.tlsMode === 'istio' && takesMutualTls(one, one.port),
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
