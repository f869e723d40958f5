import { actionsOf } from '../model/match-tree.js';
import type { RouteConfiguration, VirtualHost } from '../model/route.js';
import type { RequestHead } from '../service/service.js';
import type { RouteInput } from './conditions.js';
import { indexDomains } from './domains.js';
import { headerReader, pathOf, withoutParameters } from './match.js';
import { compileMatchTree } from './match-tree.js';
import { compileRouteList, type MatchedRoute, type RouteList } from './route-list.js';

/** A route table that is ready for requests. */
export interface Router {
  /** The first route that matches; `random` is the exchange's one draw in [0, 1). */
  select(input: RouteInput, random: number): MatchedRoute | undefined;
  /** The virtual host of a request, whatever its routes. */
  virtualHost(head: RequestHead): VirtualHost | undefined;
}

interface HostEntry {
  readonly virtualHost: VirtualHost;
  readonly routes: RouteList;
}

/**
 * Builds the router of a route configuration. The virtual host is found by hash look-ups; within it, routes by exact
 * path or by path prefix are found by hash look-ups too and only the rest is tested one by one.
 */
export function compileRoutes(config: RouteConfiguration): Router {
  const domains = indexDomains(domainsOf(config));
  const nameOf = compileHostName(config);
  const hasParameters = config.ignorePathParameters !== true;
  const find = (head: RequestHead): HostEntry | undefined => {
    const name = nameOf(head);
    return name === undefined ? undefined : domains.find(name);
  };
  return {
    virtualHost: (head) => find(head)?.virtualHost,
    select(input, random) {
      const entry = find(input);
      if (entry === undefined) return undefined;
      const bare = pathOf(input.path);
      return entry.routes(input, hasParameters ? bare : withoutParameters(bare), bare, random);
    },
  };
}

function* domainsOf(config: RouteConfiguration): Generator<readonly [string, HostEntry]> {
  for (const virtualHost of config.virtualHosts) {
    const routes = compileVirtualHost(virtualHost, config.ignorePathParameters ?? false);
    for (const domain of virtualHost.domains) yield [domain, { virtualHost, routes }];
  }
}

function compileVirtualHost(virtualHost: VirtualHost, ignoresParameters: boolean): RouteList {
  const { matcher, routes } = virtualHost;
  if (matcher === undefined) return compileRouteList(virtualHost, routes, ignoresParameters);
  const lists = new Map(
    actionsOf(matcher).map((list) => [list, compileRouteList(virtualHost, list, ignoresParameters)] as const),
  );
  const choose = compileMatchTree(matcher);
  return (input, path, bare, random) => {
    const chosen = choose(input);
    return chosen === undefined ? undefined : lists.get(chosen)?.(input, path, bare, random);
  };
}

/** What the virtual host of a request is chosen by; undefined when it has none. */
export function compileHostName(config: RouteConfiguration): (head: RequestHead) => string | undefined {
  const { virtualHostHeader: header, ignorePortInHost } = config;
  // Envoy: a table whose only domains are `*` does not look at the host at all.
  if (config.virtualHosts.every(({ domains }) => domains.every((domain) => domain === '*'))) return () => '*';
  const read = header === undefined ? ({ authority }: RequestHead) => authority : compileFirst(header);
  if (ignorePortInHost !== true) return read;
  return (head) => {
    const name = read(head);
    return name === undefined ? undefined : withoutPort(name);
  };
}

function compileFirst(header: string): (head: RequestHead) => string | undefined {
  const read = headerReader(header);
  return (head) => read(head)[0] || undefined;
}

/** A host without the `:port` at its end. */
export function withoutPort(host: string): string {
  const colon = host.lastIndexOf(':');
  // A colon within brackets is one of an IPv6 address.
  if (colon < 0 || host.indexOf(']', colon) >= 0) return host;
  for (let at = colon + 1; at < host.length; at++) {
    const code = host.charCodeAt(at);
    if (code < 48 || code > 57) return host;
  }
  return host.slice(0, colon);
}
