import type { Cluster } from '../../model/cluster.js';
import type { Listener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';
import { fullHostName } from '../kinds/hosts.js';
import { KIND_NAMES } from '../kinds/kinds.js';
import type { ConfigView, Document, KindName } from '../kinds/view.js';
import type { MeshPort, MeshService } from '../mesh/services.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import type { ClusterPlan } from './clusters.js';
import { concernedPlans } from './concerned-plans.js';
import type { DestinationPolicy } from './destination-rules.js';

/**
 * Kinds of which it is followed what is read of them, or of which an outline's pieces read nothing. A change of any other
 * has everything made anew.
 */
const FOLLOWED: ReadonlySet<KindName> = new Set<KindName>([
  'Service',
  'ServiceEntry',
  'VirtualService',
  'DestinationRule',
  'AuthorizationPolicy',
  'RequestAuthentication',
  'Secret',
  // Those who read these read VirtualServices that stand for them.
  'HTTPRoute',
  'GRPCRoute',
  'TCPRoute',
  'TLSRoute',
  'ReferenceGrant',
]);
const OTHERS = KIND_NAMES.filter((kind) => !FOLLOWED.has(kind));

/** What the listeners of one host and port were made from. */
export interface ListenerInput {
  readonly host: string;
  readonly port: MeshPort;
  /** Whose rules hold for HTTP, and whose for what is none. */
  readonly http: Document<'VirtualService'> | undefined;
  readonly tcp: Document<'VirtualService'> | undefined;
  readonly aliases: readonly string[];
}

/** The listeners of one host and port, and the table that those of HTTP use. */
export interface ListenerUnit {
  readonly listeners: readonly (readonly [string, Listener])[];
  readonly routes: RouteConfiguration | undefined;
}

/** What is looked up while a unit is made. */
export interface Lookup {
  readonly serviceOf: (host: string) => MeshService | undefined;
  readonly destinationOf: (host: string) => DestinationPolicy | undefined;
}

/** What a client reaches: services and their policies by host, and their clusters. */
export interface Reached {
  readonly byHost: ReadonlyMap<string, MeshService>;
  readonly policies: ReadonlyMap<string, DestinationPolicy>;
  readonly plans: readonly ClusterPlan[];
  readonly clusters: ReadonlyMap<string, Cluster>;
}

interface MadeListeners {
  readonly input: ListenerInput;
  readonly services: ReadonlyMap<string, MeshService | undefined>;
  readonly destinations: ReadonlyMap<string, DestinationPolicy | undefined>;
  readonly unit: ListenerUnit;
}

interface MadeClusters {
  readonly service: MeshService;
  readonly destination: DestinationPolicy;
  readonly plans: readonly ClusterPlan[];
}

/**
 * The pieces of the outline of one profile, with what each was made from: a change has those made anew that it is about.
 * What a run does not ask for is forgotten.
 */
export class OutlineMemory {
  #view: ConfigView | undefined;
  #registry: RegistrySnapshot['services'] | undefined;
  /** Hosts whose instances may be others than in the last run. */
  #concerned: ReadonlySet<string> = new Set();
  #listeners = new Map<string, MadeListeners>();
  #clusters = new Map<string, MadeClusters>();
  #reached: MadeReached | undefined;
  #all: AllListeners | undefined;
  #last: Pieces = NOTHING;

  /** Begins a run: nothing is kept when something changed that is not followed. */
  begin(view: ConfigView, { services }: RegistrySnapshot): void {
    const then = this.#view;
    // Clusters may take roots and certificates from Secrets that these name.
    const others: readonly KindName[] =
      view.list('BackendTLSPolicy').length > 0 ? [...OTHERS, 'Secret'] : OTHERS;
    const keeps = then !== undefined && others.every((kind) => isSameList(then.list(kind), view.list(kind)));
    this.#last = keeps
      ? { listeners: this.#listeners, clusters: this.#clusters, reached: this.#reached, all: this.#all }
      : NOTHING;
    this.#concerned = keeps ? this.#concernedBy(services) : new Set();
    this.#listeners = new Map();
    this.#clusters = new Map();
    this.#all = undefined;
    this.#view = view;
    this.#registry = services;
  }

  /** What a client reaches: all of it stays where it is made from the same and no instance of it may be another. */
  reached(from: readonly object[], make: () => Reached): Reached {
    const { reached, clusters } = this.#last;
    const isCurrent =
      reached !== undefined &&
      this.#concerned.size === 0 &&
      from.every((one, at) => one === reached.from[at]);
    if (isCurrent) this.#clusters = clusters;
    this.#reached = isCurrent ? reached : { from, made: make() };
    return this.#reached.made;
  }

  /** The clusters of a service, made anew only where something is new that they depend on. */
  clusters(
    service: MeshService,
    destination: DestinationPolicy,
    make: () => readonly ClusterPlan[],
  ): readonly ClusterPlan[] {
    const { host } = service;
    const last = this.#concerned.has(host) ? undefined : this.#last.clusters.get(host);
    const isCurrent =
      last !== undefined && isSameService(last.service, service) && last.destination === destination;
    const made = isCurrent ? last : { service, destination, plans: make() };
    this.#clusters.set(host, made);
    return made.plans;
  }

  /** The listeners of a host and port, made anew only where something is new that they depend on. */
  listeners(input: ListenerInput, lookup: Lookup, make: (tracked: Lookup) => ListenerUnit): ListenerUnit {
    const key = `${input.host}:${input.port.number}`;
    const last = this.#last.listeners.get(key);
    const isCurrent = last !== undefined && isSameInput(last.input, input) && readsSame(last, lookup);
    const made = isCurrent ? last : makeTracked(input, lookup, make);
    this.#listeners.set(key, made);
    return made.unit;
  }

  /** The listeners of the last run where those of a few hosts alone may be others; undefined = make all. */
  kept(from: ListenersFrom): KeptListeners | undefined {
    const { all, listeners } = this.#last;
    if (all === undefined || all.from.services !== from.services || all.from.named !== from.named)
      return undefined;
    const hosts = editedHosts(all.from.virtualServices, from.virtualServices);
    if (hosts === undefined) return undefined;
    this.#listeners = listeners;
    return { listeners: new Map(all.listeners), routes: new Map(all.routes), hosts };
  }

  /** What the last run made for a host and port; undefined = nothing. */
  unit(host: string, port: number): ListenerUnit | undefined {
    return this.#last.listeners.get(`${host}:${port}`)?.unit;
  }

  /** All listeners of this run. */
  keep(from: ListenersFrom, { listeners, routes }: Pick<KeptListeners, 'listeners' | 'routes'>): void {
    this.#all = { from, listeners, routes };
  }

  /** Ends a run: those of its clusters whose endpoints may be others than before, undefined = all. */
  end(): readonly ClusterPlan[] | undefined {
    const last = this.#last.reached;
    const now = this.#reached;
    this.#last = NOTHING;
    if (last === undefined || now === undefined) return undefined;
    if (last === now) return [];
    const before = new Set(last.made.plans);
    return now.made.plans.filter((plan) => !before.has(plan));
  }

  #concernedBy(services: RegistrySnapshot['services']): ReadonlySet<string> {
    const changed = [...(this.#registry?.changesTo(services) ?? [])]
      .flatMap(([, then, now]) => [then, now])
      .filter((one) => one !== undefined);
    const plans = changed.length === 0 ? [] : [...concernedPlans(this.#reached?.made.plans ?? [], changed)];
    return new Set(plans.map(({ service }) => service.host));
  }
}

/** What there was after a run. */
interface Pieces {
  readonly listeners: Map<string, MadeListeners>;
  readonly clusters: Map<string, MadeClusters>;
  readonly reached: MadeReached | undefined;
  readonly all: AllListeners | undefined;
}

const NOTHING: Pieces = { listeners: new Map(), clusters: new Map(), reached: undefined, all: undefined };

/** What all listeners of a client without a Sidecar follow from. */
export interface ListenersFrom {
  readonly services: ReadonlyMap<string, MeshService>;
  /** The documents that give services further names. */
  readonly named: readonly Document<'Service'>[];
  /** In the order in which they count. */
  readonly virtualServices: readonly Document<'VirtualService'>[];
}

/** Listeners and tables of the run before, copied, and the hosts of which they may be out of date. */
export interface KeptListeners {
  readonly listeners: Map<string, Listener>;
  readonly routes: Map<string, RouteConfiguration>;
  readonly hosts: ReadonlySet<string>;
}

interface AllListeners extends Omit<KeptListeners, 'hosts'> {
  readonly from: ListenersFrom;
}

/** The hosts whose rules were edited; undefined when rules came, went or are for others than before. */
function editedHosts(
  before: readonly Document<'VirtualService'>[],
  after: readonly Document<'VirtualService'>[],
): ReadonlySet<string> | undefined {
  if (before.length !== after.length) return undefined;
  const hosts = new Set<string>();
  for (const [at, now] of after.entries()) {
    const then = before[at];
    if (isSameDocument(then, now)) continue;
    const own = hostsOf(now);
    if (then === undefined || String(hostsOf(then)) !== String(own)) return undefined;
    if (then.spec.gatewayApi !== undefined || now.spec.gatewayApi !== undefined) return undefined;
    if (own.some((host) => host.startsWith('*'))) return undefined;
    for (const host of own) hosts.add(host);
  }
  return hosts;
}

function hostsOf({ spec, namespace }: Document<'VirtualService'>): readonly string[] {
  return (spec.hosts ?? []).map((host) => fullHostName(host, namespace));
}

interface MadeReached {
  readonly from: readonly object[];
  readonly made: Reached;
}

function makeTracked(
  input: ListenerInput,
  { serviceOf, destinationOf }: Lookup,
  make: (tracked: Lookup) => ListenerUnit,
): MadeListeners {
  const services = new Map<string, MeshService | undefined>();
  const destinations = new Map<string, DestinationPolicy | undefined>();
  const unit = make({
    serviceOf: (host) => {
      const service = serviceOf(host);
      services.set(host, service);
      return service;
    },
    destinationOf: (host) => {
      const destination = destinationOf(host);
      destinations.set(host, destination);
      return destination;
    },
  });
  return { input, services, destinations, unit };
}

function readsSame({ services, destinations }: MadeListeners, { serviceOf, destinationOf }: Lookup): boolean {
  for (const [host, service] of services) if (!isSameService(serviceOf(host), service)) return false;
  for (const [host, one] of destinations) if (destinationOf(host) !== one) return false;
  return true;
}

function isSameInput(left: ListenerInput, right: ListenerInput): boolean {
  return (
    left.port === right.port &&
    isSameDocument(left.http, right.http) &&
    isSameDocument(left.tcp, right.tcp) &&
    left.aliases.length === right.aliases.length &&
    left.aliases.every((alias, at) => alias === right.aliases[at])
  );
}

/** A Sidecar shows parts of a service, each time as an object of its own. */
function isSameService(left: MeshService | undefined, right: MeshService | undefined): boolean {
  if (left === right) return true;
  return (
    left !== undefined &&
    right !== undefined &&
    left.source === right.source &&
    left.ports.length === right.ports.length &&
    left.ports.every((port, at) => port === right.ports[at])
  );
}

/** A document that others were put before is another object with the same content. */
export function isSameDocument(left: Document | undefined, right: Document | undefined): boolean {
  if (left === right) return true;
  return (
    left !== undefined &&
    right !== undefined &&
    left.spec === right.spec &&
    left.labels === right.labels &&
    left.annotations === right.annotations &&
    left.namespace === right.namespace &&
    left.name === right.name
  );
}

function isSameList(left: readonly Document[], right: readonly Document[]): boolean {
  return (
    left === right ||
    (left.length === right.length && left.every((one, at) => isSameDocument(one, right[at])))
  );
}
