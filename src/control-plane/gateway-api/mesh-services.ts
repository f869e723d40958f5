import type { KindSpecs } from '../kinds/types.js';
import type { Document } from '../kinds/view.js';
import type { Grants } from './grants.js';
import { inOrder, rulesOfRoute } from './http-rules.js';
import { tcpRuleOf, tlsRuleOf } from './l4-rules.js';
import { type ApiRoute, hostsOf, type MeshAttachment } from './parents.js';
import { standIn } from './stand-in.js';
import type { GatewayApiState } from './state.js';

interface Attached extends MeshAttachment {
  readonly route: ApiRoute;
}

/**
 * The VirtualServices that stand for routes of clients in the mesh (GAMMA), in the order in which they are looked at: those of
 * the client's own namespace first, then those for one port of a service.
 */
export function meshServices({ routes, lookup }: GatewayApiState): readonly Document<'VirtualService'>[] {
  const groups = new Map<string, Attached[]>();
  for (const { route, parents } of routes) {
    for (const { services } of parents) {
      for (const service of services) {
        const layer = layerOf(route);
        const key = JSON.stringify([service.host, service.consumer ?? '', layer]);
        groups.set(key, [...(groups.get(key) ?? []), { ...service, route }]);
      }
    }
  }
  const documents = [...groups.values()].flatMap((group) => ofGroup(group, lookup.grants));
  const isConsumer = ({ spec }: Document<'VirtualService'>) => spec.exportTo?.[0] === '.';
  return [...documents.filter(isConsumer), ...documents.filter((one) => !isConsumer(one))];
}

function layerOf({ kind }: ApiRoute): 'http' | 'tcp' {
  return kind === 'HTTPRoute' || kind === 'GRPCRoute' ? 'http' : 'tcp';
}

/** A route for one port holds along with those for all ports; the latter alone hold for all other ports. */
function ofGroup(group: readonly Attached[], grants: Grants): readonly Document<'VirtualService'>[] {
  const ports = [...new Set(group.flatMap(({ port }) => port ?? []))];
  return [...ports, undefined].flatMap((port) => {
    const own = group.filter((one) => one.port === undefined || one.port === port);
    const [first] = own;
    return first === undefined ? [] : [documentOf(first, own, { port, grants })];
  });
}

function documentOf(
  { host, consumer, route: first }: Attached,
  attached: readonly Attached[],
  { port, grants }: { readonly port: number | undefined; readonly grants: Grants },
): Document<'VirtualService'> {
  const layer = layerOf(first);
  const routes = [...new Set(attached.map(({ route }) => route))];
  const spec: KindSpecs['VirtualService'] = {
    hosts: [host],
    exportTo: consumer === undefined ? ['*'] : ['.'],
    gatewayApi: { port, layer },
    ...(layer === 'http'
      ? { http: inOrder(routes.flatMap((route) => rulesOfRoute(route, grants))) }
      : l4Rules(routes, grants)),
  };
  const name = `${host}~${port ?? ''}~${layer}`;
  return standIn('VirtualService', { namespace: consumer ?? first.namespace, name }, spec, first);
}

/** Gateway API: the older route goes first; a TLSRoute sees names, so that it goes before a TCPRoute. */
function l4Rules(
  routes: readonly ApiRoute[],
  grants: Grants,
): Pick<KindSpecs['VirtualService'], 'tcp' | 'tls'> {
  const sorted = [...routes].sort((a, b) => a.order - b.order);
  const isTls = (route: ApiRoute): route is Document<'TLSRoute'> => route.kind === 'TLSRoute';
  const isTcp = (route: ApiRoute): route is Document<'TCPRoute'> => route.kind === 'TCPRoute';
  return {
    tls: sorted.filter(isTls).flatMap((route) => tlsRuleOf(route, hostsOf(route), grants) ?? []),
    tcp: sorted.filter(isTcp).flatMap((route) => tcpRuleOf(route, grants) ?? []),
  };
}
