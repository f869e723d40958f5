import type { ConfigView, Document, KindName } from '../kinds/view.js';
import { gatewayServices } from './gateway-services.js';
import { meshServices } from './mesh-services.js';
import { gatewayApiState, ROUTE_KINDS } from './state.js';

const known = new WeakMap<ConfigView, ConfigView>();

/**
 * The view with VirtualServices and Gateways that stand for the routes and Gateways of the Gateway API, as Istio compiles
 * them; the view itself where there are none. Remembered with the view.
 */
export function withGatewayApi(view: ConfigView): ConfigView {
  const before = known.get(view);
  if (before !== undefined) return before;
  const after = translate(view);
  known.set(view, after);
  return after;
}

function translate(view: ConfigView): ConfigView {
  const hasRoutes = ROUTE_KINDS.some((kind) => view.list(kind).length > 0);
  const hasGateways = view.list('Gateway.gateway.networking.k8s.io').length > 0;
  if (!hasRoutes && !hasGateways) return view;
  const state = gatewayApiState(view);
  const atGateways = gatewayServices(state);
  // Routes of the Gateway API are more specific than VirtualServices, which are for all clients and ports of a host.
  const virtualServices = [...meshServices(state), ...atGateways.services, ...view.list('VirtualService')];
  const gateways = [...atGateways.gateways, ...view.list('Gateway')];
  const standIns: { readonly [K in KindName]?: readonly Document[] } = {
    VirtualService: Object.freeze(virtualServices),
    Gateway: Object.freeze(gateways),
  };
  return Object.freeze({
    revision: view.revision,
    list<K extends KindName>(kind: K): readonly Document<K>[] {
      // Filed under its own kind.
      return (standIns[kind] as readonly Document<K>[] | undefined) ?? view.list(kind);
    },
    get: view.get.bind(view),
  });
}
