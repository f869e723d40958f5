import { splitHostPort } from '../../model/address.js';
import { indexVirtualServices, meshVirtualServices } from '../compile/virtual-services.js';
import { isStandIn } from '../gateway-api/stand-in.js';
import { ROUTE_KINDS } from '../gateway-api/state.js';
import { withGatewayApi } from '../gateway-api/translate.js';
import { fullHostName } from '../kinds/hosts.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { Caller } from './caller.js';
import type { RequestExplanation } from './explanation.js';

interface World {
  readonly view: ConfigView;
  readonly caller: Caller;
  readonly config: MeshConfig;
}

/** The VirtualService of a `host:port` and the DestinationRules of the cluster, with their places. */
export function documentsFor(
  hostPort: string,
  layer: 'http' | 'tcp',
  { cluster, route = '' }: { readonly cluster: string | undefined; readonly route?: string },
  { view, caller, config }: World,
): RequestExplanation['documents'] {
  const { host, port = 80 } = splitHostPort(hostPort);
  const all = meshVirtualServices(withGatewayApi(view), caller.namespace, config);
  const routed = indexVirtualServices(all).find(host, port, layer);
  const destination = cluster?.split('|')[3];
  const rules = view
    .list('DestinationRule')
    .filter(({ spec, namespace }) => fullHostName(spec.host, namespace) === destination);
  const own = routed && (isStandIn(routed) ? apiRoute(routed, route, view) : routed);
  return [...(own === undefined ? [] : [own]), ...rules].map(placeOf);
}

/** The route of the Gateway API that a VirtualService stands for: that of the rule, which is named after it, else the first. */
function apiRoute(service: Document, rule: string, view: ConfigView): Document | undefined {
  const all = ROUTE_KINDS.flatMap((kind): readonly Document[] => view.list(kind));
  const named = all.find(({ namespace, name }) => `${rule}.`.startsWith(`${namespace}.${name}.`));
  return named ?? all.find(({ origin }) => origin === service.origin);
}

function placeOf({ kind, namespace, name, origin }: Document): RequestExplanation['documents'][number] {
  return { kind, namespace, name, ...origin };
}
