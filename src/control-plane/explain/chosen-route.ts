import { type JsonValue, toJson } from '@bufbuild/protobuf';
import { ROUTE_CONFIGURATION } from '../../codec/resource-types.js';
import type {
  Route,
  RouteAction,
  RouteConfiguration,
  VirtualHost,
  WeightedCluster,
} from '../../model/route.js';
import { routesOf } from '../../model/routes-of.js';
import { registry } from '../../proto/registry.js';
import { wkt } from '../../proto/xds.js';
import { compileHashPolicies } from '../../routing/hash-policy.js';
import { headerReader } from '../../routing/match.js';
import type { RoutePlace } from '../../routing/route-effects.js';
import { compileRoutes } from '../../routing/router.js';
import { compileWeighted } from '../../routing/weighted.js';
import type { Request } from '../../service/service.js';
import type { RequestExplanation } from './explanation.js';

/** The route of a request, and where in its table it stands. */
export interface ChosenRoute {
  readonly virtualHost: VirtualHost;
  readonly route: Route;
  readonly index: number;
}

/** By the router that the SDK runs. */
export function chooseRoute(table: RouteConfiguration, request: Request): ChosenRoute | undefined {
  const matched = compileRoutes(table).select(request, request.context.random);
  return matched && { ...matched, index: [...routesOf(matched.virtualHost)].indexOf(matched.route) };
}

/** What a forwarding route may choose. */
export interface ChosenCluster {
  readonly name: string;
  /** Undefined = the route names one. */
  readonly weighted: WeightedCluster | undefined;
  readonly all: RequestExplanation['clusters'];
}

/** The cluster of a request; without a draw of its own the heaviest of weighted ones. */
export function chooseCluster(action: RouteAction, request: Request, hasDraw: boolean): ChosenCluster {
  const { cluster } = action;
  if (cluster.kind !== 'weighted') {
    const name = cluster.kind === 'cluster' ? cluster.name : (headerReader(cluster.name)(request)[0] ?? '');
    return { name, weighted: undefined, all: [{ name, weight: 100, share: 100 }] };
  }
  const { clusters, totalWeight } = cluster;
  const nameOf = (one: WeightedCluster): string =>
    one.clusterHeader === undefined ? one.name : (headerReader(one.clusterHeader)(request)[0] ?? '');
  const hash = compileHashPolicies(action.hashPolicies ?? [], '127.0.0.1');
  const isByRequest = hasDraw || cluster.choice !== undefined;
  const heaviest = clusters.reduce<WeightedCluster | undefined>(
    (best, one) => (one.weight > (best?.weight ?? 0) ? one : best),
    undefined,
  );
  const weighted = isByRequest ? clusters[compileWeighted(cluster, hash)(request)] : heaviest;
  return {
    name: weighted === undefined ? '' : nameOf(weighted),
    weighted,
    all: clusters.map((one) => ({
      name: nameOf(one),
      weight: one.weight,
      share: totalWeight === 0 ? 0 : Math.round((one.weight / totalWeight) * 10_000) / 100,
    })),
  };
}

/** What a route asks of requests, in Envoy's JSON. */
export function matchOf(table: RouteConfiguration, { virtualHost, route }: ChosenRoute): object {
  const { matcher: _, ...host } = virtualHost;
  const alone = { ...table, virtualHosts: [{ ...host, routes: [route] }] };
  const typeUrl = 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration';
  const any = {
    $typeName: 'google.protobuf.Any' as const,
    typeUrl,
    value: ROUTE_CONFIGURATION.encode(alone),
  };
  const json = toJson(wkt.AnySchema, any, { registry: registry(), useProtoFieldName: true });
  return objectAt(json, ['virtual_hosts', 0, 'routes', 0, 'match']) ?? {};
}

function objectAt(json: JsonValue, path: readonly (string | number)[]): object | undefined {
  let at: unknown = json;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Readonly<Record<string | number, unknown>>)[key];
  }
  return typeof at === 'object' && at !== null ? at : undefined;
}

/** Changes to the headers of responses, in the order in which they are made. */
export function responseChanges(place: RoutePlace): RequestExplanation['responseHeaders'] {
  const { table, virtualHost, route, cluster } = place;
  const rules = [cluster?.headers, route.headers, virtualHost.headers, table.headers].flatMap(
    (one) => one?.response ?? [],
  );
  const additions = rules.flatMap(({ add }) => add);
  const pairs = (isSet: boolean) =>
    additions
      .filter(({ action }) => action.startsWith('overwrite') === isSet)
      .map(({ name, value }) => [name, value] as const);
  return { set: pairs(true), add: pairs(false), remove: rules.flatMap(({ remove }) => remove) };
}
