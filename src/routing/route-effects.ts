import type { HeaderRules } from '../model/header-mutation.js';
import type { HostRewrite } from '../model/rewrite.js';
import type { Route, RouteConfiguration, VirtualHost, WeightedCluster } from '../model/route.js';
import type { Clock } from '../runtime/clock.js';
import { formatToolsOf, inputOf } from '../service/format/tools.js';
import type { ResponseHead } from '../service/head-change.js';
import { changeHead } from '../service/response-head.js';
import type { Filter, Request, Response } from '../service/service.js';
import { compileMutations, type HeaderChange, orderMutations } from './header-mutation.js';
import { compileHostRewrite, compilePathRewrite, type HostChange, type PathChange } from './rewrite.js';

/** Where a stack stands in its route table. */
export interface RoutePlace {
  readonly table: RouteConfiguration;
  /** Name of the resource that the table came in; undefined = it is the table's. */
  readonly origin?: string | undefined;
  readonly virtualHost: VirtualHost;
  readonly route: Route;
  /** The chosen weighted cluster. */
  readonly cluster: WeightedCluster | undefined;
  /** Router's `suppress_envoy_headers`. */
  readonly suppressEnvoyHeaders: boolean;
}

/** What a route does to requests and responses besides choosing where they go; each part undefined when it does nothing. */
interface Effects {
  readonly requestHeaders: HeaderChange | undefined;
  readonly responseHeaders: HeaderChange | undefined;
  readonly host: HostChange | undefined;
  readonly path: PathChange | undefined;
  readonly appendForwardedHost: boolean;
  readonly keepOriginals: boolean;
  readonly attemptCount: boolean;
}

/**
 * The router's changes to requests and responses, in Envoy's order: headers, host, path; on the way back the attempt
 * count, then headers. It stands below the HTTP filters and above time-outs and retries, so answers that those make
 * get the response headers, too. Undefined when the route changes nothing.
 */
export function routeEffects(place: RoutePlace, clock: Clock): Filter | undefined {
  const effects = compileEffects(place, clock);
  const { requestHeaders, responseHeaders, host, path, attemptCount } = effects;
  const changesRequest = (requestHeaders ?? host ?? path) !== undefined;
  const changesResponse = responseHeaders !== undefined || attemptCount;
  if (!changesResponse) {
    if (!changesRequest) return undefined;
    return (request, next) => {
      changeRequest(request, effects);
      return next(request);
    };
  }
  return (request, next) => {
    changeRequest(request, effects);
    return changeHead(request, next, (head) => changeResponse(request, head, effects));
  };
}

/** Header changes to an answer that a route makes here: redirects and direct responses have them too. */
export function responseEffects(
  place: RoutePlace,
  clock: Clock,
): ((request: Request, response: Response) => void) | undefined {
  const { responseHeaders } = compileEffects(place, clock);
  if (responseHeaders === undefined) return undefined;
  return (request, response) => responseHeaders(response.headers, inputOf(request, response));
}

function compileEffects(place: RoutePlace, clock: Clock): Effects {
  const { table, virtualHost, route, cluster, suppressEnvoyHeaders } = place;
  const { action } = route;
  const rules = orderMutations<HeaderRules | undefined>(
    [cluster?.headers, route.headers, virtualHost.headers, table.headers],
    table.mostSpecificHeaderMutationsWins ?? false,
  );
  const tools = formatToolsOf(clock);
  const hostRewrite = hostRewriteOf(place);
  return {
    requestHeaders: compileMutations(
      rules.map((rule) => rule?.request),
      tools,
    ),
    responseHeaders: compileMutations(
      rules.map((rule) => rule?.response),
      tools,
    ),
    host: hostRewrite && compileHostRewrite(hostRewrite),
    path:
      action.kind === 'forward' && action.pathRewrite !== undefined
        ? compilePathRewrite(route.match.path, action.pathRewrite)
        : undefined,
    appendForwardedHost: action.kind === 'forward' && action.appendForwardedHost === true,
    keepOriginals: !suppressEnvoyHeaders,
    attemptCount: virtualHost.includeAttemptCountInResponse ?? false,
  };
}

/** The weighted cluster's literal goes before the route's rewrite. */
function hostRewriteOf({ route: { action }, cluster }: RoutePlace): HostRewrite | undefined {
  if (cluster?.hostRewrite !== undefined) return { kind: 'literal', value: cluster.hostRewrite };
  return action.kind === 'forward' ? action.hostRewrite : undefined;
}

function changeRequest(request: Request, effects: Effects): void {
  const { requestHeaders, host, path, appendForwardedHost, keepOriginals } = effects;
  requestHeaders?.(request.headers, inputOf(request));
  const newHost = host?.(request);
  if (newHost !== undefined && newHost !== '') {
    rewriteHost(request, newHost, { appendForwardedHost, keepOriginals });
  }
  if (path === undefined) return;
  const newPath = path(request.path);
  if (keepOriginals) request.headers.set('x-envoy-original-path', request.path);
  request.path = newPath;
}

/** How the old host is remembered when it is rewritten. */
export interface HostMemory {
  readonly appendForwardedHost: boolean;
  readonly keepOriginals: boolean;
}

/** How the endpoint's name becomes the host; undefined when the route does not ask for it. */
export function autoHostOf(place: RoutePlace): HostMemory | undefined {
  const { action } = place.route;
  if (hostRewriteOf(place)?.kind !== 'auto' || action.kind !== 'forward') return undefined;
  return {
    appendForwardedHost: action.appendForwardedHost === true,
    keepOriginals: !place.suppressEnvoyHeaders,
  };
}

/** Gives a request another host; the old one is kept in headers. */
export function rewriteHost(request: Request, host: string, memory: HostMemory): void {
  const { headers, authority } = request;
  if (memory.appendForwardedHost && authority !== '') appendForwardedHost(request);
  if (memory.keepOriginals && authority !== host && authority !== '') {
    headers.set('x-envoy-original-host', authority);
  }
  request.authority = host;
  // A caller that named the host itself did so in a header, and that is what would be sent.
  if (headers.has('host')) headers.set('host', host);
}

/** Envoy: appended with a comma and no space, unless it is the last entry already. */
function appendForwardedHost({ headers, authority }: Request): void {
  const known = headers.getAll('x-forwarded-host').join(',');
  const last = known.slice(known.lastIndexOf(',') + 1).trim();
  if (last === authority) return;
  headers.set('x-forwarded-host', known === '' ? authority : `${known},${authority}`);
}

function changeResponse(request: Request, head: ResponseHead, effects: Effects): void {
  const { headers } = head;
  if (effects.attemptCount && request.context.attemptCount > 0) {
    headers.set('x-envoy-attempt-count', String(request.context.attemptCount));
  }
  effects.responseHeaders?.(headers, inputOf(request, head));
}
