import type { HeaderMatcher, PathMatcher } from '../model/matcher.js';
import type { Route, VirtualHost } from '../model/route.js';
import { compileConditions, type RouteInput, type RoutePredicate } from './conditions.js';
import { asciiLower, compilePath, headerReader } from './match.js';
import { literalPrefix } from './regex.js';

/** A route and where it stands. */
export interface MatchedRoute {
  readonly virtualHost: VirtualHost;
  readonly route: Route;
}

/**
 * The first route of a list that matches. `path` has no query, and no parameters where those don't count; `bare` has no
 * query.
 */
export type RouteList = (
  input: RouteInput,
  path: string,
  bare: string,
  random: number,
) => MatchedRoute | undefined;

/** Up to this many routes a plain walk is faster than an index. */
const SMALL = 8;

interface Candidate {
  /** Place in the list: a lower one wins. */
  readonly order: number;
  readonly path: PathMatcher;
  readonly headers: readonly HeaderMatcher[];
  readonly matched: MatchedRoute;
  readonly testPath: (path: string) => boolean;
  /** Everything but the path. */
  readonly testRest: RoutePredicate;
}

/** Compiles routes of a virtual host. */
export function compileRouteList(
  virtualHost: VirtualHost,
  routes: readonly Route[],
  ignoresParameters: boolean,
): RouteList {
  const candidates = routes.map((route, order) => compileRoute(virtualHost, route, order));
  const byPath = candidates.length <= SMALL ? walk(candidates) : index(candidates, ignoresParameters);
  const connects = candidates.filter(({ path }) => path.kind === 'connect');
  const pathless = walk(connects);
  // Envoy: a request without a path (CONNECT) has routes that ask for just that, and no others.
  return (input, path, bare, random) => (bare === '' ? pathless : byPath)(input, path, bare, random);
}

function compileRoute(virtualHost: VirtualHost, route: Route, order: number): Candidate {
  const { path, headers } = route.match;
  return {
    order,
    path,
    headers,
    matched: { virtualHost, route },
    testPath: compilePath(path),
    testRest: compileConditions(route.match),
  };
}

function walk(candidates: readonly Candidate[]): RouteList {
  return (input, path, bare, random) => {
    for (const candidate of candidates) {
      if (matches(candidate, input, path, bare, random)) return candidate.matched;
    }
    return undefined;
  };
}

function matches(
  candidate: Candidate,
  input: RouteInput,
  path: string,
  bare: string,
  random: number,
): boolean {
  // Envoy: a template sees the path with its parameters in any case.
  const seen = candidate.path.kind === 'template' ? bare : path;
  return candidate.testPath(seen) && candidate.testRest(input, random);
}

/** Candidates that a request with some text in its path may match. */
interface Group {
  /** In configured order. */
  readonly members: Candidate[];
  /** Some of them by the value of one header that they ask for; made when there are many. */
  byHeader: HeaderIndex | undefined;
}

interface HeaderIndex {
  readonly read: (input: RouteInput) => readonly string[];
  readonly byValue: ReadonlyMap<string, readonly Candidate[]>;
  /** Those that do not ask for the header. */
  readonly others: readonly Candidate[];
}

interface PrefixGroups {
  readonly length: number;
  readonly groups: Map<string, Group>;
  /** The lowest place that any of them has. */
  order: number;
}

interface PathIndex {
  readonly exact: Map<string, Group>;
  /** One look-up for each length that occurs; the one with the lowest place first. */
  prefixes: PrefixGroups[];
}

/**
 * First match wins over all groups: each group gives its first match, and no candidate is tested that stands behind the
 * best one found so far. Regular expressions and templates stand with the prefix that every match of them has.
 */
function index(candidates: readonly Candidate[], ignoresParameters: boolean): RouteList {
  const sensitive: PathIndex = { exact: new Map(), prefixes: [] };
  const insensitive: PathIndex = { exact: new Map(), prefixes: [] };
  const unindexed: Candidate[] = [];
  for (const candidate of candidates) {
    const { path } = candidate;
    // The index knows the path that the others are tested with.
    if (path.kind === 'template' && ignoresParameters) unindexed.push(candidate);
    else if (path.kind === 'path') addExact(path.caseSensitive ? sensitive : insensitive, path, candidate);
    else addPrefix('caseSensitive' in path && !path.caseSensitive ? insensitive : sensitive, candidate);
  }
  for (const one of [sensitive, insensitive]) finish(one);
  const hasInsensitive = insensitive.exact.size + insensitive.prefixes.length > 0;
  return (input, path, bare, random) => {
    let best = searchIndex(sensitive, path, input, bare, random, undefined);
    if (hasInsensitive) best = searchIndex(insensitive, asciiLower(path), input, bare, random, best);
    best = searchList(unindexed, input, path, bare, random, best);
    return best?.matched;
  };
}

function addExact(
  target: PathIndex,
  path: Extract<PathMatcher, { kind: 'path' }>,
  candidate: Candidate,
): void {
  addToGroup(target.exact, path.caseSensitive ? path.value : asciiLower(path.value), candidate);
}

function addPrefix(target: PathIndex, candidate: Candidate): void {
  const text = commonPrefix(candidate.path);
  let same = target.prefixes.find(({ length }) => length === text.length);
  if (same === undefined) {
    same = { length: text.length, groups: new Map(), order: candidate.order };
    target.prefixes.push(same);
  }
  addToGroup(same.groups, text, candidate);
}

/** The text that every path which matches starts with. */
function commonPrefix(path: PathMatcher): string {
  switch (path.kind) {
    case 'connect':
      return '';
    case 'regex':
      return literalPrefix(path.pattern);
    case 'template':
      return /^[^*{]*/.exec(path.template)?.[0] ?? '';
    default:
      return path.caseSensitive ? path.value : asciiLower(path.value);
  }
}

function addToGroup(groups: Map<string, Group>, text: string, candidate: Candidate): void {
  const group = groups.get(text);
  if (group === undefined) groups.set(text, { members: [candidate], byHeader: undefined });
  else group.members.push(candidate);
}

function finish(target: PathIndex): void {
  for (const group of target.exact.values()) group.byHeader = indexHeader(group.members);
  for (const { groups } of target.prefixes) {
    for (const group of groups.values()) group.byHeader = indexHeader(group.members);
  }
  target.prefixes.sort((a, b) => a.order - b.order);
}

/** Indexes many candidates by the header that most of them want to have an exact value; undefined when few do. */
function indexHeader(members: readonly Candidate[]): HeaderIndex | undefined {
  if (members.length <= SMALL) return undefined;
  const counts = new Map<string, number>();
  for (const { headers } of members) {
    for (const name of new Set(headers.filter(isExact).map((one) => one.name))) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  if (most === undefined || most[1] <= SMALL) return undefined;
  const [name] = most;
  const byValue = new Map<string, Candidate[]>();
  const others: Candidate[] = [];
  for (const member of members) {
    const value = exactValue(member.headers, name);
    const same = value === undefined ? others : byValue.get(value);
    if (same !== undefined) same.push(member);
    else if (value !== undefined) byValue.set(value, [member]);
  }
  return { read: headerReader(name), byValue, others };
}

function exactValue(headers: readonly HeaderMatcher[], name: string): string | undefined {
  const match = headers.find((one) => one.name === name && isExact(one))?.match;
  return match?.kind === 'string' && match.matcher.kind === 'exact' ? match.matcher.value : undefined;
}

/** Whether only a line with one certain value matches. */
function isExact({ match, invert, treatMissingAsEmpty }: HeaderMatcher): boolean {
  if (invert || treatMissingAsEmpty || match.kind !== 'string') return false;
  return match.matcher.kind === 'exact' && !match.matcher.ignoreCase;
}

function searchIndex(
  paths: PathIndex,
  text: string,
  input: RouteInput,
  bare: string,
  random: number,
  found: Candidate | undefined,
): Candidate | undefined {
  let best = searchGroup(paths.exact.get(text), input, text, bare, random, found);
  for (const { length, groups, order } of paths.prefixes) {
    if (best !== undefined && order > best.order) break;
    if (length > text.length) continue;
    const group = groups.get(length === text.length ? text : text.slice(0, length));
    best = searchGroup(group, input, text, bare, random, best);
  }
  return best;
}

function searchGroup(
  group: Group | undefined,
  input: RouteInput,
  path: string,
  bare: string,
  random: number,
  best: Candidate | undefined,
): Candidate | undefined {
  if (group === undefined) return best;
  const { byHeader, members } = group;
  if (byHeader === undefined) return searchList(members, input, path, bare, random, best);
  let found = searchList(byHeader.others, input, path, bare, random, best);
  for (const value of byHeader.read(input)) {
    const same = byHeader.byValue.get(value);
    if (same !== undefined) found = searchList(same, input, path, bare, random, found);
  }
  return found;
}

function searchList(
  list: readonly Candidate[],
  input: RouteInput,
  path: string,
  bare: string,
  random: number,
  best: Candidate | undefined,
): Candidate | undefined {
  for (const candidate of list) {
    if (best !== undefined && candidate.order > best.order) return best;
    if (matches(candidate, input, path, bare, random)) return candidate;
  }
  return best;
}
