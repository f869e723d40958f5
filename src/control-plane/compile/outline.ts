import type { ClusterLoadAssignment } from '../../model/endpoint.js';
import type { Listener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';
import { coversHost } from '../kinds/hosts.js';
import { snapshotOf } from '../registry/snapshot.js';
import { aliasesOf } from './aliases.js';
import { authorizationCompiler } from './authorization/workload.js';
import { type ClusterPlan, chosen, planClusters, servedByEds } from './clusters.js';
import { type DestinationPolicy, indexDestinationRules, NO_POLICY } from './destination-rules.js';
import { compileAssignment } from './endpoints.js';
import { listenPorts } from './envoy/gateway-ports.js';
import { envoyGateways } from './envoy/gateways.js';
import { envoyOutline } from './envoy/outline.js';
import { grpcOutline } from './grpc/outline.js';
import { gatewayFilters } from './inbound-security.js';
import { hasIpAddress, indexInstances, isResolved } from './instances.js';
import { outboundListener } from './listeners.js';
import { routeHashOf } from './load-balancer.js';
import { pathRules } from './mesh-config.js';
import { clusterName } from './names.js';
import { BLOCK_ALL } from './outbound-policy.js';
import type { CompileInput, Outline } from './outlined.js';
import { mtlsModes } from './peer-authentication.js';
import { PodIndex } from './pods.js';
import { isHttpPort, isTcpPort } from './port-protocol.js';
import type { Profile } from './profile.js';
import { compileVirtualHost, type Target } from './routes.js';
import { listServices, type MeshPort, type MeshService } from './services.js';
import { tcpListener } from './tcp-listeners.js';
import { type EffectivePolicy, effectivePolicy } from './traffic-policy.js';
import { indexVirtualServices } from './virtual-services.js';
import { isExported } from './visibility.js';

const DESTINATIONS = { inmesh: 'known', envoy: 'by-name', grpc: 'unknown' } as const;

/** Listeners, routes and clusters for a profile. */
export function compileOutline(input: CompileInput, profile: Profile): Outline {
  const { view, registry, config } = input;
  const services = listServices(view, registry).filter((service) => isReachable(service, profile));
  const byHost = new Map(services.map((service) => [service.host, service]));
  const destinationRules = indexDestinationRules(view, config.rootNamespace);
  const instances = indexInstances(input);
  const policies = new Map(
    services.map(({ host, namespace }) => {
      const query = { clientNamespace: profile.namespace, serviceNamespace: namespace, host };
      return [host, destinationRules.find(query)] as const;
    }),
  );
  const tools = { config, client: profile.place, instances, destinations: DESTINATIONS[profile.generator] };
  const plans = services.flatMap((service) =>
    planClusters(service, policies.get(service.host) ?? NO_POLICY, tools),
  );
  const outline = {
    ...compileListeners(input, profile, { services: byHost, policies }),
    clusters: new Map(plans.map(({ cluster }) => [cluster.name, cluster])),
    plans,
  };
  if (profile.generator === 'grpc') return grpcOutline(outline);
  if (profile.envoy === undefined) return outline;
  const { namespace, envoy: place } = profile;
  const subject = { namespace, labels: place.labels, gateways: place.gateways };
  const { http, tcp } = authorizationCompiler(view, registry, config)(subject);
  const gateways = envoyGateways({
    view,
    profile,
    serviceOf: (name) => byHost.get(name),
    hashOf: (target) => routeHashOf(policyOf(target, policies.get(target.host)).loadBalancer),
    policyOf: (target) => policyOf(target, policies.get(target.host)),
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
  return envoyOutline(outline, { options: profile.envoy, config, gateways });
}

function policyOf({ port, subset: name }: Target, policy: DestinationPolicy = NO_POLICY): EffectivePolicy {
  const subset = policy.subsets.find((one) => one.name === name);
  return effectivePolicy(policy.trafficPolicy, subset?.trafficPolicy, port);
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

function isReachable(service: MeshService, profile: Profile): boolean {
  const { source, exportTo, namespace } = service;
  // NONE means "dial what the application asked for", which gRPC's own clients do with what the mesh does not own.
  const isUnresolved = source.kind === 'entry' && (source.spec.resolution ?? 'NONE') === 'NONE';
  if (isUnresolved && profile.generator === 'grpc') return false;
  return isExported(exportTo, namespace, profile.namespace);
}

/** The services that a client reaches, and the policies of its connections to them, by host. */
interface Destinations {
  readonly services: ReadonlyMap<string, MeshService>;
  readonly policies: ReadonlyMap<string, DestinationPolicy>;
}

function compileListeners(
  { view, config }: CompileInput,
  profile: Profile,
  { services, policies }: Destinations,
): Pick<Outline, 'listeners' | 'routes'> {
  const listeners = new Map<string, Listener>();
  const routes = new Map<string, RouteConfiguration>();
  const virtualServices = indexVirtualServices(view, profile.namespace);
  const aliases = aliasesOf(view, profile);
  const add = (host: string, port: number) => {
    const known = aliases.get(host) ?? [];
    const context = {
      profile,
      host,
      port,
      aliases: known,
      serviceOf: (name: string) => services.get(name),
      hashOf: (target: Target) => routeHashOf(policyOf(target, policies.get(target.host)).loadBalancer),
    };
    const name = clusterName(port, '', host);
    const virtualHost = compileVirtualHost(virtualServices.find(host), context);
    for (const one of [host, ...known]) {
      listeners.set(`${one}:${port}`, outboundListener(`${one}:${port}`, name, virtualHost.routes));
    }
    routes.set(name, { name, virtualHosts: [virtualHost] });
  };
  const addTcp = (host: string, port: MeshPort) => {
    const virtualService = virtualServices.find(host);
    const isHttp = isHttpPort(port);
    // A port that nothing is known of may speak anything: for what is no HTTP the rules for TCP hold, where there are any.
    if (isHttp && (port.protocol !== '' || !virtualService?.spec.tcp?.length)) return;
    const context = {
      profile,
      host,
      port: port.number,
      serviceOf: (name: string) => services.get(name),
      policyOf: (target: Target) => policyOf(target, policies.get(target.host)),
    };
    for (const one of [host, ...(aliases.get(host) ?? [])]) {
      const name = `${isHttp ? 'tcp://' : ''}${one}:${port.number}`;
      listeners.set(name, tcpListener(name, port, virtualService, context));
    }
  };
  const knowsTcp = profile.generator !== 'grpc';
  for (const { host, ports } of services.values()) {
    for (const port of ports) {
      if (isHttpPort(port)) add(host, port.number);
      if (knowsTcp && (isHttpPort(port) || isTcpPort(port))) addTcp(host, port);
    }
  }
  // Istio: a VirtualService may also define a host that no service has; it answers on port 80. A wildcard that covers
  // services is about those alone.
  const known = [...services.keys()];
  for (const host of virtualServices.hosts) {
    if (!known.some((name) => coversHost(host, name))) add(host, 80);
  }
  if (config.outboundTrafficPolicy === 'REGISTRY_ONLY' && profile.generator === 'inmesh') {
    listeners.set(BLOCK_ALL.listener.name, BLOCK_ALL.listener);
    routes.set(BLOCK_ALL.routes.name, BLOCK_ALL.routes);
  }
  return { listeners, routes };
}
