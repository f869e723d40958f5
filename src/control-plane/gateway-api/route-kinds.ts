import { coversHost } from '../kinds/hosts.js';
import type { ListenerAttachment, ParentAttachment } from './parents.js';
import type { RouteState } from './route-state.js';

/**
 * Gateway API: at one listener an HTTPRoute and a GRPCRoute cannot share a host. The older one has it, the other is not
 * accepted there.
 */
export function refuseMixedKinds(routes: readonly RouteState[]): readonly RouteState[] {
  const isHttp = ({ route }: RouteState) => route.kind === 'HTTPRoute' || route.kind === 'GRPCRoute';
  if (!routes.some(({ route }) => route.kind === 'GRPCRoute')) return routes;
  const byAge = routes.filter(isHttp).sort((a, b) => a.route.order - b.route.order);
  const accepted: { readonly kind: string; readonly attachment: ListenerAttachment }[] = [];
  const changed = new Map<RouteState, RouteState>();
  for (const state of byAge) {
    const { kind } = state.route;
    const clashes = ({ listener, hosts }: ListenerAttachment) =>
      accepted.some(
        (other) =>
          other.kind !== kind &&
          other.attachment.listener === listener &&
          other.attachment.hosts.some((a) =>
            hosts.some((b) => a === '*' || b === '*' || coversHost(a, b) || coversHost(b, a)),
          ),
      );
    const parents = state.parents.map((parent): ParentAttachment => {
      const listeners = parent.listeners.filter((one) => !clashes(one));
      if (listeners.length === parent.listeners.length) return parent;
      if (listeners.length > 0) return { ...parent, listeners };
      const message = `an older route of another kind has the hosts of this one at the listener`;
      return { ...parent, listeners, refusal: { reason: 'NotAllowedByListeners', message } };
    });
    for (const { listeners } of parents)
      for (const attachment of listeners) accepted.push({ kind, attachment });
    changed.set(state, { ...state, parents });
  }
  return routes.map((state) => changed.get(state) ?? state);
}
