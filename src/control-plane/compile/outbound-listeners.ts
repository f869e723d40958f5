import type { Listener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';
import { coversHost } from '../kinds/hosts.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { clusterName } from '../mesh/names.js';
import { isHttpPort, isTcpPort } from '../mesh/port-protocol.js';
import type { MeshPort, MeshService } from '../mesh/services.js';
import { aliasesOf } from './aliases.js';
import { type DestinationPolicy, NO_POLICY } from './destination-rules.js';
import { outboundListener } from './listeners.js';
import { routeHashOf } from './load-balancer.js';
import { unknownHostOf, unknownHosts } from './outbound-policy.js';
import type { KeptListeners, ListenerInput, ListenerUnit, Lookup, OutlineMemory } from './outline-memory.js';
import type { Outline } from './outlined.js';
import type { Profile } from './profile.js';
import { sentLimits } from './rate-limits.js';
import { compileRetry } from './retry-policy.js';
import type { Target } from './route-context.js';
import { compileVirtualHost } from './routes.js';
import { addressesOf, urlHost } from './service-addresses.js';
import type { ClientScope } from './sidecar.js';
import { tcpListener } from './tcp-listeners.js';
import { type EffectivePolicy, effectivePolicy } from './traffic-policy.js';
import type { VirtualServiceIndex } from './virtual-services.js';

/** The policy of connections to a target. */
export function policyOfTarget(
  { port, subset: name }: Target,
  policy: DestinationPolicy | undefined,
  config: MeshConfig,
): EffectivePolicy {
  const { trafficPolicy, subsets } = policy ?? NO_POLICY;
  const subset = subsets.find((one) => one.name === name);
  return effectivePolicy(trafficPolicy, subset?.trafficPolicy, { port, mesh: config });
}

/** What listeners are made from. */
export interface Destinations {
  readonly view: ConfigView;
  readonly config: MeshConfig;
  readonly profile: Profile;
  /** The services that a client reaches, and the policies of its connections to them, by host. */
  readonly services: ReadonlyMap<string, MeshService>;
  readonly policies: ReadonlyMap<string, DestinationPolicy>;
  /** What it sees of them. */
  readonly scope: ClientScope;
  /** Those that its namespace follows, in the order in which they count. */
  readonly virtualServices: readonly Document<'VirtualService'>[];
  readonly memory: OutlineMemory;
}

/** The listeners for what a client calls, with their routes. */
export function compileListeners(from: Destinations): Pick<Outline, 'listeners' | 'routes'> {
  const { services, profile, memory, virtualServices } = from;
  // An Envoy's tables follow the order of hosts, and a Sidecar tells ports apart.
  const canEdit = profile.envoy === undefined && profile.sidecar === undefined;
  const basis = { services, named: from.view.list('Service'), virtualServices };
  const kept = canEdit ? memory.kept(basis) : undefined;
  const made = new OutboundListeners(from, kept);
  if (kept === undefined) made.addAll();
  else for (const host of kept.hosts) made.replace(host);
  const unknown = unknownHostOf(profile, from.config, (name) => services.get(name));
  if (unknown !== undefined && profile.generator === 'inmesh') {
    const { listener, routes: table } = unknownHosts(unknown);
    made.listeners.set(listener.name, listener);
    made.routes.set(table.name, table);
  }
  if (canEdit) memory.keep(basis, made);
  return { listeners: made.listeners, routes: made.routes };
}

/** Listeners as they are made. */
class OutboundListeners {
  readonly listeners: Map<string, Listener>;
  readonly routes: Map<string, RouteConfiguration>;
  readonly #from: Destinations;
  readonly #aliases: ReadonlyMap<string, readonly string[]>;
  readonly #lookup: Lookup;

  constructor(from: Destinations, { listeners, routes }: Partial<KeptListeners> = {}) {
    const { services, policies } = from;
    this.listeners = listeners ?? new Map();
    this.routes = routes ?? new Map();
    this.#from = from;
    this.#aliases = aliasesOf(from.view, from.profile, from.config);
    this.#lookup = {
      serviceOf: (host) => services.get(host),
      destinationOf: (host) => policies.get(host),
    };
  }

  addAll(): void {
    for (const service of this.#from.services.values()) this.#addService(service);
    this.#addUnserved();
  }

  /** Makes those of one host anew, of which a rule was edited. */
  replace(host: string): void {
    const { services, memory, scope } = this.#from;
    const service = services.get(host);
    const ports = service?.ports ?? [UNSERVED_PORT];
    for (const { number } of ports) {
      const { listeners = [], routes } = memory.unit(host, number) ?? {};
      for (const [name] of listeners) this.listeners.delete(name);
      if (routes !== undefined) this.routes.delete(routes.name);
    }
    const plain = scope.at(UNSERVED_PORT.number);
    if (service !== undefined) this.#addService(service);
    else if (plain?.virtualServices.hosts.includes(host))
      this.#add(host, UNSERVED_PORT, plain.virtualServices);
  }

  #addService(service: MeshService): void {
    for (const port of service.ports) {
      const there = this.#from.scope.at(port.number);
      if (there?.sees(service)) this.#add(service.host, port, there.virtualServices);
    }
  }

  #add(host: string, port: MeshPort, virtualServices: VirtualServiceIndex): void {
    const aliases = this.#aliases.get(host) ?? NO_ALIASES;
    const http = virtualServices.find(host, port.number, 'http');
    const tcp = virtualServices.find(host, port.number, 'tcp');
    const input = { host, port, http, tcp, aliases };
    const unit = this.#from.memory.listeners(input, this.#lookup, (lookup) =>
      makeUnit(input, this.#from, lookup),
    );
    for (const [name, listener] of unit.listeners) this.listeners.set(name, listener);
    if (unit.routes !== undefined) this.routes.set(unit.routes.name, unit.routes);
  }

  /**
   * Istio: a VirtualService may also define a host that no service has; it answers on port 80. A wildcard that covers
   * services is about those alone.
   */
  #addUnserved(): void {
    const { scope, services } = this.#from;
    const plain = scope.at(80);
    if (plain === undefined) return;
    const known = new Set([...services.values()].filter(plain.sees).map(({ host }) => host));
    for (const host of plain.virtualServices.hosts) {
      const isServed = host.startsWith('*')
        ? [...known].some((name) => coversHost(host, name))
        : known.has(host);
      if (!isServed) this.#add(host, UNSERVED_PORT, plain.virtualServices);
    }
  }
}

const NO_ALIASES: readonly string[] = [];
const UNSERVED_PORT: MeshPort = { number: 80, name: 'http', protocol: 'http', target: undefined };

/** For whom units are made. */
type Client = Pick<Destinations, 'view' | 'profile' | 'config'>;

/** The listeners of a host and port: for HTTP, and for what is none. */
function makeUnit(input: ListenerInput, client: Client, lookup: Lookup): ListenerUnit {
  const isHttp = isHttpPort(input.port);
  const http = isHttp ? httpUnit(input, client, lookup) : undefined;
  const knowsTcp = client.profile.generator !== 'grpc' && (isHttp || isTcpPort(input.port));
  const tcp = knowsTcp ? tcpListeners(input, client, lookup) : [];
  return { listeners: [...(http?.listeners ?? []), ...tcp], routes: http?.routes };
}

function httpUnit(
  { host, port: { number: port }, http: virtualService, aliases }: ListenerInput,
  { view, profile, config }: Client,
  { serviceOf, destinationOf }: Lookup,
): ListenerUnit {
  const context = {
    profile,
    host,
    port,
    aliases,
    serviceOf,
    defaultRetry: compileRetry(undefined, config.defaultHttpRetryPolicy),
    hashOf: (target: Target) =>
      routeHashOf(policyOfTarget(target, destinationOf(target.host), config).loadBalancer),
  };
  const name = clusterName(port, '', host);
  const virtualHost = compileVirtualHost(virtualService, context);
  const limits = sentLimits(view, { clientNamespace: profile.namespace, host, port }, config);
  const extras = { limits, accessLogs: profile.accessLogs };
  const listeners = [host, ...aliases].map((one) => {
    const own = `${one}:${port}`;
    return [own, outboundListener(own, name, virtualHost.routes, extras)] as const;
  });
  return { listeners, routes: { name, virtualHosts: [virtualHost] } };
}

function tcpListeners(
  { host, port, tcp: virtualService, aliases }: ListenerInput,
  { profile, config }: Client,
  { serviceOf, destinationOf }: Lookup,
): ListenerUnit['listeners'] {
  const isHttp = isHttpPort(port);
  // A port that nothing is known of may speak anything: for what is no HTTP the rules for TCP hold, where there are any.
  if (isHttp && (port.protocol !== '' || !virtualService?.spec.tcp?.length)) return [];
  const policyOf = (target: Target) => policyOfTarget(target, destinationOf(target.host), config);
  const context = { profile, host, port: port.number, serviceOf, policyOf };
  const prefix = isHttp ? 'tcp://' : '';
  const named = [host, ...aliases].map((one) => {
    const name = `${prefix}${one}:${port.number}`;
    return [name, tcpListener(name, port, virtualService, context)] as const;
  });
  // An Envoy without traffic capture hears of no other address than its own.
  if (profile.generator !== 'inmesh') return named;
  const { hosts, ranges } = addressesOf(serviceOf(host));
  // The first is that of the listener by name.
  const further = hosts.slice(1).map((address) => {
    const name = `${prefix}${urlHost(address)}:${port.number}`;
    const own = { address, port: port.number };
    return [name, tcpListener(name, port, virtualService, context, own)] as const;
  });
  const networks = ranges.map((range) => {
    const name = `${prefix}${range.includes(':') ? `[${range}]` : range}:${port.number}`;
    return [name, { ...tcpListener(name, port, virtualService, context), address: undefined }] as const;
  });
  return [...named, ...further, ...networks];
}
