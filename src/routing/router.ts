import type { PathMatcher } from '../model/matcher.js';
import type { FractionalPercent } from '../model/percent.js';
import type { Route, RouteConfiguration, VirtualHost } from '../model/route.js';
import type { RouteMatch } from '../model/route-match.js';
import { remainderOf } from '../runtime/random.js';
import type { RequestHead } from '../service/service.js';
import { indexDomains } from './domains.js';
import { asciiLower, compileHeaderMatchers, compilePath, compileQueryMatchers, pathOf } from './match.js';

/** A route and where it stands. */
export interface MatchedRoute {
  readonly virtualHost: VirtualHost;
  readonly route: Route;
}

/** A route table that is ready for requests. */
export interface Router {
  /** The first route that matches; `random` is the exchange's one draw in [0, 1). */
  select(head: RequestHead, random: number): MatchedRoute | undefined;
}

/** Up to this many routes a plain walk is faster than the index. */
const SMALL = 8;

interface Candidate {
  /** Place in the virtual host's list: a lower one wins. */
  readonly order: number;
  readonly path: PathMatcher;
  readonly matched: MatchedRoute;
  readonly testPath: (path: string) => boolean;
  /** Everything but the path. */
  readonly testRest: (head: RequestHead, random: number) => boolean;
}

type RouteTable = (head: RequestHead, path: string, random: number) => MatchedRoute | undefined;

/**
 * Builds the router of a route configuration. The virtual host is found by hash look-ups; within it, routes by exact
 * path or by path prefix are found by hash look-ups too and only the rest is tested one by one.
 */
export function compileRoutes(config: RouteConfiguration): Router {
  const domains = indexDomains(domainsOf(config));
  return {
    select: (head, random) => domains.find(head.authority)?.(head, pathOf(head.path), random),
  };
}

function* domainsOf(config: RouteConfiguration): Generator<readonly [string, RouteTable]> {
  for (const virtualHost of config.virtualHosts) {
    const candidates = virtualHost.routes.map((route, order) => compileRoute(virtualHost, route, order));
    const table = candidates.length <= SMALL ? walk(candidates) : index(candidates);
    for (const domain of virtualHost.domains) yield [domain, table];
  }
}

function compileRoute(virtualHost: VirtualHost, route: Route, order: number): Candidate {
  const { path } = route.match;
  return {
    order,
    path,
    matched: { virtualHost, route },
    testPath: compilePath(path),
    testRest: compileConditions(route.match),
  };
}

/** Compiles what a route asks for besides the path. */
export function compileConditions(match: RouteMatch): (head: RequestHead, random: number) => boolean {
  const { runtimeFraction, grpcOnly } = match;
  const testHeaders = match.headers.length === 0 ? undefined : compileHeaderMatchers(match.headers);
  const testQuery =
    match.queryParameters.length === 0 ? undefined : compileQueryMatchers(match.queryParameters);
  return (head, random) =>
    (runtimeFraction === undefined || isDrawn(runtimeFraction, random)) &&
    (!grpcOnly || hasGrpcType(head)) &&
    (testHeaders === undefined || testHeaders(head)) &&
    (testQuery === undefined || testQuery(head));
}

/** Envoy: `random % denominator < numerator`, with the draw that also chooses among weighted clusters. */
function isDrawn(fraction: FractionalPercent, random: number): boolean {
  return remainderOf(random, fraction.denominator) < fraction.numerator;
}

/** Envoy: content type `application/grpc` or `application/grpc+…`. */
function hasGrpcType(head: RequestHead): boolean {
  const type = head.headers.get('content-type');
  return type !== undefined && (type === 'application/grpc' || type.startsWith('application/grpc+'));
}

function walk(candidates: readonly Candidate[]): RouteTable {
  return (head, path, random) => {
    for (const candidate of candidates) {
      if (candidate.testPath(path) && candidate.testRest(head, random)) return candidate.matched;
    }
    return undefined;
  };
}

/** Groups of candidates by a text; each group is in configured order. */
type Groups = Map<string, Candidate[]>;

interface PathIndex {
  readonly exact: Groups;
  /** By length of the prefix, so that a look-up is one slice for each length that occurs. */
  readonly prefixes: Map<number, Groups>;
}

/**
 * First match wins over all groups: each group gives its first match, and no candidate is tested that stands behind
 * the best one found so far.
 */
function index(candidates: readonly Candidate[]): RouteTable {
  const sensitive: PathIndex = { exact: new Map(), prefixes: new Map() };
  const insensitive: PathIndex = { exact: new Map(), prefixes: new Map() };
  const others: Candidate[] = [];
  for (const candidate of candidates) {
    const { path } = candidate;
    if (path.kind === 'regex') others.push(candidate);
    else if (path.caseSensitive) addToIndex(sensitive, path.kind, path.value, candidate);
    else addToIndex(insensitive, path.kind, asciiLower(path.value), candidate);
  }
  const hasInsensitive = insensitive.exact.size + insensitive.prefixes.size > 0;
  return (head, path, random) => {
    const request = { head, random };
    let best = searchIndex(sensitive, path, undefined, request);
    if (hasInsensitive) best = searchIndex(insensitive, asciiLower(path), best, request);
    for (const candidate of others) {
      if (best !== undefined && candidate.order > best.order) break;
      if (candidate.testPath(path) && candidate.testRest(head, random)) return candidate.matched;
    }
    return best?.matched;
  };
}

function addToIndex(target: PathIndex, kind: PathMatcher['kind'], text: string, candidate: Candidate): void {
  if (kind === 'path') {
    addToGroup(target.exact, text, candidate);
    return;
  }
  let groups = target.prefixes.get(text.length);
  if (groups === undefined) {
    groups = new Map();
    target.prefixes.set(text.length, groups);
  }
  addToGroup(groups, text, candidate);
}

function addToGroup(groups: Groups, text: string, candidate: Candidate): void {
  const group = groups.get(text);
  if (group === undefined) groups.set(text, [candidate]);
  else group.push(candidate);
}

interface Lookup {
  readonly head: RequestHead;
  readonly random: number;
}

function searchIndex(
  paths: PathIndex,
  path: string,
  found: Candidate | undefined,
  request: Lookup,
): Candidate | undefined {
  let best = searchGroup(paths.exact.get(path), path, found, request);
  for (const [length, groups] of paths.prefixes) {
    if (length > path.length) continue;
    best = searchGroup(groups.get(path.slice(0, length)), path, best, request);
  }
  return best;
}

function searchGroup(
  group: readonly Candidate[] | undefined,
  path: string,
  best: Candidate | undefined,
  request: Lookup,
): Candidate | undefined {
  if (group === undefined) return best;
  for (const candidate of group) {
    if (best !== undefined && candidate.order > best.order) return best;
    // The hash look-up proves everything but the boundary after a path-separated prefix.
    if (candidate.path.kind === 'path-separated-prefix' && !endsSegment(path, candidate.path.value)) continue;
    if (candidate.testRest(request.head, request.random)) return candidate;
  }
  return best;
}

function endsSegment(path: string, prefix: string): boolean {
  return path.length === prefix.length || path[prefix.length] === '/';
}
