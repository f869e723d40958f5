import { isEqual } from '../../runtime/equal.js';
import { WeakMemo } from '../../runtime/weak-memo.js';
import type { ServiceEntrySpec, ServiceSpec } from '../kinds/types.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { RegisteredService, RegistrySnapshot } from '../registry/snapshot.js';
import type { MeshConfig } from './mesh-config.js';
import { serviceHost } from './names.js';
import { protocolOf } from './port-protocol.js';
import { type TrafficDistribution, trafficDistributionOf } from './traffic-distribution.js';
import { isExported } from './visibility.js';

/** One port of a service. */
export interface MeshPort {
  readonly number: number;
  readonly name: string;
  /** Lower case, e.g. `http`, `grpc`, `tcp`; empty = nothing says. */
  readonly protocol: string;
  /** The port of endpoints that do not say their own; undefined = the same number. */
  readonly target: number | string | undefined;
}

/** A destination that clients can name, whatever document (or none) it comes from. */
export interface MeshService {
  /** Full host name, possibly with a wildcard in front. */
  readonly host: string;
  readonly namespace: string;
  readonly ports: readonly MeshPort[];
  readonly exportTo: readonly string[] | undefined;
  readonly trafficDistribution: TrafficDistribution;
  readonly source:
    | { readonly kind: 'kubernetes'; readonly name: string; readonly spec: ServiceSpec }
    | { readonly kind: 'entry'; readonly name: string; readonly spec: ServiceEntrySpec }
    /** Registered workloads without a document. */
    | { readonly kind: 'implied'; readonly name: string };
}

const DEFAULT_HTTP_PORT: MeshPort = { number: 80, name: 'http', protocol: 'http', target: undefined };
const DEFAULT_GRPC_PORT: MeshPort = { number: 80, name: 'grpc', protocol: 'grpc', target: undefined };
/** What a service has whose ports nobody described, by what its first workload speaks. */
const DEFAULT_PORTS = { '': [DEFAULT_HTTP_PORT], grpc: [DEFAULT_GRPC_PORT], tcp: [] };

/**
 * All services, oldest first: those of Kubernetes, those of ServiceEntries (of which several may name one host), and those
 * that only workloads tell of.
 */
export function listServices(view: ConfigView, registry: RegistrySnapshot): readonly MeshService[] {
  const documents = [view.list('Service'), view.list('ServiceEntry')];
  const documented = ofLists.get(documents, () => documentedServices(view));
  return listed.get([...documents, registry.services], () => documented.with(registry));
}

const listed = new WeakMemo<readonly MeshService[]>();
const ofLists = new WeakMemo<DocumentedServices>();

/** The services of documents, to which those come that registered. */
class DocumentedServices {
  readonly #services: readonly MeshService[];
  readonly #hosts: ReadonlySet<string>;
  #last: { readonly registry: RegistrySnapshot; readonly all: readonly MeshService[] } | undefined;

  constructor(services: readonly MeshService[]) {
    this.#services = services;
    this.#hosts = new Set(services.map(({ host }) => host));
  }

  /** The same list as before where workloads came and went, and no service did. */
  with(registry: RegistrySnapshot): readonly MeshService[] {
    const all =
      this.#last !== undefined && this.#isSame(this.#last.registry, registry) ? this.#last.all : undefined;
    const made = all ?? [
      ...this.#services,
      ...impliedServices(registry).filter(({ host }) => !this.#hosts.has(host)),
    ];
    this.#last = { registry, all: made };
    return made;
  }

  #isSame(before: RegistrySnapshot, after: RegistrySnapshot): boolean {
    for (const [, then, now] of before.services.changesTo(after.services))
      if (!isEqual(this.#addedBy(then), this.#addedBy(now))) return false;
    return true;
  }

  #addedBy(registered: RegisteredService | undefined): MeshService | undefined {
    const service = registered && impliedBy(registered);
    return service === undefined || this.#hosts.has(service.host) ? undefined : service;
  }
}

function documentedServices(view: ConfigView): DocumentedServices {
  const services: MeshService[] = [];
  for (const document of view.list('Service')) {
    // An alias of a DNS name: its host is dialled as the application asked for it.
    if (document.spec.type !== 'ExternalName')
      services.push(...ofDocuments.get([document.spec], () => [kubernetesService(document)]));
  }
  for (const document of view.list('ServiceEntry'))
    services.push(...ofDocuments.get([document.spec], () => entryServices(document)));
  return new DocumentedServices(services);
}

/**
 * The services that clients of a namespace see; of one host, those that count first. Istio: nobody takes a host from
 * Kubernetes; of others the client's own comes first, then what is shown to its namespace by name, then what all see.
 */
export function visibleServices(
  services: readonly MeshService[],
  clientNamespace: string,
  { exportTo: { services: byDefault } }: Pick<MeshConfig, 'exportTo'>,
): readonly MeshService[] {
  const known = visibleFrom.get([services], () => new Map());
  const key = JSON.stringify([clientNamespace, byDefault]);
  let visible = known.get(key);
  if (visible === undefined) {
    visible = sortVisible(services, clientNamespace, byDefault);
    known.set(key, visible);
  }
  return visible;
}

const visibleFrom = new WeakMemo<Map<string, readonly MeshService[]>>();

function sortVisible(
  services: readonly MeshService[],
  clientNamespace: string,
  byDefault: readonly string[] | undefined,
): readonly MeshService[] {
  const rank = ({ source, namespace, exportTo: own = [] }: MeshService) => {
    if (source.kind === 'kubernetes') return 0;
    const exportTo = own.length === 0 ? (byDefault ?? []) : own;
    if (exportTo.length === 0 || exportTo.includes('*')) return 3;
    return namespace === clientNamespace ? 1 : 2;
  };
  return services
    .filter(({ exportTo, namespace: from }) => isExported(exportTo, { from, to: clientNamespace, byDefault }))
    .map((service) => ({ service, rank: rank(service) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ service }) => service);
}

/** By spec: it belongs to one document, with its name and annotations, wherever that stands among others. */
const ofDocuments = new WeakMemo<readonly MeshService[]>();

function kubernetesService({ name, namespace, annotations, spec }: Document<'Service'>): MeshService {
  const exportTo = annotations['networking.istio.io/exportTo'];
  const ports = (spec.ports ?? []).filter(({ protocol = 'TCP' }) => protocol === 'TCP');
  return {
    host: serviceHost(name, namespace),
    namespace,
    exportTo: exportTo?.split(',').map((target) => target.trim()),
    trafficDistribution: trafficDistributionOf(spec.trafficDistribution, annotations),
    ports: ports.map((port) => ({
      number: port.port,
      name: port.name ?? '',
      protocol: protocolOf(port.appProtocol, port.name ?? ''),
      target: port.targetPort,
    })),
    source: { kind: 'kubernetes', name, spec },
  };
}

function entryServices({
  name,
  namespace,
  annotations,
  spec,
}: Document<'ServiceEntry'>): readonly MeshService[] {
  const ports = (spec.ports ?? []).map((port) => ({
    number: port.number,
    name: port.name,
    protocol: port.protocol === undefined ? protocolOf(undefined, port.name) : port.protocol.toLowerCase(),
    target: port.targetPort,
  }));
  return spec.hosts.map((host) => ({
    host: host.toLowerCase(),
    namespace,
    ports,
    exportTo: spec.exportTo,
    trafficDistribution: trafficDistributionOf(undefined, annotations),
    source: { kind: 'entry', name, spec },
  }));
}

/** Port 80, each port that a workload gives another name, and the ports of workloads that speak no HTTP. */
export function impliedServices({ services }: RegistrySnapshot): readonly MeshService[] {
  // The order must not depend on who came first.
  const keys = [...services.keys()].sort();
  return keys.flatMap((key) => {
    const registered = services.get(key);
    return (registered && impliedBy(registered)) ?? [];
  });
}

function impliedBy(registered: RegisteredService): MeshService | undefined {
  if (registered.workloads[0]?.isMember === true) return undefined;
  return ofRegistered.get([registered], () => impliedService(registered));
}

const ofRegistered = new WeakMemo<MeshService>();

function impliedService({ service, namespace, workloads }: RegisteredService): MeshService {
  let ports: readonly MeshPort[] | undefined;
  for (const { port, portName, protocol } of workloads) {
    const known = ports ?? DEFAULT_PORTS[protocol];
    const name = portName || protocol;
    const isKnown = name === '' || known.some((one) => one.name === name || one.number === port);
    const extra: MeshPort = {
      number: port,
      name,
      protocol: protocol || protocolOf(undefined, portName),
      target: undefined,
    };
    ports = isKnown ? known : [...known, extra];
  }
  return {
    host: serviceHost(service, namespace),
    namespace,
    ports: ports ?? [],
    exportTo: undefined,
    trafficDistribution: 'any',
    source: { kind: 'implied', name: service },
  };
}
