import { GATEWAY_GROUP } from '../kinds/gateway-api/fields.js';
import type { RouteKind } from '../kinds/gateway-api/types.js';
import type { ConfigView, Document } from '../kinds/view.js';
import { isComplaint, type Lookup, resolveCertificate } from './certificates.js';
import { type Complaint, type PlacedComplaint, plain } from './condition.js';
import { indexGrants } from './grants.js';
import { type ApiGateway, type ResolvedListener, refusalOfSet, resolveListeners } from './listeners.js';
import {
  type ApiRoute,
  attachToListeners,
  attachToServices,
  isListenerParent,
  isServiceParent,
  type ParentAttachment,
} from './parents.js';
import { refuseMixedKinds } from './route-kinds.js';
import type { RouteState } from './route-state.js';

/** The name of who carries Gateways out, in GatewayClasses and in the status of routes. */
export const CONTROLLER_NAME = 'inmesh.dev/gateway-controller';
/** Istio's; a GatewayClass of it is carried out here as well. */
const CONTROLLERS: ReadonlySet<string> = new Set([CONTROLLER_NAME, 'istio.io/gateway-controller']);

/** Why a ListenerSet is not attached whose Gateway is not there or not accepted. */
export const PARENT_NOT_ACCEPTED = 'ParentNotAccepted';

export const ROUTE_KINDS: readonly RouteKind[] = ['HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute'];

/** A Gateway with all of its listeners. */
export interface GatewayState {
  readonly gateway: ApiGateway;
  readonly listeners: readonly ResolvedListener[];
  /** Those that it lets in. */
  readonly sets: readonly Document<'ListenerSet'>[];
  /** Why none of its listeners is served. */
  readonly refusal: PlacedComplaint | undefined;
  /** What the Gateway shows to backends; undefined = nothing. */
  readonly clientCertificate: { readonly namespace: string; readonly name: string } | Complaint | undefined;
}

/** A ListenerSet with what its Gateway says to it. */
export interface ListenerSetState {
  readonly set: Document<'ListenerSet'>;
  readonly gateway: ApiGateway | undefined;
  readonly refusal: Complaint | undefined;
}

/** What the documents of the Gateway API come to. */
export interface GatewayApiState {
  readonly lookup: Lookup;
  readonly gateways: readonly GatewayState[];
  readonly sets: readonly ListenerSetState[];
  readonly routes: readonly RouteState[];
}

const known = new WeakMap<ConfigView, GatewayApiState>();

/** What the documents of the Gateway API come to; remembered with the view. */
export function gatewayApiState(view: ConfigView): GatewayApiState {
  const before = known.get(view);
  if (before !== undefined) return before;
  const state = computeState(view);
  known.set(view, state);
  return state;
}

/** Whether a class is carried out here: one without a document is. */
export function isOurClass(view: ConfigView, name: string): boolean {
  const document = view.list('GatewayClass').find((one) => one.name === name);
  return document === undefined || CONTROLLERS.has(document.spec.controllerName);
}

function computeState(view: ConfigView): GatewayApiState {
  const lookup = { view, grants: indexGrants(view) };
  const ours = view
    .list('Gateway.gateway.networking.k8s.io')
    .filter(({ spec }) => isOurClass(view, spec.gatewayClassName));
  const sets = view.list('ListenerSet').map((set) => listenerSetState(set, ours, view));
  const gateways = ours.map((gateway) => gatewayState(gateway, sets, lookup));
  const listeners = gateways.flatMap((one) => one.listeners);
  const routes = ROUTE_KINDS.flatMap((kind) => view.list(kind)).map((route) => ({
    route,
    parents: parentsOf(route, { listeners, gateways: ours, sets, view }),
  }));
  return { lookup, gateways, sets, routes: refuseMixedKinds(routes) };
}

function listenerSetState(
  set: Document<'ListenerSet'>,
  gateways: readonly ApiGateway[],
  view: ConfigView,
): ListenerSetState {
  const { group, kind, name, namespace = set.namespace } = set.spec.parentRef;
  const isGateway = group === GATEWAY_GROUP && kind === 'Gateway';
  const gateway = gateways.find((one) => isGateway && one.name === name && one.namespace === namespace);
  if (gateway !== undefined) {
    const refused = plain(refusalOfGateway(gateway));
    const ofParent = refused && { reason: PARENT_NOT_ACCEPTED, message: refused.message };
    return { set, gateway, refusal: refusalOfSet(set, gateway, view) ?? ofParent };
  }
  const message = `there is no ${kind} ${namespace}/${name}`;
  return { set, gateway: undefined, refusal: { reason: PARENT_NOT_ACCEPTED, message } };
}

/** What of a Gateway itself is not carried out. */
function refusalOfGateway({ spec }: ApiGateway): PlacedComplaint | undefined {
  const parameters = spec.infrastructure?.parametersRef;
  if (parameters !== undefined) {
    const message = `parameters of the kind ${parameters.kind} are not known`;
    return { reason: 'InvalidParameters', message, path: ['spec', 'infrastructure', 'parametersRef'] };
  }
  const { addresses = [] } = spec;
  const wrong = addresses.findIndex(({ type }) => type !== 'IPAddress' && type !== 'Hostname');
  if (wrong < 0) return undefined;
  const message = `addresses of the type ${addresses[wrong]?.type} are not known`;
  return { reason: 'UnsupportedAddress', message, path: ['spec', 'addresses', wrong] };
}

function gatewayState(gateway: ApiGateway, all: readonly ListenerSetState[], lookup: Lookup): GatewayState {
  const sets = all
    .filter((one) => one.gateway === gateway && one.refusal === undefined)
    .map(({ set }) => set);
  const certificate = gateway.spec.tls?.backend?.clientCertificateRef;
  const from = { group: GATEWAY_GROUP, kind: 'Gateway', namespace: gateway.namespace };
  return {
    gateway,
    listeners: resolveListeners(gateway, sets, lookup),
    sets,
    refusal: refusalOfGateway(gateway),
    clientCertificate:
      certificate && resolveCertificate(certificate, from, lookup, 'InvalidClientCertificateRef'),
  };
}

interface Parents {
  readonly listeners: readonly ResolvedListener[];
  readonly gateways: readonly ApiGateway[];
  readonly sets: readonly ListenerSetState[];
  readonly view: ConfigView;
}

function parentsOf(route: ApiRoute, context: Parents): readonly ParentAttachment[] {
  return [...(route.spec.parentRefs ?? []), ...defaultParents(route, context)].flatMap(
    (reference, index): ParentAttachment[] => {
      const base = { reference, index, listeners: [], services: [], refusal: undefined };
      if (isServiceParent(reference))
        return [{ ...base, services: attachToServices(route, reference, context.view) }];
      if (!isListenerParent(reference)) {
        const message = `a route cannot be attached to a ${reference.kind} of ${JSON.stringify(reference.group)}`;
        return [{ ...base, refusal: { reason: 'InvalidKind', message } }];
      }
      const found = attachToListenerParent(route, reference, context);
      return found === undefined ? [] : [{ ...base, ...found }];
    },
  );
}

/** Gateway API: routes may ask for the Gateways that are there for all, besides those that they name. */
function defaultParents(route: ApiRoute, { gateways }: Parents): readonly ParentAttachment['reference'][] {
  if (route.spec.useDefaultGateways !== 'All') return [];
  const named = new Set(
    (route.spec.parentRefs ?? []).map(
      ({ kind, namespace, name }) => `${kind} ${namespace ?? route.namespace} ${name}`,
    ),
  );
  return gateways
    .filter(
      ({ spec, namespace, name }) =>
        spec.defaultScope === 'All' && !named.has(`Gateway ${namespace} ${name}`),
    )
    .map(({ namespace, name }) => ({ group: GATEWAY_GROUP, kind: 'Gateway', namespace, name }));
}

/** Undefined = the parent is none of ours. */
function attachToListenerParent(
  route: ApiRoute,
  reference: ParentAttachment['reference'],
  { listeners, gateways, sets, view }: Parents,
): Pick<ParentAttachment, 'listeners' | 'refusal'> | undefined {
  const { kind, name, namespace = route.namespace } = reference;
  const isMeant = (one: { readonly name: string; readonly namespace: string }) =>
    one.name === name && one.namespace === namespace;
  const owners = kind === 'Gateway' ? gateways : sets.map(({ set }) => set);
  if (!owners.some(isMeant)) {
    const isOthers = kind === 'Gateway' && view.get('Gateway.gateway.networking.k8s.io', namespace, name);
    if (isOthers) return undefined;
    const message = `there is no ${kind} ${namespace}/${name}`;
    return { listeners: [], refusal: { reason: 'NoMatchingParent', message } };
  }
  const refusal = kind === 'ListenerSet' ? sets.find(({ set }) => isMeant(set))?.refusal : undefined;
  if (refusal !== undefined)
    return { listeners: [], refusal: { reason: 'NoMatchingParent', message: refusal.message } };
  const own = listeners.filter(
    ({ owner }) => isMeant(owner) && (owner.kind === 'ListenerSet') === (kind === 'ListenerSet'),
  );
  return attachToListeners(route, reference, own, view);
}

/** The certificate that a Gateway shows to backends, where it is good. */
export function clientCertificateOf({ clientCertificate }: GatewayState) {
  return clientCertificate === undefined || isComplaint(clientCertificate) ? undefined : clientCertificate;
}
