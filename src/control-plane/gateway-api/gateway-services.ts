import { apiCertificateSecret } from '../kinds/credential.js';
import type { ApiTlsExtras, GatewayServer, HttpRoute, KindSpecs } from '../kinds/types.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { Grants } from './grants.js';
import { ANY_HOST, bestListenerHost, hostRank, specificity } from './hostnames.js';
import { inOrder, rulesOfRoute } from './http-rules.js';
import { refusalOf, tcpRuleOf, tlsRuleOf } from './l4-rules.js';
import { type ApiGateway, isServed, type ListenerTls, layerOf, type ResolvedListener } from './listeners.js';
import { type ApiRoute, hostsOf } from './parents.js';
import { standIn } from './stand-in.js';
import type { GatewayApiState } from './state.js';

/** The label by which the gateways of a Gateway are known (GEP-1762). */
export const GATEWAY_NAME_LABEL = 'gateway.networking.k8s.io/gateway-name';

/** What stands for Gateways and the routes that are attached to them. */
export interface GatewayStandIns {
  readonly gateways: readonly Document<'Gateway'>[];
  readonly services: readonly Document<'VirtualService'>[];
}

/** The Gateways, one for each listener, and the VirtualServices, one for each host of a listener. */
export function gatewayServices(state: GatewayApiState): GatewayStandIns {
  const { view } = state.lookup;
  const gateways: Document<'Gateway'>[] = [];
  const services: Document<'VirtualService'>[] = [];
  for (const { listeners, refusal } of state.gateways) {
    if (refusal !== undefined) continue;
    const served = listeners.filter(isServed);
    for (const listener of served) {
      gateways.push(gatewayOf(listener, view));
      services.push(...servicesOf(listener, served, state));
    }
  }
  return { gateways, services };
}

/** No name of Kubernetes has a `~`. */
function standInName({ gateway, owner, spec }: ResolvedListener): string {
  const set = owner.kind === 'ListenerSet' ? `${owner.namespace}~${owner.name}~` : '';
  return `${gateway.name}~${set}${spec.name}`;
}

/** A Gateway says by its address which service leads to its gateways; else they have its name in a label (Istio). */
function workloadsOf(
  gateway: ApiGateway,
  view: ConfigView,
): { readonly selector: Readonly<Record<string, string>>; readonly namespace: string } {
  for (const { type, value = '' } of gateway.spec.addresses ?? []) {
    if (type !== 'Hostname') continue;
    const [name = '', namespace = gateway.namespace] = value.split('.');
    const selector = view.get('Service', namespace, name)?.spec.selector;
    if (selector !== undefined) return { selector, namespace };
  }
  return { selector: { [GATEWAY_NAME_LABEL]: gateway.name }, namespace: gateway.namespace };
}

function gatewayOf(listener: ResolvedListener, view: ConfigView): Document<'Gateway'> {
  const { gateway, spec } = listener;
  const { selector, namespace } = workloadsOf(gateway, view);
  const name = standInName(listener);
  const tls = tlsOf(listener);
  const server: GatewayServer = {
    port: { number: spec.port, protocol: spec.protocol, name },
    hosts: [`*/${spec.hostname?.toLowerCase() ?? ANY_HOST}`],
    ...(tls !== undefined && { tls }),
  };
  const content: KindSpecs['Gateway'] = { servers: [server], selector, gatewayApi: { namespace } };
  return standIn('Gateway', { namespace: gateway.namespace, name }, content, gateway);
}

function tlsOf({ spec, tls }: ResolvedListener): GatewayServer['tls'] {
  if (layerOf(spec) !== 'tls') return undefined;
  if (tls === undefined) return { mode: 'PASSTHROUGH' };
  return { mode: tls.clientRoots === undefined ? 'SIMPLE' : 'MUTUAL', gatewayApi: extrasOf(tls) };
}

function extrasOf({ certificates, clientRoots, allowsAnyClient }: ListenerTls): ApiTlsExtras {
  return {
    certificates: certificates.map(({ namespace, name }) => apiCertificateSecret(namespace, name)),
    clientRoots,
    allowsAnyClient,
  };
}

function servicesOf(
  listener: ResolvedListener,
  served: readonly ResolvedListener[],
  state: GatewayApiState,
): readonly Document<'VirtualService'>[] {
  const attached = routesAt(listener, state);
  const gateway = `${listener.gateway.namespace}/${standInName(listener)}`;
  const { grants } = state.lookup;
  const make = (host: string, rules: Rules) =>
    standIn(
      'VirtualService',
      { namespace: listener.gateway.namespace, name: `${standInName(listener)}~${host}` },
      { hosts: [host], gateways: [gateway], ...rules },
      listener.gateway,
    );
  const { protocol } = listener.spec;
  if (protocol === 'HTTP' || protocol === 'HTTPS')
    return httpServices(listener, served, { attached, grants, make });
  return l4Services(listener, served, { attached, grants, make });
}

interface AttachedRoute {
  readonly route: ApiRoute;
  readonly hosts: readonly string[];
}

function isTls(route: ApiRoute): route is Document<'TLSRoute'> {
  return route.kind === 'TLSRoute';
}

function isTcp(route: ApiRoute): route is Document<'TCPRoute'> {
  return route.kind === 'TCPRoute';
}

function routesAt(listener: ResolvedListener, { routes }: GatewayApiState): readonly AttachedRoute[] {
  return routes.flatMap(({ route, parents }) => {
    const hosts = parents
      .filter(({ refusal }) => refusal === undefined)
      .flatMap(({ listeners }) => listeners)
      .filter((one) => one.listener === listener)
      .flatMap((one) => one.hosts);
    return hosts.length === 0 ? [] : [{ route, hosts: [...new Set(hosts)] }];
  });
}

type Rules = Pick<KindSpecs['VirtualService'], 'http' | 'tcp' | 'tls'>;

interface Tools {
  readonly attached: readonly AttachedRoute[];
  readonly grants: Grants;
  readonly make: (host: string, rules: Rules) => Document<'VirtualService'>;
}

/**
 * The name in TLS chooses among TLSRoutes, of which the oldest has a name that several give. What comes without a name, and
 * names that no TLSRoute gives, are for the oldest TCPRoute.
 */
function l4Services(
  listener: ResolvedListener,
  served: readonly ResolvedListener[],
  { attached, grants, make }: Tools,
): readonly Document<'VirtualService'>[] {
  const own = hostOf(listener);
  const peers = served
    .filter(({ spec }) => spec.port === listener.spec.port && layerOf(spec) === 'tls')
    .map(hostOf);
  const byAge = [...attached].sort((a, b) => a.route.order - b.route.order);
  const documents = new Map<string, Document<'VirtualService'>>();
  for (const { route, hosts } of byAge) {
    if (!isTls(route)) continue;
    for (const host of hosts) {
      // A name is for one listener only, the one with the most specific hostname.
      if (documents.has(host) || bestListenerHost(host, peers) !== own) continue;
      const rule = tlsRuleOf(route, [host], grants);
      if (rule !== undefined) documents.set(host, make(host, { tls: [rule] }));
    }
  }
  const rest = byAge.map(({ route }) => route).find(isTcp);
  const rule = rest && tcpRuleOf(rest, grants);
  if (rule !== undefined) return [...documents.values(), make(own, { tcp: [rule] })];
  // Else Envoy would take what no route here names to a listener with a less specific hostname.
  const isInside = peers.some((other) => other !== own && covers(other, own));
  if (isInside && !documents.has(own)) documents.set(own, make(own, { tls: [refusalOf(own)] }));
  return [...documents.values()];
}

/**
 * Gateway API: a request is for one listener only, the one with the most specific hostname; what the routes of others say of
 * its host does not count.
 */
function httpServices(
  listener: ResolvedListener,
  served: readonly ResolvedListener[],
  { attached, grants, make }: Tools,
): readonly Document<'VirtualService'>[] {
  const own = hostOf(listener);
  const { protocol, port } = listener.spec;
  const peers = served.filter(({ spec }) => spec.protocol === protocol && spec.port === port).map(hostOf);
  const named = new Set(attached.flatMap(({ hosts }) => hosts));
  const routed = [...named].filter((host) => bestListenerHost(host, peers) === own);
  const documents = routed.map((host) => make(host, { http: rulesFor(host, attached, grants) }));
  const nothing = (host: string, failure: 404 | 421) => make(host, { http: [failing(failure)] });
  if (!named.has(own)) documents.push(nothing(own, 404));
  if (protocol === 'HTTP') return documents;
  // Listeners of HTTPS are chosen by the name in TLS: a request for the host of another one was misdirected.
  for (const other of peers) {
    const isOthers = other !== own && (specificity(other) > specificity(own) || !covers(own, other));
    if (isOthers && !routed.includes(other)) documents.push(nothing(other, 421));
  }
  return documents;
}

/**
 * Gateway API: rules of routes with a more specific host name go first; what none of them matches is for those with a less
 * specific one. What routes name counts, not what they have in common with the listener.
 */
function rulesFor(host: string, attached: readonly AttachedRoute[], grants: Grants): readonly HttpRoute[] {
  const rules = attached.flatMap(({ route }) => {
    const ranks = hostsOf(route)
      .filter((one) => covers(one, host))
      .map(hostRank);
    return ranks.length === 0 ? [] : rulesOfRoute(route, grants, Math.max(...ranks));
  });
  return inOrder(rules);
}

function covers(own: string, other: string): boolean {
  return bestListenerHost(other, [own]) === own;
}

function hostOf({ spec }: ResolvedListener): string {
  return spec.hostname?.toLowerCase() ?? ANY_HOST;
}

function failing(failure: 404 | 421): HttpRoute {
  return {
    name: failure === 404 ? 'no-route' : 'misdirected',
    gatewayApi: { backends: [], redirect: undefined, rewrite: undefined, session: undefined, failure },
  };
}
