import { isEqual } from '../../runtime/equal.js';
import { derived, overlay, type StandIns } from '../kinds/derived.js';
import type { ConfigView, Document } from '../kinds/view.js';
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
  return hasRoutes || hasGateways ? overlay(view, STAND_INS) : view;
}

interface Made {
  readonly services: readonly Document<'VirtualService'>[];
  readonly gateways: readonly Document<'Gateway'>[];
}

const made = derived<Made>(
  (view) => {
    const state = gatewayApiState(view);
    const { services, gateways } = gatewayServices(state);
    return { services: [...meshServices(state), ...services], gateways };
  },
  (before, after) => ({
    services: keepEqual(before.services, after.services),
    gateways: keepEqual(before.gateways, after.gateways),
  }),
);

/** The documents, but those of before wherever they say the same. */
function keepEqual<D extends Document>(before: readonly D[], after: readonly D[]): readonly D[] {
  const known = new Map(before.map((one) => [`${one.namespace}/${one.name}`, one]));
  const kept = after.map((one) => {
    const last = known.get(`${one.namespace}/${one.name}`);
    return last !== undefined && last.order === one.order && isEqual(last.spec, one.spec) ? last : one;
  });
  const isSame = kept.length === before.length && kept.every((one, at) => one === before[at]);
  return isSame ? before : kept;
}

/** Routes of the Gateway API are more specific than VirtualServices, which are for all clients and ports of a host. */
const virtualServices = derived((view) => [...made(view).services, ...view.list('VirtualService')]);
const gateways = derived((view) => [...made(view).gateways, ...view.list('Gateway')]);

const STAND_INS: StandIns = { VirtualService: virtualServices, Gateway: gateways };
