import type { Node } from '../../model/node.js';
import { WeakMemo } from '../../runtime/weak-memo.js';
import { coversHost, fullHostName } from '../kinds/hosts.js';
import type { SidecarSpec } from '../kinds/types.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { MeshPort, MeshService } from '../mesh/services.js';
import { selects } from '../mesh/visibility.js';
import { indexVirtualServices, type VirtualServiceIndex } from './virtual-services.js';

type VirtualService = Document<'VirtualService'>;

/** The labels of a client, and the name of what it serves where no label says. */
export function clientLabels({ metadata }: Node): Readonly<Record<string, string>> {
  const [first] = metadata.INMESH_WORKLOADS ?? [];
  return first === undefined ? metadata.LABELS : { app: first.service, ...metadata.LABELS };
}

/**
 * The Sidecar that holds for a client. Istio: the oldest of its namespace that selects it, else the oldest of its
 * namespace without a selector, else that of the root namespace without a selector.
 */
export function sidecarFor(
  view: ConfigView,
  { namespace, labels }: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  rootNamespace: string,
): Document<'Sidecar'> | undefined {
  const all = view.list('Sidecar');
  const hasSelector = ({ spec }: Document<'Sidecar'>) => spec.workloadSelector !== undefined;
  return (
    all.find(
      (one) =>
        one.namespace === namespace && hasSelector(one) && selects(one.spec.workloadSelector?.labels, labels),
    ) ??
    all.find((one) => one.namespace === namespace && !hasSelector(one)) ??
    all.find((one) => one.namespace === rootNamespace && !hasSelector(one))
  );
}

/** What a client sees of the mesh when it calls one port. */
export interface PortScope {
  readonly sees: (service: MeshService) => boolean;
  readonly virtualServices: VirtualServiceIndex;
}

/** What a client sees of the mesh. */
export interface ClientScope {
  /** Services that it needs clusters of, with the ports that it sees. */
  readonly services: readonly MeshService[];
  /** What it sees on a port; undefined = nothing is let out there. */
  readonly at: (port: number) => PortScope | undefined;
}

/** What a client would see without a Sidecar. */
export interface Everything {
  readonly namespace: string;
  /** Visible to its namespace; of one host several may come, those that count first. */
  readonly services: readonly MeshService[];
  readonly virtualServices: readonly VirtualService[];
}

/** What a Sidecar leaves of the mesh; undefined = all of it. */
export function clientScope(spec: SidecarSpec | undefined, everything: Everything): ClientScope {
  const { egress = [] } = spec ?? {};
  if (egress.length === 0) {
    const all = { sees: () => true, virtualServices: indexVirtualServices(everything.virtualServices) };
    return { services: onePerHost(everything.services), at: () => all };
  }
  const byHost = new Map<string, MeshService[]>();
  for (const one of everything.services) byHost.set(one.host, [...(byHost.get(one.host) ?? []), one]);
  const listeners = egress.map((one) => egressScope(one, { ...everything, byHost }));
  return {
    services: unionOf(listeners),
    at: (port) => {
      // Istio: the listener of the port, or the one for all ports, whichever stands first.
      const found = listeners.find((one) => one.port === undefined || one.port === port);
      return found && { sees: ({ host }) => found.seen.has(host), virtualServices: found.virtualServices };
    },
  };
}

interface EgressScope {
  readonly port: number | undefined;
  /** Those that are imported. */
  readonly services: readonly MeshService[];
  /** The hosts of those. */
  readonly seen: ReadonlySet<string>;
  /** Those that the imported rules lead to. */
  readonly destinations: readonly MeshService[];
  readonly virtualServices: VirtualServiceIndex;
}

type Egress = NonNullable<SidecarSpec['egress']>[number];

interface Indexed extends Everything {
  readonly byHost: ReadonlyMap<string, readonly MeshService[]>;
}

function egressScope({ port, hosts }: Egress, everything: Indexed): EgressScope {
  const { namespace } = everything;
  const imports = readImports(hosts, namespace);
  const number = port?.number ? port.number : undefined;
  // Istio: a listener of a port sees that port of services; one for a proxy's clients sees all.
  const only = port?.protocol?.toUpperCase() === 'HTTP_PROXY' ? undefined : number;
  const trimmed = (service: MeshService) => onlyPort(service, only);
  const chosen = everything.services.filter((one) => imports.takes(one.namespace, one.host)).flatMap(trimmed);
  const own = chosen.filter((one) => one.namespace === namespace);
  const services = onePerHost([...own, ...chosen]);
  const virtualServices = everything.virtualServices.filter((one) =>
    (one.spec.hosts ?? []).some((host) => imports.touches(one.namespace, fullHostName(host, one.namespace))),
  );
  const destinations = virtualServices
    .flatMap(destinationHosts)
    .flatMap((host) => destinationService(host, everything) ?? [])
    .flatMap(trimmed);
  const seen = new Set(services.map(({ host }) => host));
  return {
    port: number,
    services,
    seen,
    destinations,
    virtualServices: indexVirtualServices(virtualServices),
  };
}

/** What the entries `namespace/host` of a listener let in. */
interface Imports {
  /** Whether a service is imported. */
  readonly takes: (namespace: string, host: string) => boolean;
  /** Whether a rule for a host is: one of both covers the other. */
  readonly touches: (namespace: string, host: string) => boolean;
}

function readImports(hosts: readonly string[], clientNamespace: string): Imports {
  const wanted = new Map<string, string[]>();
  const excluded = new Map<string, string[]>();
  for (const entry of hosts) {
    const slash = entry.indexOf('/');
    if (slash < 0) continue;
    const scope = entry.slice(0, slash);
    const isExclusion = scope.startsWith('~');
    const named = isExclusion ? scope.slice(1) || '*' : scope;
    const namespace = named === '.' ? clientNamespace : named;
    const table = isExclusion ? excluded : wanted;
    table.set(namespace, [...(table.get(namespace) ?? []), entry.slice(slash + 1).toLowerCase()]);
  }
  const isExcluded = (namespace: string, host: string) =>
    [namespace, '*'].some((one) => (excluded.get(one) ?? []).some((pattern) => coversHost(pattern, host)));
  // Istio: what is said of a namespace by name counts alone for it.
  const patternsOf = (namespace: string) => wanted.get(namespace) ?? wanted.get('*') ?? [];
  return {
    takes: (namespace, host) =>
      patternsOf(namespace).some((pattern) => coversHost(pattern, host)) && !isExcluded(namespace, host),
    touches: (namespace, host) =>
      [...(wanted.get(namespace) ?? []), ...(wanted.get('*') ?? [])].some(
        (pattern) => coversHost(pattern, host) || coversHost(host, pattern),
      ) && !isExcluded(namespace, host),
  };
}

function onlyPort(service: MeshService, port: number | undefined): readonly MeshService[] {
  if (port === undefined) return [service];
  const ports = service.ports.filter(({ number }) => number === port);
  return ports.length === 0 ? [] : [{ ...service, ports }];
}

function destinationHosts({ spec, namespace }: VirtualService): readonly string[] {
  const http = (spec.http ?? []).flatMap(({ route = [], mirror, mirrors = [] }) => [
    ...route.map(({ destination }) => destination),
    ...(mirror === undefined ? [] : [mirror]),
    ...mirrors.map(({ destination }) => destination),
  ]);
  const backends = (spec.http ?? []).flatMap(({ gatewayApi }) => gatewayApi?.backends ?? []);
  const others = [...(spec.tls ?? []), ...(spec.tcp ?? [])].flatMap(({ route = [] }) =>
    route.map(({ destination }) => destination),
  );
  return [
    ...[...http, ...others].map(({ host }) => fullHostName(host, namespace)),
    ...backends.flatMap(({ target, mirrors = [] }) => [
      ...(target === undefined ? [] : [target.host]),
      ...mirrors.map(({ destination }) => destination.host),
    ]),
  ];
}

/** Istio: the service of the client's own namespace, else of the first by name that shows one. */
function destinationService(host: string, { namespace, byHost }: Indexed): MeshService | undefined {
  const all = byHost.get(host) ?? [];
  return (
    all.find((one) => one.namespace === namespace) ??
    [...all].sort((a, b) => (a.namespace < b.namespace ? -1 : a.namespace > b.namespace ? 1 : 0))[0]
  );
}

function onePerHost(services: readonly MeshService[]): readonly MeshService[] {
  return reduced.get([services], () => {
    const byHost = new Map<string, MeshService>();
    for (const one of services) if (!byHost.has(one.host)) byHost.set(one.host, one);
    return [...byHost.values()];
  });
}

const reduced = new WeakMemo<readonly MeshService[]>();

/** What is asked for goes before what rules lead to; parts of one service are joined. */
function unionOf(listeners: readonly EgressScope[]): readonly MeshService[] {
  const byHost = new Map<string, MeshService>();
  for (const { services, destinations } of listeners) {
    for (const one of [...services, ...destinations]) {
      const known = byHost.get(one.host);
      if (known === undefined) byHost.set(one.host, one);
      else if (known.namespace === one.namespace) byHost.set(one.host, withPorts(known, one.ports));
    }
  }
  return [...byHost.values()];
}

function withPorts(service: MeshService, ports: readonly MeshPort[]): MeshService {
  const missing = ports.filter(({ number }) => !service.ports.some((one) => one.number === number));
  return missing.length === 0 ? service : { ...service, ports: [...service.ports, ...missing] };
}
