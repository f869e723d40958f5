import { indexDestinationRules } from '../compile/destination-rules.js';
import type { Instance } from '../compile/instance.js';
import { type InstanceIndex, indexInstances, registeredIn } from '../compile/instances.js';
import { type MtlsMode, peerAuthentications } from '../compile/peer-authentication.js';
import { policiesFor } from '../compile/policy-scope.js';
import { gatewayApiState } from '../gateway-api/state.js';
import { coversHost, fullHostName } from '../kinds/hosts.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { listServices, type MeshService } from '../mesh/services.js';
import { selects } from '../mesh/visibility.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';

/** One place that serves a service. */
export interface ServiceEndpoint {
  readonly address: string;
  /** The port of the service that it serves. */
  readonly servicePort: number;
  readonly port: number;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `region/zone/subzone`; empty when nobody said. */
  readonly locality: string;
  readonly weight: number;
  readonly serviceAccount: string;
  /** Whether it speaks TLS of the mesh. */
  readonly speaksMtls: boolean;
  /** What its PeerAuthentications demand. */
  readonly mtls: MtlsMode;
  /** The subsets that it is in. */
  readonly subsets: readonly string[];
}

/** A service with everything that holds for it. */
export interface ServiceReport {
  readonly name: string;
  readonly namespace: string;
  readonly host: string;
  /** `registered`: only workloads tell of it. */
  readonly source: 'Service' | 'ServiceEntry' | 'registered';
  readonly ports: readonly { readonly number: number; readonly name: string; readonly protocol: string }[];
  readonly endpoints: readonly ServiceEndpoint[];
  readonly subsets: readonly {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly endpoints: number;
  }[];
  /** `Kind namespace/name` of the routes for it, and of those that lead to it. */
  readonly routes: readonly string[];
  readonly leadTo: readonly string[];
  readonly destinationRules: readonly string[];
  /** AuthorizationPolicies, RequestAuthentications and PeerAuthentications of its workloads. */
  readonly policies: readonly string[];
  /** What clients would trip over. */
  readonly warnings: readonly string[];
}

/** What reports are made from. */
export interface ServiceReportInput {
  readonly view: ConfigView;
  readonly registry: RegistrySnapshot;
  readonly config: MeshConfig;
}

/** Every service of the mesh, also those that only workloads tell of; of one namespace, or of all. */
export function serviceReports(
  input: ServiceReportInput,
  wanted: { readonly namespace?: string | undefined; readonly name?: string | undefined } = {},
): readonly ServiceReport[] {
  const { view, registry } = input;
  const instances = indexInstances(view, registeredIn(registry));
  return listServices(view, registry)
    .filter(
      ({ namespace, host, source }) =>
        (wanted.namespace === undefined || namespace === wanted.namespace) &&
        (wanted.name === undefined || [source.name, host].includes(wanted.name)),
    )
    .map((service) => reportOf(service, instances, input));
}

const SOURCES = { kubernetes: 'Service', entry: 'ServiceEntry', implied: 'registered' } as const;

function reportOf(service: MeshService, instances: InstanceIndex, input: ServiceReportInput): ServiceReport {
  const { view, config } = input;
  const { namespace, host, source, ports } = service;
  const { subsets } = indexDestinationRules(view, config).find({
    clientNamespace: namespace,
    labels: {},
    serviceNamespace: namespace,
    host,
  });
  const modes = peerAuthentications(view, config);
  const found = ports.flatMap((port) =>
    instances.of(service, port).map((instance) => ({ instance, servicePort: port.number })),
  );
  const endpoints = found.map(({ instance, servicePort }): ServiceEndpoint => {
    const { ports: own, base } = modes(instance);
    const inSubsets = subsets.filter(({ labels }) => selects(labels, instance.labels));
    return {
      ...placeOf(instance),
      servicePort,
      mtls: own.get(instance.port) ?? base,
      subsets: inSubsets.map(({ name }) => name),
    };
  });
  const counted = subsets.map(({ name, labels = {} }) => ({
    name,
    labels,
    endpoints: endpoints.filter((one) => one.subsets.includes(name)).length,
  }));
  const routes = routesFor(host, view);
  return {
    name: source.name,
    namespace,
    host,
    source: SOURCES[source.kind],
    ports: ports.map(({ number, name, protocol }) => ({ number, name, protocol })),
    endpoints,
    subsets: counted,
    routes: routes.own.map(textOf),
    leadTo: routes.leadTo.map(textOf),
    destinationRules: rulesFor(host, view).map(textOf),
    policies: policiesOf(
      service,
      found.map(({ instance }) => instance),
      input,
    ).map(textOf),
    warnings: [...missingSubsets(host, counted, routes.leadTo), ...empty(counted), ...plainOnes(endpoints)],
  };
}

function placeOf(instance: Instance): Omit<ServiceEndpoint, 'servicePort' | 'mtls' | 'subsets'> {
  const { address, port, labels, locality, weight, serviceAccount, tlsMode } = instance;
  return {
    address,
    port,
    version: labels['version'] ?? '',
    labels,
    locality: [locality.region, locality.zone, locality.subZone].filter((part) => part !== '').join('/'),
    weight,
    serviceAccount,
    speaksMtls: tlsMode === 'istio',
  };
}

function textOf({ kind, namespace, name }: Document): string {
  return `${kind} ${namespace}/${name}`;
}

function rulesFor(host: string, view: ConfigView): readonly Document[] {
  return view
    .list('DestinationRule')
    .filter(({ spec, namespace }) => coversHost(fullHostName(spec.host, namespace), host));
}

interface Routes {
  /** That say what becomes of requests to it. */
  readonly own: readonly Document[];
  /** That send requests to it. */
  readonly leadTo: readonly Document<'VirtualService'>[];
}

function routesFor(host: string, view: ConfigView): Routes {
  const services = view.list('VirtualService');
  const istio = services.filter(({ spec, namespace }) =>
    (spec.hosts ?? []).some((one) => coversHost(fullHostName(one, namespace), host)),
  );
  const api = gatewayApiState(view)
    .routes.filter(({ parents }) => parents.some(({ services: to }) => to.some((one) => one.host === host)))
    .map(({ route }) => route);
  return {
    own: [...istio, ...api],
    leadTo: services.filter((one) => destinationsOf(one).some(({ host: to }) => to === host)),
  };
}

function destinationsOf({ spec, namespace }: Document<'VirtualService'>) {
  const { http = [], tcp = [], tls = [] } = spec;
  return [...http, ...tcp, ...tls]
    .flatMap(({ route = [] }) => route)
    .map(({ destination }) => ({
      host: fullHostName(destination.host, namespace),
      subset: destination.subset,
    }));
}

function policiesOf(
  { namespace, source }: MeshService,
  instances: readonly Instance[],
  { view, config }: ServiceReportInput,
): readonly Document[] {
  const { rootNamespace } = config;
  const selector = source.kind === 'kubernetes' ? source.spec.selector : undefined;
  // Before anybody runs there is what the service selects.
  const workloads =
    instances.length > 0 ? instances : [{ namespace, labels: selector ?? { app: source.name } }];
  const found = new Set<Document>();
  for (const { namespace: own, labels } of workloads) {
    const subject = { namespace: own, labels, service: source.name };
    const scope = { view, rootNamespace };
    for (const one of policiesFor(view.list('AuthorizationPolicy'), subject, scope)) found.add(one);
    for (const one of policiesFor(view.list('RequestAuthentication'), subject, scope)) found.add(one);
    const { mesh, namespace: wide, workload } = peerAuthentications(view, config)(subject);
    for (const one of [mesh, wide, workload]) if (one !== undefined) found.add(one);
  }
  return [...found];
}

function missingSubsets(
  host: string,
  subsets: ServiceReport['subsets'],
  routes: Routes['leadTo'],
): readonly string[] {
  const known = new Set(subsets.map(({ name }) => name));
  const missing = routes.flatMap((route) =>
    destinationsOf(route).flatMap(({ host: to, subset }) =>
      to === host && subset !== undefined && !known.has(subset)
        ? [`${textOf(route)} leads to subset ${subset}, which no DestinationRule defines`]
        : [],
    ),
  );
  return [...new Set(missing)];
}

function empty(subsets: ServiceReport['subsets']): readonly string[] {
  return subsets
    .filter(({ endpoints }) => endpoints === 0)
    .map(({ name }) => `subset ${name} has no endpoints`);
}

function plainOnes(endpoints: readonly ServiceEndpoint[]): readonly string[] {
  return endpoints
    .filter(({ mtls, speaksMtls }) => mtls === 'STRICT' && !speaksMtls)
    .map(({ address, port }) => `${address}:${port} has to speak mTLS (STRICT), and can not`);
}
