import type { FilterOverrides } from '../model/filter-config.js';
import type { RedirectAction } from '../model/redirect.js';
import type { DirectResponseAction, RouteConfiguration } from '../model/route.js';
import type { Clock } from '../runtime/clock.js';
import { localReply } from '../service/local-reply.js';
import type { RequestHead, Service } from '../service/service.js';
import { compileRedirect } from './redirect.js';
import { type RoutePlace, responseEffects } from './route-effects.js';
import type { Router } from './router.js';

/** The service of a route that answers here: redirects and direct responses. */
export function routeAnswer(
  action: RedirectAction | DirectResponseAction,
  place: RoutePlace,
  clock: Clock,
): Service {
  const change = responseEffects(place, clock);
  const location = action.kind === 'redirect' ? compileRedirect(action, place.route.match.path) : undefined;
  const body = action.kind === 'redirect' ? '' : action.body;
  return async (request) => {
    const response = localReply(request, {
      status: action.status,
      body,
      details: 'direct_response',
      reason: REASONS[action.kind],
      ...(location !== undefined && { headers: [['location', location(request)]] }),
    });
    change?.(request, response);
    return response;
  };
}

const REASONS = { redirect: 'INMESH_REDIRECT', 'direct-response': 'INMESH_DIRECT_RESPONSE' } as const;

/** Envoy `require_tls`: sends a plaintext request to https; host and path stay as they are. */
export const redirectToTls: Service = async (request) =>
  localReply(request, {
    status: 301,
    body: '',
    details: 'direct_response',
    reason: REASONS.redirect,
    headers: [['location', `https://${request.authority}${request.path}`]],
  });

/**
 * Whether a request comes in plaintext where its virtual host wants TLS; internal ones may be let through. It is asked
 * before any route is looked for. Undefined when no virtual host wants it.
 */
export function plaintextGuard(
  { virtualHosts }: RouteConfiguration,
  router: Router,
): ((head: RequestHead) => boolean) | undefined {
  if (virtualHosts.every(({ requireTls }) => requireTls === undefined)) return undefined;
  return (head) => {
    const kind = router.virtualHost(head)?.requireTls;
    if (kind === undefined) return false;
    const scheme = head.headers.get('x-forwarded-proto') ?? head.scheme;
    const isInternal = kind === 'external-only' && head.headers.get('x-envoy-internal') === 'true';
    return scheme !== 'https' && !isInternal;
  };
}

/** The filter configuration of a table, as the least specific layer. */
export function layersOf({ filterOverrides }: RouteConfiguration): readonly FilterOverrides[] {
  return filterOverrides === undefined ? [] : [filterOverrides];
}
