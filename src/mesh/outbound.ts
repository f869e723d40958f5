import type { ClusterRuntime } from '../cluster/cluster.js';
import { buildFilters } from '../filters/builtin.js';
import { NO_CUSTOM_FILTERS } from '../filters/custom-filters.js';
import type { HostBreakers } from '../filters/failure-rate-breaker.js';
import type { CustomFilters, FilterTools, LocalNode } from '../filters/filter.js';
import { createFilterMemory, type FilterMemory } from '../filters/filter-memory.js';
import { anyClearsRouteCache } from '../filters/route-cache.js';
import { rateLimitsAt } from '../filters/route-rate-limits.js';
import type { AccessLog } from '../model/access-log.js';
import { splitHostPort } from '../model/address.js';
import type { FilterOverrides } from '../model/filter-config.js';
import type { HttpConnectionManager } from '../model/listener.js';
import type { RedirectAction } from '../model/redirect.js';
import type { DirectResponseAction, Route, RouteAction, WeightedCluster } from '../model/route.js';
import { routesOf } from '../model/routes-of.js';
import type { ResolvedOutbound } from '../model/snapshot.js';
import { compileHashPolicies } from '../routing/hash-policy.js';
import { compileHeaderMatchers } from '../routing/match.js';
import { layersOf, plaintextGuard, redirectToTls, routeAnswer } from '../routing/route-answers.js';
import { type RoutePlace, routeEffects } from '../routing/route-effects.js';
import type { MatchedRoute } from '../routing/route-list.js';
import { compileRoutes } from '../routing/router.js';
import { compileVirtualClusters } from '../routing/virtual-clusters.js';
import type { Clock } from '../runtime/clock.js';
import { unreachable } from '../runtime/errors.js';
import type { Random } from '../runtime/random.js';
import type { ExchangeLogger } from '../service/exchange-logger.js';
import type { Observer } from '../service/observer.js';
import { compose, type Filter, type Request, type Response, type Service } from '../service/service.js';
import { missingRoutes, noClusterAs, noRoute } from './answers.js';
import { followRedirects, type RedirectTools } from './internal-redirect.js';
import { mergeMatches } from './metadata-match.js';
import { mirror } from './mirror.js';
import type { OnDemandRoutes } from './on-demand.js';
import type { PeerExchange } from './peer-exchange.js';
import { type Entry, Rerouting, restsAt, sharedStacks } from './rerouting.js';
import { resilienceOf, routerOf } from './resilience.js';
import { type BuildStack, routeTarget } from './route-target.js';
import type { TracedPlace } from './tracing.js';
import type { Turnouts } from './turnouts.js';
import { gateUpgrades } from './upgrades.js';
import { attempt } from './upstream.js';

/** What every outbound stack is built with. */
export interface OutboundTools {
  readonly clock: Clock;
  /** Keeps the time limits on peers: what this process itself loses does not count. By default `clock`. */
  readonly timeouts?: Clock | undefined;
  readonly random: Random;
  readonly observer: Observer;
  /** Filters of the application, outside the configured ones. */
  readonly filters: readonly Filter[];
  /** The filters that the application defined; by default none. */
  readonly custom?: CustomFilters | undefined;
  /** The opt-in failure-rate breaker of a cluster, when one is configured. */
  readonly failureRateBreaker: (clusterName: string) => Filter | undefined;
  /** The same for each host of a cluster. */
  readonly hostBreakers?: ((clusterName: string) => HostBreakers | undefined) | undefined;
  readonly cluster: (name: string) => ClusterRuntime | undefined;
  /** The logger of a listener's access logs; undefined when it has none. */
  readonly accessLog?: ((logs: readonly AccessLog[] | undefined) => ExchangeLogger | undefined) | undefined;
  readonly node: LocalNode;
  /** How many hosts the cluster has that this process belongs to; undefined = it is not known. */
  readonly localMembers?: (() => number) | undefined;
  /** Where requests of this process come from, for hashing; by default the loopback address. */
  readonly sourceAddress?: string | undefined;
  /** One attempt at a cluster, for filters that ask a service. */
  readonly upstream: (clusterName: string) => Service | undefined;
  /** What filters keep while stacks come and go; by default nothing outlives a stack. */
  readonly filterMemory?: FilterMemory | undefined;
  /** Virtual hosts that come when requests ask for them; by default none do. */
  readonly onDemand?: OnDemandRoutes | undefined;
  /** Tells upstreams who calls; undefined = nobody is told. */
  readonly peers?: PeerExchange;
  /** Whether the server that a resource comes from may rewrite the authority of gRPC calls (gRFC A81); by default each may. */
  readonly isTrusted?: ((resource: string) => boolean) | undefined;
  /** The filter that traces the requests of a listener or route, outside all others; by default they are not traced. */
  readonly trace?: ((place: TracedPlace) => Filter | undefined) | undefined;
  /** Prepares every request before its route is chosen, e.g. hands on trace headers. */
  readonly prepare?: ((request: Request) => void) | undefined;
}

const LOOPBACK = '127.0.0.1';

/** The service of one outbound listener: picks the route, then calls the stack that was built for it. */
export function outboundService(resolved: ResolvedOutbound, tools: OutboundTools): Service {
  const { listener, routes } = resolved;
  const log = tools.accessLog?.(listener.http.accessLogs);
  const outer = outerFilters(listener.http, undefined, tools);
  if (routes === undefined) return observed(tools, compose(outer, missingRoutes), log);
  // The application's filters see what matches no route, too.
  const unrouted = compose(outer, noRoute);
  const unmatched = tools.onDemand?.unmatched(resolved, unrouted) ?? unrouted;
  const router = compileRoutes(routes);
  const stacks = new Map<Route, Service>();
  const { http } = listener;
  const { port } = splitHostPort(listener.name);
  const suppressEnvoyHeaders = routerOf(http).suppressEnvoyHeaders === true;
  const plaintext = plaintextGuard(routes, router);
  const virtualCluster = compileVirtualClusters(routes);
  const toTls = compose(outer, redirectToTls);
  const note = (request: Request, { virtualHost, route }: MatchedRoute) => {
    const { context } = request;
    context.virtualHostName = virtualHost.name;
    context.routeName = route.name;
    if (virtualCluster !== undefined) context.virtualClusterName = virtualCluster(virtualHost, request);
    context.routeMetadata = route.metadata;
  };
  const dispatch: Service = (request) => {
    request.context.destinationPort = port;
    if (plaintext?.(request) === true) return toTls(request);
    const matched = router.select(request, request.context.random);
    const stack = matched && stacks.get(matched.route);
    if (matched === undefined || stack === undefined) return unmatched(request);
    note(request, matched);
    return stack(request);
  };
  if (unmatched !== unrouted) tools.onDemand?.put(listener.name, dispatch);
  const select: RedirectTools['select'] = (request) => router.select(request, request.context.random);
  const redirects: RedirectTools = { dispatch, select };
  const rerouting = anyClearsRouteCache(http.filters) ? new Rerouting({ select, note }) : undefined;
  for (const virtualHost of routes.virtualHosts) {
    for (const route of routesOf(virtualHost)) {
      const place: RoutePlace = {
        table: routes,
        origin: http.routes.kind === 'inline' ? listener.name : routes.name,
        virtualHost,
        route,
        cluster: undefined,
        suppressEnvoyHeaders,
      };
      const { service, entry } = routeStack(place, http, tools, rerouting);
      const whole = (stack: Service) =>
        gateUpgrades(http.upgrades, upgradesOf(route), withRedirects(route, stack, redirects));
      stacks.set(route, whole(service));
      rerouting?.add(route, (index) => {
        const rest = entry(index);
        return rest && whole(rest);
      });
    }
  }
  const { prepare } = tools;
  if (prepare === undefined) return observed(tools, dispatch, log);
  const prepared: Service = (request) => {
    prepare(request);
    return dispatch(request);
  };
  return observed(tools, prepared, log);
}

function upgradesOf({ action }: Route): RouteAction['upgrades'] {
  return action.kind === 'forward' ? action.upgrades : undefined;
}

/** Redirects that are followed here go around everything: the request starts anew with its next route. */
function withRedirects(route: Route, stack: Service, redirects: RedirectTools): Service {
  const policy = route.action.kind === 'forward' ? route.action.internalRedirect : undefined;
  return policy === undefined ? stack : followRedirects(route, policy, stack, redirects);
}

/** The stack of a route, and the ways into it. */
interface RouteStack {
  readonly service: Service;
  readonly entry: Entry;
}

const NO_ENTRY: Entry = () => undefined;

function routeStack(
  place: RoutePlace,
  http: HttpConnectionManager,
  tools: OutboundTools,
  rerouting: Rerouting | undefined,
): RouteStack {
  const { route, virtualHost } = place;
  const { action } = route;
  const layers = [route.filterOverrides, virtualHost.filterOverrides, ...layersOf(place.table)];
  const stack = (turnouts: Turnouts | undefined, clusterName: string, one?: WeightedCluster) => {
    const overrides = one === undefined ? layers : [one.filterOverrides, ...layers];
    return clusterStack({ place: { ...place, cluster: one }, clusterName, http, overrides, turnouts }, tools);
  };
  switch (action.kind) {
    case 'redirect':
    case 'direct-response':
      return answerStack({ place, action, http, layers }, tools, rerouting);
    case 'non-forwarding':
      // gRFC A36: such a route has no meaning for a client.
      return { service: compose(outerFilters(http, route, tools), noRoute), entry: NO_ENTRY };
    case 'forward': {
      const hash = compileHashPolicies(action.hashPolicies ?? [], tools.sourceAddress ?? LOOPBACK);
      const targets = { cluster: tools.cluster, hash };
      if (rerouting === undefined) {
        const build: BuildStack = (name, one) => stack(undefined, name, one);
        return { service: routeTarget(action, build, targets), entry: NO_ENTRY };
      }
      const shared = sharedStacks((name, one) => {
        const turnouts = rerouting.turnouts();
        return { service: stack(turnouts, name, one), turnouts };
      });
      return {
        service: routeTarget(action, (name, one) => shared(name, one).service, targets),
        entry: (index) => routeTarget(action, restsAt(index, shared), targets),
      };
    }
    default:
      return unreachable(action);
  }
}

interface AnswerStack {
  readonly place: RoutePlace;
  readonly action: RedirectAction | DirectResponseAction;
  readonly http: HttpConnectionManager;
  readonly layers: readonly FilterOverrides[];
}

/** The stack of a route that answers here. */
function answerStack(
  { place, action, http, layers }: AnswerStack,
  tools: OutboundTools,
  rerouting: Rerouting | undefined,
): RouteStack {
  const turnouts = rerouting?.turnouts();
  const own = { ...filterTools(tools, place, undefined), turnouts };
  const filters = [...outerFilters(http, place.route, tools), ...buildFilters(http.filters, layers, own)];
  const answer = routeAnswer(action, place, tools.clock);
  return {
    service: turnouts === undefined ? compose(filters, answer) : turnouts.compose(filters, answer),
    entry: (index) => turnouts?.rests.get(index),
  };
}

interface ClusterStack {
  readonly place: RoutePlace;
  readonly clusterName: string;
  readonly http: HttpConnectionManager;
  readonly overrides: readonly FilterOverrides[];
  readonly turnouts: Turnouts | undefined;
}

/** The stack of one route to one cluster, outermost first. This list is the order of the data path. */
function clusterStack(parts: ClusterStack, tools: OutboundTools): Service {
  const { clusterName, http, overrides, turnouts } = parts;
  // Only forwarding routes get here.
  const { virtualHost, route } = parts.place;
  const action = route.action as RouteAction;
  const effects = routeEffects(parts.place, tools.clock);
  const copies = mirror(action.mirrors ?? virtualHost.mirrors ?? parts.place.table.mirrors ?? [], {
    ...tools,
    timeoutMs: action.timeoutMs,
  });
  const cluster = tools.cluster(clusterName);
  const resilience = resilienceOf(parts.place, action, http, tools);
  const breaker = tools.failureRateBreaker(clusterName);
  const stackUp = turnouts === undefined ? compose : turnouts.compose.bind(turnouts);
  return named(
    clusterName,
    stackUp(
      [
        // The application's own filters see everything, local replies included; spans cover what they do.
        ...outerFilters(http, route, tools),
        // The connection manager's time limits cover all filters of the configuration.
        ...(resilience.stream === undefined ? [] : [resilience.stream]),
        // Configured HTTP filters come next: a fault or a refusal here never costs an attempt.
        ...buildFilters(http.filters, overrides, {
          ...filterTools(tools, parts.place, clusterName),
          turnouts,
        }),
        // The route's changes to headers, host and path; on the way back they reach local replies from below, too.
        ...(effects === undefined ? [] : [effects]),
        // The failure-rate breaker judges what the caller would see, so it is above timeout and retries.
        ...(breaker === undefined ? [] : [breaker]),
        ...(cluster === undefined
          ? []
          : [
              // The router's time limits, from the route and the caller's headers: over all attempts and their waits.
              resilience.timeLimits(),
              // Copies go out with the changed request, beside the retries and permits of the request itself.
              ...(copies === undefined ? [] : [copies]),
              // Each attempt below chooses its host afresh; with hedging several run at once.
              resilience.retry(cluster),
            ]),
      ],
      // One attempt: host, breaker permit until the trailers settle, its own time limits, transport.
      cluster === undefined
        ? noClusterAs(action.clusterNotFoundStatus)
        : attempt(
            cluster,
            {
              ...resilience.attempt,
              hostBreakers: tools.hostBreakers?.(clusterName),
              hash: compileHashPolicies(action.hashPolicies ?? [], tools.sourceAddress ?? LOOPBACK),
              metadataMatch: mergeMatches(action.metadataMatch, parts.place.cluster?.metadataMatch),
            },
            tools,
          ),
    ),
  );
}

/** What stands outside of everything that is configured. */
function outerFilters(
  http: HttpConnectionManager,
  route: Route | undefined,
  { trace, filters }: OutboundTools,
): readonly Filter[] {
  const span = trace?.({ http, route });
  return span === undefined ? filters : [span, ...filters];
}

function filterTools(
  tools: OutboundTools,
  { route, virtualHost }: RoutePlace,
  clusterName: string | undefined,
): FilterTools {
  const { clock, random, node, upstream, localMembers } = tools;
  const direction = 'outbound';
  return {
    clock,
    random,
    headerPredicate: compileHeaderMatchers,
    clusterName,
    memory: tools.filterMemory ?? createFilterMemory(),
    custom: tools.custom ?? NO_CUSTOM_FILTERS,
    rateLimits: rateLimitsAt(route, virtualHost),
    direction,
    node,
    localMembers,
    upstream,
    forwardProxy: (name) => tools.cluster(name)?.forwardProxy,
  };
}

function named(clusterName: string, service: Service): Service {
  return (request) => {
    request.context.clusterName = clusterName;
    return service(request);
  };
}

/** Telemetry is the outermost layer: it sees local replies and what they cost. */
function observed(tools: OutboundTools, service: Service, log?: ExchangeLogger): Service {
  const { observer, clock } = tools;
  const listeners = [observer.exchange?.bind(observer), log?.end.bind(log)].filter(
    (one) => one !== undefined,
  );
  const [first, second] = listeners;
  if (first === undefined) return service;
  const tell: typeof first = (request, end) => {
    first(request, end);
    second?.(request, end);
  };
  const fail = (request: Request, error: unknown): never => {
    const durationMs = clock.now() - request.context.startMs;
    tell(request, { status: 0, error, durationMs, response: undefined });
    throw error;
  };
  const follow = (request: Request, response: Response): Response => {
    response.completion.onEnd(({ error }) => {
      const durationMs = clock.now() - request.context.startMs;
      tell(request, { status: response.status, error, durationMs, response });
    });
    return response;
  };
  return (request) => {
    log?.begin(request);
    let pending: Promise<Response>;
    try {
      pending = service(request);
    } catch (error) {
      // A filter of the application may throw before it gives a promise.
      return new Promise(() => fail(request, error));
    }
    return pending.then(
      (response) => follow(request, response),
      (error: unknown) => fail(request, error),
    );
  };
}
