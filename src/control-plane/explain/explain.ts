import { type JsonValue, toJson } from '@bufbuild/protobuf';
import { encodeFilter } from '../../codec/filter-config.js';
import type { FilterOverrides, HttpFilter } from '../../model/filter-config.js';
import { registry as protoRegistry } from '../../proto/registry.js';
import { wkt } from '../../proto/xds.js';
import { plaintextGuard, redirectToTls, routeAnswer } from '../../routing/route-answers.js';
import type { RoutePlace } from '../../routing/route-effects.js';
import { compileRoutes } from '../../routing/router.js';
import { systemClock } from '../../runtime/clock.js';
import { unreachable } from '../../runtime/errors.js';
import type { Request, Response } from '../../service/service.js';
import type { Caller } from './caller.js';
import { type ChosenRoute, chooseCluster, chooseRoute, matchOf, responseChanges } from './chosen-route.js';
import { documentsFor } from './documents.js';
import type { ExplainedHead, RequestExplanation } from './explanation.js';
import { type FoundTable, findGatewayTable, findTable } from './find-table.js';
import { onCluster } from './forward.js';
import { type ExplainedRequest, requestOf } from './request.js';
import { headOf } from './rewritten.js';
import type { ExplainWorld } from './world.js';

/** What the mesh would do with a request, by the code that the SDK runs on the compiled configuration. */
export async function explainRequest(
  asked: ExplainedRequest,
  world: ExplainWorld,
): Promise<RequestExplanation> {
  const request = requestOf(asked);
  const empty = nothingYet(headOf(request), world.caller);
  const { set, gatewayPort } = world;
  const table =
    gatewayPort === undefined ? findTable(set, request) : findGatewayTable(set, request, gatewayPort);
  if (table === undefined) return outside(empty, request, world);
  const found = { ...empty, listener: table.listener, routeConfiguration: table.routes?.name ?? null };
  if (table.routes === undefined) return { ...found, reason: 'the listener has no route table' };
  const guard = plaintextGuard(table.routes, compileRoutes(table.routes));
  if (guard?.(request) === true) {
    const response = answered(await redirectToTls(request));
    return { ...found, outcome: 'redirect', response, reason: 'the virtual host wants TLS' };
  }
  const chosen = chooseRoute(table.routes, request);
  if (chosen === undefined) {
    const host = compileRoutes(table.routes).virtualHost(request)?.name;
    return {
      ...found,
      virtualHost: host ?? null,
      reason:
        host === undefined
          ? 'no virtual host has this host (404 NR)'
          : 'no route of the virtual host matches (404 NR)',
    };
  }
  return onRoute(found, { chosen, table, request, hasDraw: asked.draw !== undefined }, world);
}

const NO_CLUSTER = { name: '', weighted: undefined, all: [] };

interface OnRoute {
  readonly chosen: ChosenRoute;
  readonly table: FoundTable;
  readonly request: Request;
  readonly hasDraw: boolean;
}

async function onRoute(
  before: RequestExplanation,
  { chosen, table, request, hasDraw }: OnRoute,
  world: ExplainWorld,
): Promise<RequestExplanation> {
  const { virtualHost, route } = chosen;
  const { action } = route;
  // Only a table with routes has one that matched.
  const routes = table.routes as NonNullable<FoundTable['routes']>;
  const target = action.kind === 'forward' ? chooseCluster(action, request, hasDraw) : undefined;
  const place: RoutePlace = {
    table: routes,
    virtualHost,
    route,
    cluster: target?.weighted,
    suppressEnvoyHeaders: table.filters.some(
      ({ config }) => config.kind === 'router' && config.suppressEnvoyHeaders === true,
    ),
  };
  const layers = [
    ...(target?.weighted === undefined ? [] : [target.weighted.filterOverrides]),
    route.filterOverrides,
    virtualHost.filterOverrides,
    ...(routes.filterOverrides === undefined ? [] : [routes.filterOverrides]),
  ];
  const explained: RequestExplanation = {
    ...before,
    virtualHost: virtualHost.name,
    route: { name: route.name, index: chosen.index, match: matchOf(routes, chosen) },
    responseHeaders: responseChanges(place),
    filters: filtersOn(table.filters, layers),
    documents: documentsFor(virtualHost.name, 'http', { cluster: target?.name, route: route.name }, world),
  };
  switch (action.kind) {
    case 'redirect':
    case 'direct-response': {
      const response = answered(await routeAnswer(action, place, systemClock)(request));
      const body = action.kind === 'direct-response' ? { body: action.body } : {};
      return {
        ...explained,
        outcome: action.kind,
        reason: 'the route answers here',
        response: { ...response, ...body },
      };
    }
    case 'non-forwarding':
      return { ...explained, reason: 'the route forwards nothing (404 NR)' };
    case 'forward':
      return onCluster(explained, { place, action, table, request, target: target ?? NO_CLUSTER }, world);
    default:
      return unreachable(action);
  }
}

/** An explanation of which nothing is known yet. */
export function nothingYet(request: ExplainedHead, { namespace, labels }: Caller): RequestExplanation {
  return {
    request,
    from: { namespace, labels },
    outcome: 'refused',
    reason: '',
    listener: null,
    routeConfiguration: null,
    virtualHost: null,
    route: null,
    cluster: null,
    clusters: [],
    rewritten: null,
    responseHeaders: { set: [], add: [], remove: [] },
    response: null,
    timeouts: null,
    retries: null,
    mirrors: [],
    filters: [],
    policy: null,
    endpoints: [],
    documents: [],
  };
}

function outside(empty: RequestExplanation, { authority }: Request, world: ExplainWorld): RequestExplanation {
  if (world.gatewayPort !== undefined) {
    return { ...empty, reason: `the gateway does not listen on port ${world.gatewayPort}` };
  }
  return {
    ...empty,
    outcome: 'passed-through',
    reason: `${authority} is none of the mesh's hosts for this caller: the request goes its usual way`,
  };
}

function answered({ status, headers }: Response): { readonly status: number; readonly location?: string } {
  const location = headers.get('location');
  return { status, ...(location !== undefined && { location }) };
}

/** As the stack of the route is built: the most specific level that names a filter replaces its configuration. */
function filtersOn(
  filters: readonly HttpFilter[],
  layers: readonly FilterOverrides[],
): RequestExplanation['filters'] {
  return filters.flatMap(({ name, config, disabled = false }) => {
    const own = layers.flatMap((layer) => layer.get(name) ?? [])[0];
    if (own === undefined ? disabled : own.kind === 'disabled') return [];
    return [{ name, config: jsonOf(own ?? config) }];
  });
}

function jsonOf(config: Parameters<typeof encodeFilter>[0]): JsonValue {
  return toJson(wkt.AnySchema, encodeFilter(config), { registry: protoRegistry(), useProtoFieldName: true });
}
