import { istioId } from '../../identity/spiffe-id.js';
import type { Cluster, ClusterDiscovery } from '../../model/cluster.js';
import type { Metadata, MetadataStruct } from '../../model/metadata.js';
import type { ServiceEntrySpec } from '../kinds/types.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { clusterName, clusterSni } from '../mesh/names.js';
import { isTcpPort } from '../mesh/port-protocol.js';
import type { MeshPort, MeshService } from '../mesh/services.js';
import { selects } from '../mesh/visibility.js';
import type { BackendTlsFields } from './backend-tls.js';
import type { DestinationPolicy } from './destination-rules.js';
import { type AssignmentTools, compileAssignment } from './endpoints.js';
import { BREAKER_METADATA } from './failure-rate-breakers.js';
import type { Instance, ServiceAccount } from './instance.js';
import type { InstanceIndex } from './instances.js';
import type { ClientPlace } from './locality-balance.js';
import { type LocalityPlan, localityBalancingOf, localityPlanOf } from './locality-setting.js';
import type { Target } from './route-context.js';
import { type EffectivePolicy, effectivePolicy, policyFields } from './traffic-policy.js';
import { protocolOfCluster } from './upstream-protocol.js';
import { type TlsContext, upstreamTls, withProxyProtocol } from './upstream-tls.js';

/** Istio's respect for the life of records, and IPv4 where there is any. */
const BY_NAME = { respectsTtl: true, lookupFamily: 'v4-preferred' } as const;
/** Envoy's default of `cleanup_interval`. */
const DESTINATION_CLEANUP_MS = 5000;

/** A cluster with what its endpoints are chosen by. */
export interface ClusterPlan {
  readonly cluster: Cluster;
  readonly service: MeshService;
  readonly port: MeshPort;
  /** Labels of the subset; empty = all instances. */
  readonly labels: Readonly<Record<string, string>>;
  readonly locality: LocalityPlan | undefined;
}

/** What clusters are made with. */
export interface ClusterTools {
  readonly config: MeshConfig;
  readonly client: ClientPlace;
  readonly instances: InstanceIndex;
  /**
   * Whether the client knows where a connection wanted to go: the SDK does. An Envoy without traffic capture knows the name
   * that a request asks for, which helps where names can be resolved. gRPC's own clients do not have such clusters.
   */
  readonly destinations: 'known' | 'by-name' | 'unknown';
  readonly backendTls: BackendTlsFields;
  /** The failure-rate breaker of a cluster; undefined = the client has none. */
  readonly breakerOf?: ((target: Target) => MetadataStruct | undefined) | undefined;
}

/** The clusters of a service: for each port the whole, and each subset. */
export function planClusters(
  service: MeshService,
  destination: DestinationPolicy,
  tools: ClusterTools,
): readonly ClusterPlan[] {
  const all = { name: '', labels: {}, trafficPolicy: undefined };
  const identities = identitiesOf(service, tools);
  return service.ports.flatMap((port) =>
    [all, ...destination.subsets].map((subset) => {
      const name = clusterName(port.number, subset.name, service.host);
      const labels = subset.labels ?? {};
      const policy = effectivePolicy(destination.trafficPolicy, subset.trafficPolicy, {
        port: port.number,
        mesh: tools.config,
      });
      const protocol = protocolOfCluster(port, policy.connectionPool?.http, tools.config);
      const locality = localityPlanOf({
        mesh: tools.config,
        loadBalancer: policy.loadBalancer,
        trafficDistribution: service.trafficDistribution,
        hasOutlierDetection: policy.outlierDetection !== undefined,
      });
      const instances = () => chosen(tools.instances.of(service, port), labels);
      const cluster: Cluster = {
        name,
        metadata: {
          ...istioMetadata(service, subset.name),
          ...breakerMetadata({ host: service.host, port: port.number, subset: subset.name }, tools),
        },
        discovery: discoveryOf(name, service, instances, {
          plan: locality,
          client: tools.client,
          refreshRateMs: tools.config.connections.dnsRefreshRateMs,
        }),
        ...policyFields(policy, localityBalancingOf(locality), tools.config),
        ...(dialsDestination(service, policy, tools) && originalDestination(port)),
        ...(protocol !== undefined && { protocol }),
        ...(tools.config.reportsLoad && { loadReporting: { metrics: [] } }),
        ...withProxyProtocol(
          policy.proxyProtocol,
          upstreamTls({
            settings: policy.tls,
            meshSni: clusterSni(port.number, subset.name, service.host),
            host: service.host,
            ...identities,
            isAutomatic: tools.config.enableAutoMtls && !isExternal(service),
            alpn: alpnOf(port, protocol?.kind === 'http2'),
          }),
        ),
        ...tools.backendTls(name, service.host, port, alpnOf(port, protocol?.kind === 'http2').simple),
      };
      return { cluster, service, port, labels, locality };
    }),
  );
}

/** Istio's own name tells meshed servers of TCP that a proxy calls; to others nothing is said of what is inside. */
const TCP_ALPN: TlsContext['alpn'] = { mesh: ['istio'], simple: [] };

function alpnOf(port: MeshPort, isHttp2: boolean): TlsContext['alpn'] {
  if (isTcpPort(port)) return TCP_ALPN;
  // By Istio's names proxies know that it is a member who calls, and with what.
  return isHttp2
    ? { mesh: ['istio-h2', 'istio', 'h2'], simple: ['h2'] }
    : { mesh: ['istio-http/1.1', 'istio', 'http/1.1'], simple: ['http/1.1'] };
}

/** Istio: without resolution, or with the policy PASSTHROUGH, a connection goes where the application wanted to. */
function dialsDestination(
  { source }: MeshService,
  { loadBalancer }: EffectivePolicy,
  { destinations }: ClusterTools,
): boolean {
  const isUnresolved = source.kind === 'entry' && dialsNames(source.spec);
  if (destinations === 'by-name') return isUnresolved;
  return destinations === 'known' && (isUnresolved || loadBalancer?.simple === 'PASSTHROUGH');
}

/** DYNAMIC_DNS resolves what a request names; who dials by name does so without resolution, too. */
export function dialsNames({ resolution = 'NONE' }: ServiceEntrySpec): boolean {
  return resolution === 'NONE' || resolution === 'DYNAMIC_DNS';
}

/** Istio: a target port replaces the one that was dialled. */
function originalDestination({ number, target }: MeshPort): Pick<Cluster, 'discovery' | 'lbPolicy'> {
  return {
    discovery: {
      kind: 'original-dst',
      header: undefined,
      metadata: undefined,
      port: typeof target === 'number' && target !== number ? target : undefined,
      cleanupIntervalMs: DESTINATION_CLEANUP_MS,
    },
    lbPolicy: { kind: 'cluster-provided' },
  };
}

/** What Istio tells proxies of a cluster: the service that it stands for, for their telemetry. */
function istioMetadata(service: MeshService, subset: string): Metadata {
  return {
    istio: {
      ...(isExternal(service) && { external: true }),
      services: [serviceNames(service)],
      ...(subset !== '' && { subset }),
    },
  };
}

/** The same of a port of the application: the services that lead there. */
export function istioServices(services: readonly MeshService[]): Metadata {
  return { istio: { services: services.map(serviceNames) } };
}

function serviceNames(service: MeshService): MetadataStruct {
  const { host, namespace } = service;
  return { host, name: isExternal(service) ? host : (host.split('.')[0] ?? host), namespace };
}

function breakerMetadata(target: Target, { breakerOf }: ClusterTools): Metadata {
  const breaker = breakerOf?.(target);
  return breaker === undefined ? {} : { [BREAKER_METADATA]: breaker };
}

/** The instances that a subset's labels choose. */
export function chosen(
  instances: readonly Instance[],
  labels: Readonly<Record<string, string>>,
): readonly Instance[] {
  const wantsAll = Object.keys(labels).length === 0;
  return wantsAll ? instances : instances.filter((one) => selects(labels, one.labels));
}

/** Whether the service is outside of the mesh, where nobody is taken to speak mTLS. */
export function isExternal({ source }: MeshService): boolean {
  return source.kind === 'entry' && source.spec.location !== 'MESH_INTERNAL';
}

function discoveryOf(
  name: string,
  { source }: MeshService,
  instancesOf: () => readonly Instance[],
  {
    refreshRateMs,
    ...localities
  }: Omit<AssignmentTools, 'acceptsMutualTls'> & { readonly refreshRateMs: number },
): ClusterDiscovery {
  const resolution = source.kind === 'entry' ? source.spec.resolution : 'STATIC';
  if (resolution !== 'DNS' && resolution !== 'DNS_ROUND_ROBIN') return { kind: 'eds', serviceName: name };
  const byName = { ...BY_NAME, refreshRateMs };
  const instances = instancesOf();
  if (resolution === 'DNS') {
    return { kind: 'strict-dns', assignment: ownAssignment(name, instances, localities), ...byName };
  }
  if (instances.length > 0) {
    // Envoy: a logical DNS cluster has one endpoint.
    const assignment = ownAssignment(name, instances.slice(0, 1), localities);
    return { kind: 'logical-dns', assignment, ...byName };
  }
  return { kind: 'eds', serviceName: name };
}

function ownAssignment(
  name: string,
  instances: readonly Instance[],
  localities: Omit<AssignmentTools, 'acceptsMutualTls'>,
) {
  const acceptsMutualTls = ({ tlsMode }: Instance) => tlsMode === 'istio';
  return compileAssignment(name, instances, { acceptsMutualTls, ...localities });
}

/** Who may answer for a service. */
interface Identities {
  readonly identities: readonly string[];
  readonly subjectAltNames: readonly string[];
}

function identitiesOf(service: MeshService, { config, instances }: ClusterTools): Identities {
  const { source, namespace } = service;
  const subjectAltNames = source.kind === 'entry' ? (source.spec.subjectAltNames ?? []) : [];
  const known = service.ports.flatMap((port) => instances.of(service, port));
  const accounts = new Map<string, ServiceAccount>();
  for (const one of [...known, ...instances.declared(service)])
    accounts.set(`${one.namespace}/${one.serviceAccount}`, one);
  const ids = [...accounts.values()].map((one) =>
    istioId(config.trustDomain, one.namespace, one.serviceAccount).toString(),
  );
  // Nobody is known to serve it: an empty list would let every identity of the mesh answer. The namespace's default
  // account is whom an undeclared workload would be.
  if (ids.length === 0) ids.push(istioId(config.trustDomain, namespace, 'default').toString());
  return { identities: ids.sort(), subjectAltNames };
}

/** Whether the endpoints of a cluster go out by EDS. */
export function servedByEds({ cluster }: ClusterPlan): boolean {
  return cluster.discovery.kind === 'eds';
}
