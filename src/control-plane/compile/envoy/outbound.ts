import { type SocketAddress, splitHostPort } from '../../../model/address.js';
import type { HttpFilter } from '../../../model/filter-config.js';
import type { OutboundTcpListener } from '../../../model/listener.js';
import type { PathRules } from '../../../model/request-processing.js';
import type { RouteConfiguration, VirtualHost } from '../../../model/route.js';
import { type MeshConfig, pathRules } from '../../mesh/mesh-config.js';
import { clusterName } from '../../mesh/names.js';
import type { WireResource } from '../../resources/resource-set.js';
import { filtersFor } from '../cors.js';
import { OUTBOUND_FILTERS } from '../fault.js';
import type { CommonOutline } from '../outlined.js';
import type { EnvoyOptions } from '../profile.js';
import { FORWARD_PROXY_FILTER } from './forward-proxy.js';
import { EnvoyHosts, HostTable } from './hosts.js';
import { httpFilter, openChain, socketListener } from './listener.js';
import { tcpListener } from './tcp-listener.js';
import type { EnvoyTracing } from './tracing.js';

/** Istio: without traffic capture the listeners of an Envoy are for its own machine. */
const LOOPBACK = '127.0.0.1';
/** Istio's name of the table of the HTTP proxy. */
const PROXY_TABLE = 'http_proxy';

/** What an Envoy's outbound follows from besides services and routes. */
export interface OutboundOptions {
  readonly config: MeshConfig;
  /** What takes the hosts that the mesh does not know. */
  readonly unknown: VirtualHost;
  readonly traced: EnvoyTracing | undefined;
}

/** What an Envoy beside applications is sent for their calls. */
export interface EnvoyOutbound {
  readonly listeners: readonly WireResource[];
  readonly tables: readonly RouteConfiguration[];
}

/**
 * Without traffic capture, applications call an Envoy as their HTTP proxy, on one port for all hosts; or, where the node
 * asks for it (`INTERCEPTION_MODE: NONE`), on the port of each service. Follows the common outline: hosts that stay are the
 * same objects.
 */
export class EnvoyOutbounds {
  readonly #hosts = new EnvoyHosts();
  readonly #tables = new Map<string, HostTable>();

  of(
    outline: CommonOutline,
    { proxyPort, hasPortListeners }: EnvoyOptions,
    { config, unknown, traced }: OutboundOptions,
  ): EnvoyOutbound {
    const hosts = this.#hosts.of(outline.routes);
    const listeners: WireResource[] = [];
    const tables: RouteConfiguration[] = [];
    const add = (table: string, address: SocketAddress, virtualHosts: readonly VirtualHost[]) => {
      const hosts = this.#tables.get(table) ?? new HostTable();
      this.#tables.set(table, hosts);
      tables.push({ name: table, virtualHosts: [...hosts.of(virtualHosts), unknown] });
      listeners.push(httpListener({ table, address, paths: pathRules(config), traced }, virtualHosts));
    };
    if (proxyPort !== 0) {
      add(
        PROXY_TABLE,
        { address: LOOPBACK, port: proxyPort },
        hosts.map(({ virtualHost }) => virtualHost),
      );
    }
    if (!hasPortListeners) return { listeners, tables };
    const taken = new Set([proxyPort]);
    for (const port of [...new Set(hosts.map((one) => one.port))].sort((a, b) => a - b)) {
      if (taken.has(port)) continue;
      taken.add(port);
      const own = hosts.filter((one) => one.port === port).map(({ virtualHost }) => virtualHost);
      add(String(port), { address: LOOPBACK, port }, own);
    }
    for (const [model, port] of tcpListenersOf(outline)) {
      // One socket can't tell two services of TCP apart: Istio keeps the first.
      if (taken.has(port)) continue;
      taken.add(port);
      listeners.push(tcpListener(model, { address: LOOPBACK, port }));
    }
    return { listeners, tables };
  }
}

/** A listener of the Envoy's own machine, with the table that it serves. */
interface TableListener {
  readonly table: string;
  readonly address: SocketAddress;
  readonly paths: PathRules;
  readonly traced: EnvoyTracing | undefined;
}

function httpListener(
  { table, address, paths, traced }: TableListener,
  virtualHosts: readonly VirtualHost[],
): WireResource {
  const routes = virtualHosts.flatMap((one) => one.routes);
  const filters = beforeRouter(filtersFor(routes, OUTBOUND_FILTERS), FORWARD_PROXY_FILTER);
  const name = `${address.address}_${address.port}`;
  const filter = httpFilter({
    statPrefix: `outbound_${name}`,
    routes: { kind: 'rds', name: table },
    filters,
    callers: 'own',
    paths,
    traced,
  });
  return socketListener({ name, address, direction: 'outbound', chains: [openChain(filter)] });
}

function beforeRouter(filters: readonly HttpFilter[], added: HttpFilter): readonly HttpFilter[] {
  return [...filters.slice(0, -1), added, ...filters.slice(-1)];
}

/** The listeners for what is no HTTP, by port; where no connection says which host it is for, there is none. */
function tcpListenersOf({
  listeners,
  clusters,
}: CommonOutline): readonly (readonly [OutboundTcpListener, number])[] {
  return [...listeners.values()]
    .filter((one) => one.kind === 'outbound-tcp')
    .filter(({ name }) => !dialsDestination(name, clusters))
    .flatMap((one) => {
      const port = Number(/:(\d+)$/.exec(one.name)?.[1] ?? 0);
      return port === 0 ? [] : [[one, port] as const];
    })
    .sort(([a, first], [b, second]) => first - second || (a.name < b.name ? -1 : 1));
}

function dialsDestination(name: string, clusters: CommonOutline['clusters']): boolean {
  const { host, port = 0 } = splitHostPort(name.replace(/^tcp:\/\//, ''));
  return clusters.get(clusterName(port, '', host))?.discovery.kind === 'original-dst';
}
