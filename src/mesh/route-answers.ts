import type { RedirectAction } from '../model/redirect.js';
import type { DirectResponseAction } from '../model/route.js';
import { compileRedirect } from '../routing/redirect.js';
import type { Clock } from '../runtime/clock.js';
import { localReply } from '../service/local-reply.js';
import type { Service } from '../service/service.js';
import { type RoutePlace, responseEffects } from './route-effects.js';

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

const REQUIRES_TLS: RedirectAction = {
  kind: 'redirect',
  status: 301,
  scheme: undefined,
  https: true,
  host: '',
  port: 0,
  path: undefined,
  stripQuery: false,
};

/** Envoy `require_tls`: plaintext requests are sent to https; internal ones may be let through. */
export function requireTls(place: RoutePlace, clock: Clock, next: Service): Service {
  const kind = place.virtualHost.requireTls;
  if (kind === undefined) return next;
  const redirect = routeAnswer(REQUIRES_TLS, place, clock);
  return (request) => {
    const scheme = request.headers.get('x-forwarded-proto') ?? request.scheme;
    const isInternal = kind === 'external-only' && request.headers.get('x-envoy-internal') === 'true';
    return scheme === 'https' || isInternal ? next(request) : redirect(request);
  };
}
