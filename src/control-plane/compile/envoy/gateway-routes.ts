import { NO_OVERRIDES } from '../../../model/filter-config.js';
import type { Route, RouteConfiguration, VirtualHost } from '../../../model/route.js';
import { coversHost, fullHostName } from '../../kinds/hosts.js';
import type { GatewayServer } from '../../kinds/types.js';
import type { Document } from '../../kinds/view.js';
import { fullGatewayName, isExported } from '../../mesh/visibility.js';
import { virtualServicesOf } from '../delegates.js';
import { compileRetry } from '../retry-policy.js';
import { isCatchAll } from '../route-match.js';
import { compileRoutes } from '../routes.js';
import { type GatewayTools, gatewayKey, type PortServer, type TablePlan } from './gateway-plan.js';

/** A VirtualService at a gateway, under one of the hosts that both name. */
export interface BoundService {
  readonly document: Document<'VirtualService'>;
  readonly host: string;
  readonly gateway: string;
  /** Of the server, as the Gateway says. */
  readonly port: number;
}

type ServerOf = Pick<PortServer, 'server' | 'gateway'>;

/** The VirtualServices that say what servers do, oldest first, once for each host (Istio: PickExactHosts of both). */
export function boundServices(
  servers: readonly ServerOf[],
  { view, profile, config }: GatewayTools,
): readonly BoundService[] {
  const byDefault = config.exportTo.virtualServices;
  return virtualServicesOf(view, config)
    .filter(({ spec, namespace: from }) =>
      isExported(spec.exportTo, { from, to: profile.namespace, byDefault }),
    )
    .flatMap((document) => {
      const found = new Map<string, BoundService>();
      for (const server of servers) {
        for (const bound of boundTo(server, document))
          if (!found.has(bound.host)) found.set(bound.host, bound);
      }
      return [...found.values()];
    });
}

/** What a VirtualService says of one server, by host. */
function boundTo(
  { server, gateway }: ServerOf,
  document: Document<'VirtualService'>,
): readonly BoundService[] {
  const { spec, namespace } = document;
  const key = gatewayKey(gateway);
  if (!(spec.gateways ?? []).some((name) => fullGatewayName(name, namespace) === key)) return [];
  const namespaces = { service: namespace, gateway: gateway.namespace };
  return (spec.hosts ?? []).flatMap((host) =>
    commonHosts(fullHostName(host, namespace), server, namespaces).map((common) => ({
      document,
      host: common,
      gateway: key,
      port: server.port.number,
    })),
  );
}

/** Hosts of a server that a host of a VirtualService covers, or the host itself where the server covers it. */
function commonHosts(
  host: string,
  { hosts }: GatewayServer,
  namespaces: { readonly service: string; readonly gateway: string },
): readonly string[] {
  return hosts.flatMap((entry) => {
    const [first = '', second] = entry.split('/');
    const [scope, pattern] = second === undefined ? ['*', first] : [first, second];
    const wanted = scope === '.' ? namespaces.gateway : scope;
    if (wanted !== '*' && wanted !== namespaces.service) return [];
    const name = pattern.toLowerCase();
    if (coversHost(name, host)) return [host];
    return coversHost(host, name) ? [name] : [];
  });
}

/** All routes of a table. */
export function tableRoutes(plan: TablePlan, tools: GatewayTools): readonly Route[] {
  return gatewayTable(plan, tools).virtualHosts.flatMap(({ routes }) => routes);
}

/** The table: at gateways the rules of all VirtualServices for a host are joined (Istio). */
export function gatewayTable({ name, port, servers }: TablePlan, tools: GatewayTools): RouteConfiguration {
  const { profile, serviceOf, hashOf, config } = tools;
  const defaultRetry = compileRetry(undefined, config.defaultHttpRetryPolicy);
  const isTls = servers.some(({ kind }) => kind === 'https');
  const redirected = redirectedHosts(servers);
  const byHost = new Map<string, HostRoutes>();
  for (const { document, host, gateway, port: own } of boundServices(servers, tools)) {
    // Those for TLS and TCP alone are no virtual hosts.
    if (document.spec.http === undefined || document.spec.http.length === 0) continue;
    const context = { profile, host, port: own, serviceOf, hashOf, gateway, isTls, defaultRetry };
    const found = byHost.get(host) ?? { port: own, routes: [], ordered: [] };
    const isOrdered = document.spec.http.some(({ gatewayApi }) => gatewayApi !== undefined);
    const compiled = compileRoutes(document.spec.http, document.namespace, context);
    found[isOrdered ? 'ordered' : 'routes'].push(...compiled);
    byHost.set(host, found);
  }
  for (const [host, own] of redirected)
    if (!byHost.has(host)) byHost.set(host, { port: own, routes: [], ordered: [] });
  const virtualHosts = [...byHost]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([host, own]) =>
      virtualHost(host, own.port, { routes: joined(own), redirects: redirected.has(host) }),
    );
  return {
    name,
    virtualHosts: virtualHosts.length > 0 ? virtualHosts : [blackHole(port)],
    ignorePortInHost: true,
  };
}

/** Istio: without a route every request is answered with 404. */
function blackHole(port: number): VirtualHost {
  return { ...virtualHost('blackhole', port, { routes: [], redirects: false }), domains: ['*'] };
}

/** Hosts whose plaintext requests go to https (Istio `httpsRedirect`), with the port of their server. */
function redirectedHosts(servers: readonly PortServer[]): ReadonlyMap<string, number> {
  return new Map(
    servers
      .filter(({ server }) => server.tls?.httpsRedirect === true)
      .flatMap(({ server }) =>
        server.hosts.map(
          (host) => [host.slice(host.indexOf('/') + 1).toLowerCase(), server.port.number] as const,
        ),
      ),
  );
}

function virtualHost(
  host: string,
  port: number,
  { routes, redirects }: { readonly routes: readonly Route[]; readonly redirects: boolean },
): VirtualHost {
  return {
    name: `${host}:${port}`,
    domains: [host],
    routes,
    retryPolicy: undefined,
    filterOverrides: NO_OVERRIDES,
    includeRequestAttemptCount: true,
    ...(redirects && { requireTls: 'all' as const }),
  };
}

interface HostRoutes {
  readonly port: number;
  readonly routes: Route[];
  /** Of the Gateway API, whose rules are in order as they are. */
  readonly ordered: Route[];
}

/** Istio: what takes everything goes to the end, so that it hides no rule of another document. */
function joined({ routes, ordered }: HostRoutes): readonly Route[] {
  const isLast = ({ match }: Route) => isCatchAll(match);
  return [...routes.filter((one) => !isLast(one)), ...ordered, ...routes.filter(isLast)];
}
