import { anyClearsRouteCache } from '../filters/route-cache.js';
import type { AccessLog } from '../model/access-log.js';
import type { FilterOverrides } from '../model/filter-config.js';
import type { FilterChain, HttpConnectionManager, InboundListener } from '../model/listener.js';
import type { Route, RouteConfiguration, VirtualHost } from '../model/route.js';
import type { RouteMatch } from '../model/route-match.js';
import { routesOf } from '../model/routes-of.js';
import type { DownstreamTls } from '../model/tls.js';
import { layersOf, plaintextGuard, redirectToTls } from '../routing/route-answers.js';
import type { RoutePlace } from '../routing/route-effects.js';
import type { MatchedRoute } from '../routing/route-list.js';
import { compileRoutes } from '../routing/router.js';
import { compileVirtualClusters } from '../routing/virtual-clusters.js';
import { MeshError } from '../runtime/errors.js';
import type { ExchangeLogger } from '../service/exchange-logger.js';
import {
  compose,
  type Filter,
  type Request,
  type RequestHead,
  type Response,
  type Service,
} from '../service/service.js';
import { noRoute } from './answers.js';
import { createDoor } from './door.js';
import { policyOfChains } from './inbound-chains.js';
import type { ExchangeTimes, InboundChain, InboundMode, InboundPolicy } from './inbound-types.js';
import { Rerouting } from './rerouting.js';
import type { TracedPlace } from './tracing.js';
import type { Turnouts } from './turnouts.js';
import { gateUpgrades } from './upgrades.js';

export type {
  ExchangeTimes,
  InboundChain,
  InboundMode,
  InboundPolicy,
} from './inbound-types.js';

/** The application behind one request. A server binding puts it into `context.callerOptions`. */
export interface InboundApplication {
  /** Hands the request to the application; resolves when it has written its response head. */
  handle(request: Request): Promise<Response>;
}

export interface InboundOptions {
  /** Makes the HTTP filters of a chain, outermost first; `overrides` go from the most specific to the least. */
  readonly buildFilters: (
    http: HttpConnectionManager,
    overrides: readonly FilterOverrides[],
    place: {
      readonly route: Route;
      readonly virtualHost: VirtualHost;
      readonly turnouts: Turnouts | undefined;
    },
  ) => readonly Filter[];
  /** The changes of a route to requests and responses; undefined when it makes none. */
  readonly effects?: (place: RoutePlace) => Filter | undefined;
  /** What is done to requests before their route is chosen; undefined when nothing is. */
  readonly process?: (http: HttpConnectionManager) => Filter | undefined;
  /** The filter that traces the requests of a route; undefined when they are not traced. */
  readonly trace?: ((place: TracedPlace) => Filter | undefined) | undefined;
  /** The logger of a chain's access logs; undefined when it has none. */
  readonly accessLog?: ((logs: readonly AccessLog[] | undefined) => ExchangeLogger | undefined) | undefined;
  /** The filters that code adds, for while there is no listener. Default none. */
  readonly ownFilters?: (() => readonly Filter[]) | undefined;
  /** What applies while there is no listener. Default `closed`: without rules nobody is let in. */
  readonly unconfigured?: InboundMode;
}

/**
 * Derives the inbound policy of a listener. Its stacks are built here, once; a request only calls them.
 */
export function inboundPolicy(listener: InboundListener | undefined, options: InboundOptions): InboundPolicy {
  if (listener === undefined) return unconfigured(options);
  // A chain for other bytes serves no HTTP.
  return policyOfChains(listener, (chain) =>
    chain.http === undefined ? undefined : inboundChain(chain, options),
  );
}

function inboundChain(chain: FilterChain, options: InboundOptions): InboundChain {
  const log = options.accessLog?.(chain.http.accessLogs);
  const service = chainService(chain.http, options);
  return {
    name: chain.name,
    tls: chain.tls,
    service,
    tunnels: tunnelService(chain.http, service),
    log,
    door: chain.http.paths && createDoor(chain.http.paths),
    clientCert: chain.http.clientCert,
    limits: chain.http.limits,
    times: timesOf(chain.http),
  };
}

function timesOf({
  limits,
  streamIdleTimeoutMs,
  maxStreamDurationMs,
}: HttpConnectionManager): ExchangeTimes | undefined {
  const times = {
    requestMs: limits?.requestTimeoutMs ?? 0,
    idleMs: streamIdleTimeoutMs ?? 0,
    durationMs: maxStreamDurationMs ?? 0,
  };
  return times.requestMs + times.idleMs + times.durationMs === 0 ? undefined : times;
}

function tunnelService({ upgrades }: HttpConnectionManager, service = application): Service | undefined {
  return upgrades && gateUpgrades(upgrades, undefined, service);
}

/** The stacks of a chain's routes; undefined when every request goes straight to the application. */
function chainService(http: HttpConnectionManager, options: InboundOptions): Service | undefined {
  const { routes } = http;
  // gRFC A36: an inbound route table that is not inline is not there yet, so nothing is let in.
  if (routes.kind !== 'inline') return noRoute;
  const router = compileRoutes(routes.config);
  const virtualCluster = compileVirtualClusters(routes.config);
  const select = (request: Request) => router.select(headOf(request), request.context.random);
  const note = (request: Request, matched: MatchedRoute) => noteRoute(request, matched, virtualCluster);
  const rerouting = anyClearsRouteCache(http.filters) ? new Rerouting({ select, note }) : undefined;
  const stacks = new Map<Route, ApplicationStack | undefined>();
  for (const virtualHost of routes.config.virtualHosts) {
    for (const route of routesOf(virtualHost)) {
      const overrides = [route.filterOverrides, virtualHost.filterOverrides, ...layersOf(routes.config)];
      if (!isForApplication(route)) {
        stacks.set(route, undefined);
        continue;
      }
      const effects = options.effects?.({
        table: routes.config,
        virtualHost,
        route,
        cluster: undefined,
        suppressEnvoyHeaders: false,
      });
      const turnouts = rerouting?.turnouts();
      const filters = options.buildFilters(http, overrides, { route, virtualHost, turnouts });
      const span = options.trace?.({ http, route });
      stacks.set(route, {
        filters: [
          ...(span === undefined ? [] : [span]),
          ...filters,
          ...(effects === undefined ? [] : [effects]),
        ],
        turnouts,
      });
      rerouting?.add(route, (index) => turnouts?.rests.get(index));
    }
  }
  const process = options.process?.(http);
  if (
    process === undefined &&
    takesEverything(routes.config) &&
    [...stacks.values()].every((stack) => stack?.filters.length === 0)
  )
    return undefined;
  const services = new Map([...stacks].map(([route, stack]) => [route, stack && applicationService(stack)]));
  const plaintext = plaintextGuard(routes.config, router);
  const span = options.trace?.({ http, route: undefined });
  const missing = span === undefined ? noRoute : compose([span], noRoute);
  const route: Service = (request) => {
    if (plaintext?.(headOf(request)) === true) return redirectToTls(request);
    const matched = select(request);
    const service = matched && services.get(matched.route);
    if (matched !== undefined) note(request, matched);
    return (service ?? missing)(request);
  };
  return process === undefined ? route : compose([process], route);
}

/** The filters of a route to the application. */
interface ApplicationStack {
  readonly filters: readonly Filter[];
  readonly turnouts: Turnouts | undefined;
}

function applicationService({ filters, turnouts }: ApplicationStack): Service {
  return turnouts === undefined ? compose(filters, application) : turnouts.compose(filters, application);
}

/** CONNECT has no path: it takes the way of `/`, so that it passes the same filters. */
function headOf(request: Request): RequestHead {
  return request.method === 'CONNECT' ? { ...request, path: '/' } : request;
}

function noteRoute(
  request: Request,
  { route, virtualHost }: MatchedRoute,
  virtualCluster: ReturnType<typeof compileVirtualClusters>,
): void {
  const { context } = request;
  context.routeName = route.name;
  if (virtualCluster !== undefined) context.virtualClusterName = virtualCluster(virtualHost, headOf(request));
  context.routeMetadata = route.metadata;
}

/** gRFC A36: on a server only a route that does not forward leads anywhere. */
function isForApplication(route: Route): boolean {
  return route.action.kind === 'non-forwarding';
}

/** Whether no request can miss: one virtual host for every name, whose first route matches every path. */
function takesEverything({ virtualHosts: [virtualHost, ...others] }: RouteConfiguration): boolean {
  const match = virtualHost?.routes[0]?.match;
  return (
    others.length === 0 &&
    virtualHost?.domains.includes('*') === true &&
    virtualHost.requireTls === undefined &&
    virtualHost.virtualClusters === undefined &&
    match !== undefined &&
    matchesEverything(match)
  );
}

function matchesEverything({ path, headers, queryParameters, grpcOnly, ...rest }: RouteMatch): boolean {
  return (
    path.kind === 'prefix' &&
    path.value === '/' &&
    headers.length + queryParameters.length === 0 &&
    !grpcOnly &&
    // Whatever else a match may ask for is undefined where it asks for nothing.
    Object.values(rest).every((condition) => condition === undefined)
  );
}

/** What applies while there is no listener. */
export function unconfigured(options: InboundOptions): InboundPolicy {
  const { unconfigured: mode = 'closed', accessLog, ownFilters } = options;
  const log = accessLog?.(undefined);
  const filters = ownFilters?.() ?? [];
  const service = filters.length === 0 ? undefined : compose(filters, application);
  const tls: DownstreamTls = { requireClientCertificate: true, alpn: [] };
  const hasTls = mode === 'strict' || mode === 'permissive';
  const hasPlaintext = mode === 'disable' || mode === 'permissive';
  return {
    mode,
    tls: hasTls ? { name: '', tls, service, log } : undefined,
    plaintext: hasPlaintext ? { name: '', tls: undefined, service, log } : undefined,
  };
}

/** The lowest layer of every inbound stack: the application that the binding named in the request's context. */
function application(request: Request): Promise<Response> {
  const { callerOptions } = request.context;
  if (!isApplication(callerOptions)) {
    const error = new MeshError('INMESH_OPTION_INVALID', 'the inbound request names no application');
    return Promise.reject(error);
  }
  return callerOptions.handle(request);
}

function isApplication(value: unknown): value is InboundApplication {
  return (
    typeof value === 'object' && value !== null && 'handle' in value && typeof value.handle === 'function'
  );
}
