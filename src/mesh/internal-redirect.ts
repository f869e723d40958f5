import type { InternalRedirectPolicy, InternalRedirectPredicate } from '../model/redirect.js';
import type { Route } from '../model/route.js';
import type { MatchedRoute } from '../routing/route-list.js';
import { discardBody, EMPTY_BODY, isReplayable } from '../service/body.js';
import { createReplay, type Replay } from '../service/replay.js';
import type { Request, Response, Service } from '../service/service.js';

/** How a redirected request finds its next route. */
export interface RedirectTools {
  /** The whole way of a request, from choosing its route on. */
  readonly dispatch: Service;
  readonly select: (request: Request) => MatchedRoute | undefined;
}

/** Bytes of a streamed request that are kept for a redirect; above it the redirect goes to the caller. */
const BODY_LIMIT_BYTES = 1024 * 1024;

const STATE = Symbol('internal redirects');

/** What is remembered over the redirects of one exchange. */
interface RedirectState {
  count: number;
  /** Targets taken from each route, by its name. */
  readonly visited: Map<string, Set<string>>;
}

/**
 * Follows redirects of the upstream here (Envoy `internal_redirect_policy`): the request runs through route, filters and
 * upstream once more. When anything forbids that, the caller gets the redirect.
 */
export function followRedirects(
  route: Route,
  policy: InternalRedirectPolicy,
  next: Service,
  tools: RedirectTools,
): Service {
  return async (request) => {
    // Envoy: only a request that is complete can be sent elsewhere.
    if (request.context.upgrade !== undefined) return next(request);
    const replay = isReplayable(request.body) ? undefined : createReplay(request.body, BODY_LIMIT_BYTES);
    // Kept first: the route's changes go into the request itself.
    const url = `${request.scheme}://${request.authority}${request.path}`;
    const response = await next(replay === undefined ? request : { ...request, body: replay.body() });
    if (response.local !== undefined || !policy.codes.includes(response.status)) return response;
    const again = redirected({ request, url, response, replay, route, policy, tools });
    if (again === undefined) return response;
    discardBody(response.body);
    return tools.dispatch(again);
  };
}

interface Redirect {
  readonly request: Request;
  /** What was asked for. */
  readonly url: string;
  readonly response: Response;
  readonly replay: Replay | undefined;
  readonly route: Route;
  readonly policy: InternalRedirectPolicy;
  readonly tools: RedirectTools;
}

/** The request to follow a redirect with; undefined when it must not be followed. */
function redirected(redirect: Redirect): Request | undefined {
  const { request, response, replay, policy, tools, route } = redirect;
  const state = stateOf(request);
  const target = absoluteUrl(response.headers.get('location'));
  if (target === undefined || state.count >= policy.maxRedirects) return undefined;
  if (replay !== undefined && !replay.canReplay) return undefined;
  const wasHttps = request.scheme === 'https';
  const isHttps = target.scheme === 'https';
  if (wasHttps !== isHttps && !policy.allowCrossScheme) return undefined;
  const candidate: Request = { ...request, ...target, headers: request.headers.clone() };
  if (candidate.headers.has('host')) candidate.headers.set('host', target.authority);
  copyHeaders(candidate, response, policy);
  const matched = tools.select(candidate);
  if (matched === undefined) return undefined;
  const step = { from: route.name, to: matched.route.name, wasHttps, isHttps, state };
  if (!policy.predicates.every((predicate) => accepts(predicate, step))) return undefined;
  state.count++;
  candidate.headers.set('x-envoy-original-url', redirect.url);
  setBody(candidate, response.status, replay);
  request.context.details = undefined;
  return candidate;
}

function stateOf({ context }: Request): RedirectState {
  context.values ??= new Map();
  // Nobody else has the symbol.
  let state = context.values.get(STATE) as RedirectState | undefined;
  if (state === undefined) {
    state = { count: 0, visited: new Map() };
    context.values.set(STATE, state);
  }
  return state;
}

/** Scheme, host and path of an absolute http or https URL; Envoy follows no other. */
function absoluteUrl(
  location: string | undefined,
): { readonly scheme: string; readonly authority: string; readonly path: string } | undefined {
  const [, scheme, authority, rest = ''] = /^(https?):\/\/([^/?#]+)([^#]*)/i.exec(location ?? '') ?? [];
  if (scheme === undefined || authority === undefined) return undefined;
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  return { scheme: scheme.toLowerCase(), authority, path };
}

function copyHeaders(
  { headers }: Request,
  response: Response,
  { copyHeaders: names }: InternalRedirectPolicy,
): void {
  for (const name of names) {
    headers.delete(name);
    for (const value of response.headers.getAll(name)) headers.append(name, value);
  }
}

/** RFC 9110 §15.4.4: 303 asks for a GET without body. */
function setBody(request: Request, status: number, replay: Replay | undefined): void {
  if (status !== 303 || request.method === 'GET' || request.method === 'HEAD') {
    if (replay !== undefined) request.body = replay.body();
    return;
  }
  request.method = 'GET';
  request.body = EMPTY_BODY;
  request.headers.delete('content-length');
  request.headers.delete('transfer-encoding');
}

interface RedirectStep {
  readonly from: string;
  readonly to: string;
  readonly wasHttps: boolean;
  readonly isHttps: boolean;
  readonly state: RedirectState;
}

function accepts(predicate: InternalRedirectPredicate, step: RedirectStep): boolean {
  switch (predicate.kind) {
    case 'allow-listed-routes':
      return predicate.routes.includes(step.to);
    case 'safe-cross-scheme':
      return step.wasHttps || !step.isHttps;
    case 'previous-routes': {
      const { visited } = step.state;
      const seen = visited.get(step.from) ?? new Set();
      visited.set(step.from, seen);
      if (seen.has(step.to)) return false;
      seen.add(step.to);
      return true;
    }
  }
}
