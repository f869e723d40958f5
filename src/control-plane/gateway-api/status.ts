import type { ConfigView, Document } from '../kinds/view.js';
import { yamlKind } from '../kinds/yaml-kind.js';
import type { MeshService } from '../mesh/services.js';
import { isComplaint } from './certificates.js';
import { type Complaint, type Condition, conditionOf, plain } from './condition.js';
import { ANY_HOST, commonHost } from './hostnames.js';
import { type ApiGateway, isServed, type ResolvedListener } from './listeners.js';
import type { GatewayApiStatus, ListenerStatus, ObjectStatus } from './object-status.js';
import { metadataOf, observedAt } from './observed.js';
import { documentServices } from './parents.js';
import { policyAncestors } from './policy-status.js';
import { notAccepted, parentConditions, type RouteJudging } from './route-status.js';
import {
  CONTROLLER_NAME,
  type GatewayApiState,
  type GatewayState,
  gatewayApiState,
  isOurClass,
  type ListenerSetState,
  PARENT_NOT_ACCEPTED,
} from './state.js';

export type { GatewayApiStatus } from './object-status.js';

/**
 * The status of every object of the Gateway API in a set of documents. `services` are those that there are besides the ones
 * of documents, by host.
 */
export function statusOf(
  view: ConfigView,
  services: ReadonlyMap<string, MeshService> = documentServices(view),
): readonly GatewayApiStatus[] {
  const state = gatewayApiState(view);
  const judging = { services, grants: state.lookup.grants };
  const attached = attachedRoutes(state, judging);
  return [
    ...view.list('GatewayClass').flatMap((document) => classStatus(document, view)),
    ...state.gateways.map((one) => gatewayStatus(one, attached)),
    ...state.sets.map((one) => setStatus(one, state, attached)),
    ...state.routes.map((one) =>
      of(one.route, {
        parents: one.parents.map((parent) => ({
          parentRef: parent.reference,
          controllerName: CONTROLLER_NAME,
          conditions: parentConditions(one, parent, judging),
        })),
      }),
    ),
    ...view
      .list('BackendTLSPolicy')
      .map((policy) => of(policy, { ancestors: policyAncestors(policy, state, services) })),
  ];
}

function of(document: Document, status: ObjectStatus): GatewayApiStatus {
  const { apiVersion, kind, namespace, name } = document;
  const { generation } = metadataOf(document);
  const observed = typeof generation === 'number' ? observedAt(generation, status) : status;
  return { apiVersion, kind: yamlKind(kind), namespace, name, status: observed };
}

function classStatus(document: Document<'GatewayClass'>, view: ConfigView): readonly GatewayApiStatus[] {
  if (!isOurClass(view, document.name)) return [];
  const { parametersRef } = document.spec;
  const wrong = parametersRef && {
    reason: 'InvalidParameters',
    message: `parameters of the kind ${parametersRef.kind} are not known`,
  };
  return [
    of(document, {
      conditions: [conditionOf('Accepted', wrong), conditionOf('SupportedVersion', undefined)],
    }),
  ];
}

type Attached = ReadonlyMap<ResolvedListener, number>;

/** Gateway API: each route counts once at a listener, where it is accepted; the state of the listener does not matter. */
function attachedRoutes({ routes }: GatewayApiState, judging: RouteJudging): Attached {
  const attached = new Map<ResolvedListener, number>();
  for (const { route, parents } of routes) {
    const accepted = parents.filter((parent) => notAccepted(route, parent, judging) === undefined);
    const listeners = new Set(accepted.flatMap((parent) => parent.listeners.map(({ listener }) => listener)));
    for (const listener of listeners) attached.set(listener, (attached.get(listener) ?? 0) + 1);
  }
  return attached;
}

/** Gateway API: of HTTPS listeners of a port with hosts in common a client may reach the one by the name of the other. */
function overlap(listener: ResolvedListener, all: readonly ResolvedListener[]): readonly Condition[] {
  const { spec } = listener;
  const hostOf = (one: ResolvedListener) => one.spec.hostname?.toLowerCase() ?? ANY_HOST;
  const others = all.filter(
    (one) =>
      one !== listener &&
      one.spec.protocol === 'HTTPS' &&
      one.spec.port === spec.port &&
      commonHost(hostOf(one), hostOf(listener)) !== undefined,
  );
  if (spec.protocol !== 'HTTPS' || others.length === 0) return [];
  const message = `hosts in common with ${others.map((one) => one.spec.name).join(', ')}`;
  return [{ type: 'OverlappingTLSConfig', status: 'True', reason: 'OverlappingHostnames', message }];
}

function listenerStatus(
  listener: ResolvedListener,
  all: readonly ResolvedListener[],
  attached: Attached,
): ListenerStatus {
  const { spec, supportedKinds, notAccepted: refused, conflict, unresolved } = listener;
  // Istio: what contradicts is not accepted for the same reason.
  const refusal = refused ?? conflict;
  const invalid = isServed(listener)
    ? undefined
    : { reason: 'Invalid', message: (refusal ?? unresolved)?.message ?? '' };
  return {
    name: spec.name,
    supportedKinds,
    attachedRoutes: attached.get(listener) ?? 0,
    conditions: [
      conditionOf('Accepted', refusal),
      conflict === undefined
        ? { type: 'Conflicted', status: 'False', reason: 'NoConflicts', message: '' }
        : { type: 'Conflicted', status: 'True', ...conflict },
      conditionOf('ResolvedRefs', unresolved),
      conditionOf('Programmed', conflict ?? invalid),
      ...overlap(listener, all),
    ],
  };
}

/** What listeners together say about who has them. */
function summary(listeners: readonly ResolvedListener[]): {
  readonly complaint: Complaint | undefined;
  readonly isNone: boolean;
} {
  const wrong = listeners.filter((one) => !isServed(one));
  if (wrong.length === 0) return { complaint: undefined, isNone: false };
  const names = wrong.map(({ spec }) => spec.name).join(', ');
  return {
    complaint: { reason: 'ListenersNotValid', message: `these listeners are not served: ${names}` },
    isNone: wrong.length === listeners.length,
  };
}

function summaryConditions(
  listeners: readonly ResolvedListener[],
  refusal: Complaint | undefined,
): readonly Condition[] {
  const { complaint, isNone } = summary(listeners);
  if (refusal !== undefined)
    return [conditionOf('Accepted', refusal), conditionOf('Programmed', { ...refusal, reason: 'Invalid' })];
  if (complaint === undefined)
    return [conditionOf('Accepted', undefined), conditionOf('Programmed', undefined)];
  if (isNone)
    return [
      conditionOf('Accepted', complaint),
      conditionOf('Programmed', { ...complaint, reason: 'Invalid' }),
    ];
  // Some are served, so that the whole is accepted, with a reason that says so.
  return [{ type: 'Accepted', status: 'True', ...complaint }, conditionOf('Programmed', undefined)];
}

function gatewayStatus(state: GatewayState, attached: Attached): GatewayApiStatus {
  const { gateway, listeners, sets, refusal } = state;
  const own = listeners.filter(({ owner }) => owner === gateway);
  const isAttached = (set: Document<'ListenerSet'>) =>
    listeners.some((one) => one.owner === set && isServed(one));
  return of(gateway, {
    addresses: (gateway.spec.addresses ?? []).flatMap(({ type, value = '' }) =>
      value === '' ? [] : [{ type, value }],
    ),
    conditions: [
      ...summaryConditions(own, plain(refusal)),
      conditionOf('ResolvedRefs', unresolvedOf(state, own)),
      ...insecureFrontend(gateway.spec),
    ],
    listeners: own.map((one) => listenerStatus(one, listeners, attached)),
    ...(gateway.spec.allowedListeners !== undefined && {
      attachedListenerSets: sets.filter(isAttached).length,
    }),
  });
}

/** Gateway API: the condition sums up those of the listeners, too. */
function unresolvedOf(
  { clientCertificate }: GatewayState,
  own: readonly ResolvedListener[],
): Complaint | undefined {
  if (clientCertificate !== undefined && isComplaint(clientCertificate)) return clientCertificate;
  const names = own.filter(({ unresolved }) => unresolved !== undefined).map(({ spec }) => spec.name);
  if (names.length === 0) return undefined;
  return {
    reason: 'ListenersNotResolved',
    message: `references of these listeners are not good: ${names.join(', ')}`,
  };
}

/** Gateway API: that clients need no good certificate is said as long as it is so. */
function insecureFrontend({ tls }: ApiGateway['spec']): readonly Condition[] {
  const { default: common, perPort = [] } = tls?.frontend ?? {};
  const modes = [common, ...perPort.map((one) => one.tls)].map((one) => one?.validation?.mode);
  if (!modes.includes('AllowInsecureFallback')) return [];
  const message = 'clients are let in without a good certificate';
  return [
    { type: 'InsecureFrontendValidationMode', status: 'True', reason: 'ConfigurationChanged', message },
  ];
}

function setStatus(
  { set, refusal }: ListenerSetState,
  { gateways }: GatewayApiState,
  attached: Attached,
): GatewayApiStatus {
  if (refusal !== undefined) {
    const ofParent = refusal.reason === PARENT_NOT_ACCEPTED;
    const programmed = ofParent ? { ...refusal, reason: 'ParentNotProgrammed' } : refusal;
    return of(set, {
      conditions: [conditionOf('Accepted', refusal), conditionOf('Programmed', programmed)],
    });
  }
  const all = gateways.find((one) => one.sets.includes(set))?.listeners ?? [];
  const own = all.filter(({ owner }) => owner === set);
  return of(set, {
    conditions: summaryConditions(own, undefined),
    listeners: own.map((one) => listenerStatus(one, all, attached)),
  });
}
