import { GATEWAY_GROUP } from '../kinds/gateway-api/fields.js';
import type { ParentReference, RouteKind } from '../kinds/gateway-api/types.js';
import type { ConfigView, Document } from '../kinds/view.js';
import { serviceHost } from '../mesh/names.js';
import { listServices, type MeshService } from '../mesh/services.js';
import { snapshotOf } from '../registry/snapshot.js';
import type { Complaint } from './condition.js';
import { ANY_HOST, commonHost } from './hostnames.js';
import type { ResolvedListener } from './listeners.js';
import { allowsNamespace } from './selectors.js';

export type ApiRoute = Document<RouteKind>;

/** A listener that a route is attached to, with the hosts that both name. */
export interface ListenerAttachment {
  readonly listener: ResolvedListener;
  readonly hosts: readonly string[];
}

/** A service whose clients in the mesh follow a route. */
export interface MeshAttachment {
  readonly host: string;
  /** Undefined = each of its ports. */
  readonly port: number | undefined;
  /** The namespace whose clients follow it; undefined = everywhere (the route is in the namespace of the service). */
  readonly consumer: string | undefined;
}

/** A parent of a route with what came of it. */
export interface ParentAttachment {
  readonly reference: ParentReference;
  readonly index: number;
  readonly listeners: readonly ListenerAttachment[];
  readonly services: readonly MeshAttachment[];
  /** Undefined = the parent accepts the route. */
  readonly refusal: Complaint | undefined;
}

/** The hosts that a route names; any where it names none. */
export function hostsOf({ spec }: ApiRoute): readonly string[] {
  const hostnames = 'hostnames' in spec ? (spec.hostnames ?? []) : [];
  return hostnames.length === 0 ? [ANY_HOST] : hostnames.map((host) => host.toLowerCase());
}

/** What a route comes to at the listeners of a Gateway or ListenerSet that it names. */
export function attachToListeners(
  route: ApiRoute,
  { sectionName, port }: ParentReference,
  candidates: readonly ResolvedListener[],
  view: ConfigView,
): Pick<ParentAttachment, 'listeners' | 'refusal'> {
  const meant = candidates.filter(
    ({ spec }) =>
      (sectionName === undefined || spec.name === sectionName) && (port === undefined || spec.port === port),
  );
  if (meant.length === 0) {
    const message = `there is no listener${sectionName === undefined ? '' : ` ${JSON.stringify(sectionName)}`}${port === undefined ? '' : ` on the port ${port}`}`;
    return refused('NoMatchingParent', message);
  }
  const allowing = meant.filter((listener) => allows(listener, route, view));
  if (allowing.length === 0) {
    const message = `no listener allows routes of ${route.kind} from the namespace ${route.namespace}`;
    return refused('NotAllowedByListeners', message);
  }
  const hosts = hostsOf(route);
  const listeners = allowing.flatMap((listener): ListenerAttachment[] => {
    if (route.kind === 'TCPRoute') return [{ listener, hosts: [ANY_HOST] }];
    const own = listener.spec.hostname?.toLowerCase() ?? ANY_HOST;
    const common = hosts.flatMap((host) => commonHost(own, host) ?? []);
    return common.length === 0 ? [] : [{ listener, hosts: [...new Set(common)] }];
  });
  if (listeners.length > 0) return { listeners, refusal: undefined };
  return refused('NoMatchingListenerHostname', 'no listener has a host in common with the hostnames');
}

function refused(reason: string, message: string): Pick<ParentAttachment, 'listeners' | 'refusal'> {
  return { listeners: [], refusal: { reason, message } };
}

function allows(
  { spec, owner, supportedKinds }: ResolvedListener,
  route: ApiRoute,
  view: ConfigView,
): boolean {
  const { namespaces } = spec.allowedRoutes;
  return (
    supportedKinds.some(({ kind }) => kind === route.kind) &&
    allowsNamespace(namespaces, { own: owner.namespace, other: route.namespace }, view)
  );
}

/** The services of documents, by host. */
export function documentServices(view: ConfigView): ReadonlyMap<string, MeshService> {
  return new Map(listServices(view, snapshotOf([])).map((service) => [service.host, service]));
}

/** Whether a reference is to a service of the mesh (GAMMA), or to a ServiceEntry (Istio). */
export function isServiceParent({ group, kind }: Pick<ParentReference, 'group' | 'kind'>): boolean {
  return (group === '' && kind === 'Service') || (group === 'networking.istio.io' && kind === 'ServiceEntry');
}

/** The services that a parent of a route means; their existence is looked at when clients ask for them. */
export function attachToServices(
  route: ApiRoute,
  reference: ParentReference,
  view: ConfigView,
): readonly MeshAttachment[] {
  const { kind, name, namespace = route.namespace, port, sectionName } = reference;
  const consumer = namespace === route.namespace ? undefined : route.namespace;
  if (kind === 'Service') {
    const document = view.get('Service', namespace, name);
    const named = document?.spec.ports?.find((one) => one.name === sectionName)?.port;
    const meant = sectionName === undefined ? port : (named ?? port);
    return [{ host: serviceHost(name, namespace), port: meant, consumer }];
  }
  const entry = view.get('ServiceEntry', namespace, name);
  return (entry?.spec.hosts ?? []).map((host) => ({ host: host.toLowerCase(), port, consumer }));
}

/** What is wrong with a service as a parent, by documents alone. */
export function refusalOfService(
  route: ApiRoute,
  { kind, name, namespace = route.namespace, port, sectionName }: ParentReference,
  services: ReadonlyMap<string, MeshService>,
  attachments: readonly MeshAttachment[],
): Complaint | undefined {
  const known = attachments.flatMap(({ host }) => services.get(host) ?? []);
  const shown = `${kind} ${namespace}/${name}`;
  if (known.length === 0) return { reason: 'NoMatchingParent', message: `there is no ${shown}` };
  const ports = known.flatMap((service) => service.ports);
  if (port !== undefined && !ports.some((one) => one.number === port))
    return { reason: 'NoMatchingParent', message: `${shown} has no port ${port}` };
  if (sectionName !== undefined && !ports.some((one) => one.name === sectionName))
    return { reason: 'NoMatchingParent', message: `${shown} has no port ${JSON.stringify(sectionName)}` };
  return undefined;
}

/** Whether a reference is to a Gateway or a ListenerSet. */
export function isListenerParent({ group, kind }: Pick<ParentReference, 'group' | 'kind'>): boolean {
  return group === GATEWAY_GROUP && (kind === 'Gateway' || kind === 'ListenerSet');
}
