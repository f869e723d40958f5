import { isIP } from 'node:net';
import { isUnixSocket } from '../../model/address.js';
import { isNowhere, localityOfLabels, parseLocality } from '../../model/locality.js';
import { isEqual } from '../../runtime/equal.js';
import { groupBy } from '../../runtime/group-by.js';
import { derived, lookup } from '../kinds/derived.js';
import { isSameAnswer } from '../kinds/reads.js';
import type { WorkloadEntrySpec } from '../kinds/types.js';
import type { ConfigView, Document } from '../kinds/view.js';
import { isTcpPort } from '../mesh/port-protocol.js';
import type { MeshPort, MeshService } from '../mesh/services.js';
import { selects } from '../mesh/visibility.js';
import { type RegisteredService, type RegistrySnapshot, registeredKey } from '../registry/snapshot.js';
import { membersOf, type Workload } from '../registry/workload.js';
import { listedInstances } from './endpoint-slices.js';
import type { Instance, ServiceAccount } from './instance.js';
import { LabelIndex, type Labels } from './label-index.js';
import { type PodTemplate, podTemplatesOf } from './pod-templates.js';
import { isOfMembers, PodIndex } from './pods.js';

/** Finds who serves a port of a service. */
export interface InstanceIndex {
  of(service: MeshService, port: MeshPort): readonly Instance[];
  /** The service accounts that Deployments declare for a service, whether or not an instance runs now. */
  declared(service: MeshService): readonly ServiceAccount[];
}

const DEFAULT_SERVICE_ACCOUNT = 'default';

/** What registered, as it is asked for. */
export interface Registered {
  /** Under a `registeredKey`. */
  readonly named: (key: string) => RegisteredService | undefined;
  /** Under which names something registered that a selector chooses. */
  readonly chosen: (namespace: string, selector: Labels | undefined) => readonly RegisteredService[];
}

/** What is in a snapshot of the registry. */
export function registeredIn(registry: RegistrySnapshot, pods = new PodIndex()): Registered {
  return {
    named: (key) => registry.services.get(key),
    chosen: (namespace, selector) => pods.find(registry, namespace, selector),
  };
}

/** Finds registered workloads and WorkloadEntries. */
export function indexInstances(view: ConfigView, { named: find, chosen }: Registered): InstanceIndex {
  const found: Found = {
    entries: (namespace, selector) => entriesFor(view, { namespace, selector }),
    pods: (namespace, selector) =>
      [
        ...chosen(namespace, selector).filter((one) => !isOfMembers(one)),
        // Their labels are those of their group, too.
        ...defaultsIn(view, namespace).groups.flatMap(
          ({ name }) => find(registeredKey({ namespace, service: membersOf(name) })) ?? [],
        ),
      ]
        .flatMap((one) => completed(view, one))
        .filter(({ labels }) => selects(selector, labels)),
  };
  const own = (namespace: string, name: string) => {
    const registered = find(registeredKey({ namespace, service: name }));
    return registered === undefined ? [] : completed(view, registered);
  };
  return {
    of(service, port) {
      const { source, namespace } = service;
      if (source.kind === 'implied') return registered(own(namespace, source.name), service, port);
      if (source.kind === 'entry') return entryInstances(service, source, port, found);
      const { selector } = source.spec;
      const named = withoutContradiction(own(namespace, source.name), selector);
      const listed = listedInstances(view, { namespace, name: source.name }, port);
      if (selector === undefined) return joined(registered(named, service, port), listed);
      const others = found.pods(namespace, selector).filter((one) => one.service !== source.name);
      return [
        ...joined(registered([...named, ...others], service, port), listed),
        ...found.entries(namespace, selector).map((one) => entryInstance(one, port)),
      ];
    },
    declared: (service) => declaredAccounts(view, service),
  };
}

/** What registered tells more of itself than a list that has it, too. */
function joined(registered: readonly Instance[], listed: readonly Instance[]): readonly Instance[] {
  if (listed.length === 0) return registered;
  const known = new Set(registered.map(({ address, port }) => `${address} ${port}`));
  return [...registered, ...listed.filter(({ address, port }) => !known.has(`${address} ${port}`))];
}

/** A workload that registered under the service's name serves it unless a label contradicts the selector. */
function withoutContradiction(workloads: readonly Serving[], selector: Labels = {}): readonly Serving[] {
  const wanted = Object.entries(selector);
  // A process started by hand rarely carries every label of its Deployment. Any other must match the selector in full.
  return workloads.filter(({ labels }) => wanted.every(([key, value]) => (labels[key] ?? value) === value));
}

/** Where selectors look. */
interface Found {
  readonly entries: (namespace: string, selector: Labels | undefined) => readonly Document<'WorkloadEntry'>[];
  readonly pods: (namespace: string, selector: Labels | undefined) => readonly Serving[];
}

const entriesFor = lookup(
  derived((view) => {
    const index = new LabelIndex<Document<'WorkloadEntry'>>((entry) => [labelsOf(entry)]);
    for (const entry of view.list('WorkloadEntry')) index.add(entry.name, entry);
    return index;
  }),
  (index, { namespace, selector }: { readonly namespace: string; readonly selector: Labels | undefined }) =>
    index.find(namespace, selector),
);

/** A registered workload as an instance: the same object for all ports of services that it serves. */
type Serving = Workload & Pick<Instance, 'workload'>;

/** What the documents of a namespace say of workloads that do not say themselves. */
interface Defaults {
  readonly templates: readonly PodTemplate[];
  readonly groups: readonly Document<'WorkloadGroup'>[];
  readonly completed: WeakMap<RegisteredService, readonly Serving[]>;
}

const defaultsIn = lookup(
  derived((view): ReadonlyMap<string, Defaults> => {
    const templates = groupBy(podTemplatesOf(view), ({ namespace }) => namespace);
    const groups = groupBy(view.list('WorkloadGroup'), ({ namespace }) => namespace);
    return new Map(
      [...new Set([...templates.keys(), ...groups.keys()])].map((namespace) => [
        namespace,
        {
          templates: templates.get(namespace) ?? [],
          groups: groups.get(namespace) ?? [],
          completed: new WeakMap(),
        },
      ]),
    );
  }),
  (byNamespace, namespace: string) => byNamespace.get(namespace) ?? NO_DEFAULTS,
  (left, right) => isEqual(left.templates, right.templates) && isSameAnswer(left.groups, right.groups),
);

const NO_DEFAULTS: Defaults = { templates: [], groups: [], completed: new WeakMap() };

/** Fills in what the documents say of workloads; once for each service as long as they say the same. */
function completed(view: ConfigView, registered: RegisteredService): readonly Serving[] {
  const defaults = defaultsIn(view, registered.namespace);
  let workloads = defaults.completed.get(registered);
  if (workloads === undefined) {
    workloads = registered.workloads.flatMap((one) => withDefaults(defaults, one) ?? []);
    defaults.completed.set(registered, workloads);
  }
  return workloads;
}

function registered(
  workloads: readonly Serving[],
  service: MeshService,
  port: MeshPort,
): readonly Instance[] {
  return workloads
    .filter((one) => one.isMember === true || servedPort(one, service) === port)
    .map((one) => (one.isMember === true ? { ...one, port: memberPort(one, port) } : one));
}

/** A member of a group serves every port: where its group says, else where the service does. */
function memberPort({ ports }: Workload, port: MeshPort): number {
  return ports?.[port.name] ?? (typeof port.target === 'number' ? port.target : port.number);
}

/** Which of the service's ports a workload implements. */
function servedPort(workload: Workload, { ports }: MeshService): MeshPort | undefined {
  if (workload.portName !== '') {
    const named = ports.find(({ name }) => name === workload.portName);
    if (named !== undefined) return named;
    // The only port of a service may well be called otherwise.
    return ports.length === 1 ? ports[0] : undefined;
  }
  // What speaks no HTTP stands for a port that does not either, where there is one.
  const fitting = workload.protocol === 'tcp' ? ports.filter(isTcpPort) : [];
  const among = fitting.length > 0 ? fitting : ports;
  return (
    among.find(({ target }) => target === workload.port) ??
    among.find(({ number }) => number === workload.port) ??
    among[0]
  );
}

function entryInstances(
  service: MeshService,
  { name, spec }: Extract<MeshService['source'], { kind: 'entry' }>,
  port: MeshPort,
  found: Found,
): readonly Instance[] {
  const labels = spec.workloadSelector?.labels;
  if (spec.workloadSelector !== undefined) {
    const chosen = found.entries(service.namespace, labels);
    const pods = registered(found.pods(service.namespace, labels), service, port);
    return [...pods, ...chosen.map((one) => entryInstance(one, port))];
  }
  const endpoints = spec.endpoints ?? [];
  const owner = { name, namespace: service.namespace };
  if (endpoints.length > 0) return endpoints.map((one) => specInstance(one, owner, port));
  if (spec.resolution !== 'DNS' && spec.resolution !== 'DNS_ROUND_ROBIN') return [];
  return [specInstance({ address: service.host }, owner, port)];
}

function labelsOf({ labels, spec }: Document<'WorkloadEntry'>): Readonly<Record<string, string>> {
  return { ...labels, ...spec.labels };
}

function entryInstance(document: Document<'WorkloadEntry'>, port: MeshPort): Instance {
  return specInstance({ ...document.spec, labels: labelsOf(document) }, document, port);
}

function specInstance(
  spec: WorkloadEntrySpec,
  { name, namespace }: { readonly name: string; readonly namespace: string },
  port: MeshPort,
): Instance {
  const labels = spec.labels ?? {};
  return {
    namespace,
    labels,
    ...placeOf(spec, port),
    locality: spec.locality ? parseLocality(spec.locality) : localityOfLabels(labels),
    weight: Math.max(1, spec.weight ?? 1),
    serviceAccount: spec.serviceAccount || DEFAULT_SERVICE_ACCOUNT,
    // Istio: the label is the only sign that a workload outside of the platform has a proxy.
    tlsMode: labels['security.istio.io/tlsMode'] === 'istio' ? 'istio' : 'disabled',
    workload: name,
    clusterId: '',
  };
}

const UNIX = 'unix://';

function placeOf(
  { address = '', ports }: WorkloadEntrySpec,
  port: MeshPort,
): Pick<Instance, 'address' | 'port'> {
  if (address.startsWith(UNIX)) return { address: address.slice(UNIX.length), port: 0 };
  const target = typeof port.target === 'number' ? port.target : port.number;
  return { address, port: ports?.[port.name] ?? target };
}

function declaredAccounts(view: ConfigView, { source, namespace }: MeshService): readonly ServiceAccount[] {
  const selector = source.kind === 'kubernetes' ? source.spec.selector : undefined;
  if (selector === undefined) return [];
  return defaultsIn(view, namespace).templates.filter((one) => selects(selector, one.labels));
}

/**
 * A workload that did not say its service account has that of its group, its Deployment or the like, else `default`.
 * Undefined where it does not serve (yet). Istio: who is of a group with a probe does when it said that it is healthy, and
 * who registers as the member of a group needs that group.
 */
function withDefaults({ templates, groups }: Defaults, registered: Workload): Serving | undefined {
  const group = groupAmong(groups, registered);
  if (group === undefined && registered.isMember === true) return undefined;
  const isServing =
    group?.spec.probe === undefined ? registered.health !== 'unhealthy' : registered.health === 'healthy';
  if (!isServing) return undefined;
  const workload = inGroup(registered, group);
  const name = { workload: workload.service };
  if (workload.serviceAccount !== '') return { ...workload, ...name };
  const template = templates.find(
    ({ labels }) => Object.keys(labels).length > 0 && selects(labels, workload.labels),
  );
  return { ...workload, ...name, serviceAccount: template?.serviceAccount ?? DEFAULT_SERVICE_ACCOUNT };
}

/** The WorkloadGroup that a workload names, else the oldest whose labels it has. */
export function groupOf(
  view: ConfigView,
  workload: Pick<Workload, 'namespace' | 'labels' | 'group'>,
): Document<'WorkloadGroup'> | undefined {
  return groupAmong(defaultsIn(view, workload.namespace).groups, workload);
}

function groupAmong(
  groups: Defaults['groups'],
  { labels, group: name }: Pick<Workload, 'labels' | 'group'>,
): Document<'WorkloadGroup'> | undefined {
  if (name !== undefined) return groups.find((group) => group.name === name);
  return groups.find((group) => {
    const wanted = { ...group.spec.template.labels, ...group.spec.metadata?.labels };
    return Object.keys(wanted).length > 0 && selects(wanted, labels);
  });
}

/** What the group has for those that do not say. */
function inGroup(workload: Workload, group: Document<'WorkloadGroup'> | undefined): Workload {
  if (group === undefined) return workload;
  const { serviceAccount = '', locality, weight, ports, labels } = group.spec.template;
  const isNamed = workload.group !== undefined;
  const own = { ...labels, ...group.spec.metadata?.labels, ...workload.labels };
  return {
    ...workload,
    // Istio: what a member says of itself goes before its group, and that before the template.
    ...(isNamed && { labels: own }),
    ...(workload.isMember && {
      ports,
      tlsMode: own['security.istio.io/tlsMode'] === 'istio' ? ('istio' as const) : workload.tlsMode,
    }),
    serviceAccount: workload.serviceAccount || serviceAccount,
    locality: isNowhere(workload.locality) && locality ? parseLocality(locality) : workload.locality,
    weight: workload.weight === 1 ? Math.max(1, weight ?? 1) : workload.weight,
  };
}

/** Whether an endpoint can go out by EDS, which takes no names. */
export function isResolved(instance: Instance): boolean {
  return hasIpAddress(instance) || isUnixSocket(instance);
}

/** Whether an endpoint is a place in the network. */
export function hasIpAddress({ address }: Instance): boolean {
  return isIP(address) !== 0;
}
