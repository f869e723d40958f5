import type { KindSpecs } from '../kinds/types.js';
import type { Document } from '../kinds/view.js';
import { NO_GRANT_NEEDED } from './grants.js';
import { ANY_HOST } from './hostnames.js';
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
export function meshServices({ routes }: GatewayApiState): readonly Document<'VirtualService'>[] {
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
  const documents = [...groups.values()].flatMap(ofGroup);
  const isConsumer = ({ spec }: Document<'VirtualService'>) => spec.exportTo?.[0] === '.';
  return [...documents.filter(isConsumer), ...documents.filter((one) => !isConsumer(one))];
}

function layerOf({ kind }: ApiRoute): 'http' | 'tcp' {
  return kind === 'HTTPRoute' || kind === 'GRPCRoute' ? 'http' : 'tcp';
}

/** A route for one port holds along with those for all ports; the latter alone hold for all other ports. */
function ofGroup(group: readonly Attached[]): readonly Document<'VirtualService'>[] {
  const ports = [...new Set(group.flatMap(({ port }) => port ?? []))];
  return [...ports, undefined].flatMap((port) => {
    const own = group.filter((one) => one.port === undefined || one.port === port);
    const [first] = own;
    return first === undefined ? [] : [documentOf(first, own, port)];
  });
}

function documentOf(
  { host, consumer, route: first }: Attached,
  attached: readonly Attached[],
  port: number | undefined,
): Document<'VirtualService'> {
  const layer = layerOf(first);
  const routes = [...new Set(attached.map(({ route }) => route))];
  const spec: KindSpecs['VirtualService'] = {
    hosts: [host],
    exportTo: consumer === undefined ? ['*'] : ['.'],
    gatewayApi: { port, layer },
    ...(layer === 'http'
      ? { http: inOrder(routes.flatMap((route) => rulesOfRoute(route, NO_GRANT_NEEDED))) }
      : l4Rules(routes, host)),
  };
  const name = `${host}~${port ?? ''}~${layer}`;
  return standIn('VirtualService', { namespace: consumer ?? first.namespace, name }, spec, first);
}

/** Gateway API: the older route goes first; a TLSRoute sees names, so that it goes before a TCPRoute. */
function l4Rules(
  routes: readonly ApiRoute[],
  parent: string,
): Pick<KindSpecs['VirtualService'], 'tcp' | 'tls'> {
  const sorted = [...routes].sort((a, b) => a.order - b.order);
  const isTls = (route: ApiRoute): route is Document<'TLSRoute'> => route.kind === 'TLSRoute';
  const isTcp = (route: ApiRoute): route is Document<'TCPRoute'> => route.kind === 'TCPRoute';
  // Istio: a route without host names is for the name of its parent.
  const namesOf = (route: ApiRoute) => hostsOf(route).map((host) => (host === ANY_HOST ? parent : host));
  return {
    tls: sorted.filter(isTls).flatMap((route) => tlsRuleOf(route, namesOf(route), NO_GRANT_NEEDED) ?? []),
    tcp: sorted.filter(isTcp).flatMap((route) => tcpRuleOf(route, NO_GRANT_NEEDED) ?? []),
  };
}
