import type { VirtualHost } from '../../model/route.js';
import { Pauses, type Steps } from '../../runtime/steps.js';
import { coversHost } from '../kinds/hosts.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { clusterName } from '../mesh/names.js';
import { isHttpPort, isTcpPort } from '../mesh/port-protocol.js';
import type { MeshPort, MeshService } from '../mesh/services.js';
import { aliasesOf } from './aliases.js';
import type { CommonProfile } from './common-profile.js';
import { type DestinationPolicy, NO_POLICY } from './destination-rules.js';
import { outboundListener } from './listeners.js';
import { routeHashOf } from './load-balancer.js';
import { unknownHostOf, unknownHosts } from './outbound-policy.js';
import type { ListenerInput, ListenerUnit, OutlineMemory } from './outline-memory.js';
import type { CommonOutline } from './outlined.js';
import type { Pieces } from './pieces.js';
import { sentLimits } from './rate-limits.js';
import type { CompileWorld, Recorded } from './recorded.js';
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
  const effective = effectivePolicy(trafficPolicy, subset?.trafficPolicy, { port, mesh: config });
  // Istio: a subset has its own tunnel or none.
  const tunnel = (name === '' ? trafficPolicy : subset?.trafficPolicy)?.tunnel;
  return tunnel === undefined ? effective : { ...effective, tunnel };
}

/** What listeners are made from. */
export interface Destinations {
  readonly view: ConfigView;
  readonly world: CompileWorld;
  readonly profile: CommonProfile;
  /** What the client sees of the services that it reaches. */
  readonly scope: ClientScope;
  readonly memory: OutlineMemory;
}

/** The listeners for what a client calls, with their routes. */
export function compileListeners(from: Destinations): Steps<Pick<CommonOutline, 'listeners' | 'routes'>> {
  const { world, profile } = from;
  return from.memory.listeners(function* (pieces) {
    const units = new ListenerUnits(from, pieces);
    const pauses = new Pauses();
    for (const service of world.services.values()) {
      units.addService(service);
      if (pauses.areDue()) yield;
    }
    units.addUnserved();
    const unknown = unknownHostOf(profile, world.config, (name) => world.services.get(name));
    if (unknown !== undefined && profile.generator === 'inmesh') units.addUnknown(unknown);
    return units.all;
  });
}

/** What hosts and ports come to, one after the other. */
class ListenerUnits {
  readonly all: ListenerUnit[] = [];
  readonly #from: Destinations;
  readonly #pieces: Pieces<ListenerUnit>;
  readonly #aliases: ReadonlyMap<string, readonly string[]>;

  constructor(from: Destinations, pieces: Pieces<ListenerUnit>) {
    this.#from = from;
    this.#pieces = pieces;
    this.#aliases = aliasesOf(from.view, from.profile, from.world.config);
  }

  addService(service: MeshService): void {
    const { scope } = this.#from;
    const names = unitNames(service);
    for (const [at, port] of service.ports.entries()) {
      const there = scope.at(port.number);
      if (there?.sees(service)) this.#add(names[at] ?? '', service.host, port, there.virtualServices);
    }
  }

  /**
   * Istio: a VirtualService may also define a host that no service has; it answers on port 80. A wildcard that covers
   * services is about those alone.
   */
  addUnserved(): void {
    const { profile, scope, world } = this.#from;
    const plain = scope.at(UNSERVED_PORT.number);
    if (plain === undefined) return;
    // Istio: a client that a Sidecar lets see no service on this port has no routes there at all.
    const isNarrowed = (profile.sidecar?.spec.egress ?? []).length > 0;
    const isPlain = (service: MeshService) => hasPlainPort(service) && plain.sees(service);
    if (isNarrowed && ![...world.services.values()].some(isPlain)) return;
    for (const host of plain.virtualServices.hosts) {
      const own = world.services.get(host);
      const covers = (service: MeshService) => coversHost(host, service.host) && plain.sees(service);
      const isServed = host.startsWith('*')
        ? [...world.services.values()].some(covers)
        : own !== undefined && plain.sees(own);
      if (!isServed) this.#add(`${host}:${UNSERVED_PORT.number}`, host, UNSERVED_PORT, plain.virtualServices);
    }
  }

  addUnknown(virtualHost: VirtualHost): void {
    const make = (): ListenerUnit => {
      const { listener, routes } = unknownHosts(virtualHost);
      return { listeners: [[listener.name, listener]], routes };
    };
    this.all.push(this.#pieces.take('*', [virtualHost], this.#from.world, make));
  }

  #add(name: string, host: string, port: MeshPort, virtualServices: VirtualServiceIndex): void {
    const { profile, world } = this.#from;
    const aliases = this.#aliases.get(host) ?? NO_ALIASES;
    const http = virtualServices.find(host, port.number, 'http');
    const tcp = virtualServices.find(host, port.number, 'tcp');
    const make = (recorded: Recorded) => makeUnit({ host, port, http, tcp, aliases }, profile, recorded);
    this.all.push(this.#pieces.take(name, [port, http, tcp, aliases], world, make));
  }
}

/** The names of the units of a service; made once, as names that are new cost more to look up. */
function unitNames(service: MeshService): readonly string[] {
  let names = namesOf.get(service);
  if (names === undefined) {
    names = service.ports.map(({ number }) => `${service.host}:${number}`);
    namesOf.set(service, names);
  }
  return names;
}

const namesOf = new WeakMap<MeshService, readonly string[]>();

const NO_ALIASES: readonly string[] = [];
const UNSERVED_PORT: MeshPort = { number: 80, name: 'http', protocol: 'http', target: undefined };

function hasPlainPort({ ports }: MeshService): boolean {
  return ports.some((port) => port.number === UNSERVED_PORT.number && isHttpPort(port));
}

/** The listeners of a host and port: for HTTP, and for what is none. */
function makeUnit(input: ListenerInput, profile: CommonProfile, recorded: Recorded): ListenerUnit {
  const isHttp = isHttpPort(input.port);
  const http = isHttp ? httpUnit(input, profile, recorded) : undefined;
  const knowsTcp = profile.generator !== 'grpc' && (isHttp || isTcpPort(input.port));
  const tcp = knowsTcp ? tcpListeners(input, profile, recorded) : [];
  return { listeners: [...(http?.listeners ?? []), ...tcp], routes: http?.routes };
}

function httpUnit(
  { host, port: { number: port }, http: virtualService, aliases }: ListenerInput,
  profile: CommonProfile,
  { view, config, serviceOf, destinationOf }: Recorded,
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
  const listeners = [host, ...aliases].map((one) => {
    const own = `${one}:${port}`;
    return [own, outboundListener(own, name, virtualHost.routes, limits)] as const;
  });
  return { listeners, routes: { name, virtualHosts: [virtualHost] } };
}

function tcpListeners(
  { host, port, tcp: virtualService, aliases }: ListenerInput,
  profile: CommonProfile,
  { config, serviceOf, destinationOf }: Recorded,
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
