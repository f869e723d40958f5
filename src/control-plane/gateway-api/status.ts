import { GATEWAY_GROUP } from '../kinds/gateway-api/fields.js';
import type { ParentReference } from '../kinds/gateway-api/types.js';
import type { ConfigView, Document } from '../kinds/view.js';
import { yamlKind } from '../kinds/yaml-kind.js';
import type { MeshService } from '../mesh/services.js';
import { type BackendTls, backendTlsOf, isTargetThere } from './backend-tls.js';
import { targetOfBackend } from './backends.js';
import { isComplaint } from './certificates.js';
import { type Complaint, type Condition, conditionOf } from './condition.js';
import { ANY_HOST, commonHost } from './hostnames.js';
import { isServed, type ResolvedListener, type RouteGroupKind } from './listeners.js';
import { documentServices } from './parents.js';
import { parentConditions, type RouteJudging, refusalOf } from './route-status.js';
import {
  CONTROLLER_NAME,
  type GatewayApiState,
  type GatewayState,
  gatewayApiState,
  isOurClass,
  type ListenerSetState,
} from './state.js';

/** The status of one listener. */
export interface ListenerStatus {
  readonly name: string;
  readonly supportedKinds: readonly RouteGroupKind[];
  /** How many routes are attached to it. */
  readonly attachedRoutes: number;
  readonly conditions: readonly Condition[];
}

/** What one controller says of a route towards one of its parents. */
export interface RouteParentStatus {
  readonly parentRef: ParentReference;
  readonly controllerName: string;
  readonly conditions: readonly Condition[];
}

/** What one controller says of a policy at one of those that it is followed by. */
export interface PolicyAncestorStatus {
  readonly ancestorRef: ParentReference;
  readonly controllerName: string;
  readonly conditions: readonly Condition[];
}

/** The status of an object of the Gateway API, as Kubernetes shows it but for times and generations. */
export interface GatewayApiStatus {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly status: {
    readonly conditions?: readonly Condition[];
    readonly listeners?: readonly ListenerStatus[];
    readonly addresses?: readonly { readonly type: string; readonly value: string }[];
    readonly attachedListenerSets?: number;
    readonly parents?: readonly RouteParentStatus[];
    readonly ancestors?: readonly PolicyAncestorStatus[];
  };
}

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
    ...view.list('BackendTLSPolicy').map((policy) => policyStatus(policy, state, { view, services })),
  ];
}

function of(document: Document, status: GatewayApiStatus['status']): GatewayApiStatus {
  const { apiVersion, kind, namespace, name } = document;
  return { apiVersion, kind: yamlKind(kind), namespace, name, status };
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
    const accepted = parents.filter((parent) => refusalOf(route, parent, judging) === undefined);
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
  const { spec, supportedKinds, notAccepted, conflict, unresolved } = listener;
  const refusal = notAccepted ?? (conflict && { ...conflict, reason: 'Invalid' });
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
  const { gateway, listeners, sets, invalidParameters, clientCertificate } = state;
  const own = listeners.filter(({ owner }) => owner === gateway);
  const all = summaryConditions(own, invalidParameters ?? unsupportedAddress(state));
  const references = clientCertificate && isComplaint(clientCertificate) ? clientCertificate : undefined;
  const isAttached = (set: Document<'ListenerSet'>) =>
    listeners.some((one) => one.owner === set && isServed(one));
  return of(gateway, {
    addresses: (gateway.spec.addresses ?? []).flatMap(({ type, value = '' }) =>
      value === '' ? [] : [{ type, value }],
    ),
    conditions: clientCertificate === undefined ? all : [...all, conditionOf('ResolvedRefs', references)],
    listeners: own.map((one) => listenerStatus(one, listeners, attached)),
    ...(gateway.spec.allowedListeners !== undefined && {
      attachedListenerSets: sets.filter(isAttached).length,
    }),
  });
}

function unsupportedAddress({ gateway }: GatewayState): Complaint | undefined {
  const wrong = gateway.spec.addresses?.find(({ type }) => type !== 'IPAddress' && type !== 'Hostname');
  return (
    wrong && { reason: 'UnsupportedAddress', message: `addresses of the type ${wrong.type} are not known` }
  );
}

function setStatus(
  { set, refusal }: ListenerSetState,
  { gateways }: GatewayApiState,
  attached: Attached,
): GatewayApiStatus {
  if (refusal !== undefined) {
    return of(set, {
      conditions: [conditionOf('Accepted', refusal), conditionOf('Programmed', refusal)],
    });
  }
  const all = gateways.find((one) => one.sets.includes(set))?.listeners ?? [];
  const own = all.filter(({ owner }) => owner === set);
  return of(set, {
    conditions: summaryConditions(own, undefined),
    listeners: own.map((one) => listenerStatus(one, all, attached)),
  });
}

/** Gateway API: a policy speaks to each Gateway whose routes lead to its target. */
function policyStatus(
  policy: Document<'BackendTLSPolicy'>,
  state: GatewayApiState,
  { view, services }: { readonly view: ConfigView } & Pick<RouteJudging, 'services'>,
): GatewayApiStatus {
  const own = backendTlsOf(view).filter((one) => one.policy === policy && isTargetThere(one, services));
  const hosts = new Set(own.map(({ host }) => host));
  const gateways = gatewaysTo(hosts, state);
  const targets = policy.spec.targetRefs.map(({ group, kind, name, sectionName }) => ({
    group,
    kind,
    name,
    namespace: policy.namespace,
    ...(sectionName !== undefined && { sectionName }),
  }));
  const conditions = policyConditions(own);
  return of(policy, {
    ancestors: (gateways.length > 0 ? gateways : targets).map((ancestorRef) => ({
      ancestorRef,
      controllerName: CONTROLLER_NAME,
      conditions,
    })),
  });
}

function policyConditions(own: readonly BackendTls[]): readonly Condition[] {
  const lost: Complaint | undefined =
    own.length === 0
      ? { reason: 'TargetNotFound', message: 'there is no Service, or port of one, that it is for' }
      : undefined;
  const refusal = lost ?? own.find(({ notAccepted }) => notAccepted !== undefined)?.notAccepted;
  const unresolved = own.find((one) => one.unresolved !== undefined)?.unresolved;
  return [conditionOf('Accepted', refusal), conditionOf('ResolvedRefs', unresolved)];
}

function gatewaysTo(
  hosts: ReadonlySet<string>,
  { routes, lookup }: GatewayApiState,
): readonly ParentReference[] {
  const found = new Map<string, ParentReference>();
  for (const { route, parents } of routes) {
    const leads = (route.spec.rules ?? []).some(({ backendRefs = [] }) =>
      backendRefs.some((backend) => {
        const target = targetOfBackend(route, backend, lookup.grants);
        return !isComplaint(target) && hosts.has(target.host);
      }),
    );
    if (!leads) continue;
    for (const { listener } of parents.flatMap(({ listeners }) => listeners)) {
      const { name, namespace } = listener.gateway;
      found.set(`${namespace}/${name}`, { group: GATEWAY_GROUP, kind: 'Gateway', namespace, name });
    }
  }
  return [...found.values()];
}
