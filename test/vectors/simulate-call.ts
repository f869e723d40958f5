import type { CompiledJson } from '../../src/control-plane.js';

// What an Envoy, or a server of the SDK, would do with a call by compiled resources in Envoy's JSON. Written apart from the
// router, so that what is compiled is read by somebody else.

/** A call as Istio's simulation describes it. */
export interface SimulatedCall {
  readonly port: number;
  readonly address?: string;
  readonly hostHeader?: string;
  readonly path?: string;
  readonly protocol?: string;
  readonly tls?: string;
  readonly sni?: string;
  /** What the client offers, in its order, with commas between. */
  readonly alpn?: string;
  readonly callMode?: string;
}

/** What became of it. */
export interface SimulatedResult {
  readonly error?: string;
  readonly listenerMatched?: string;
  readonly filterChainMatched?: string | undefined;
  readonly routeConfigMatched?: string | undefined;
  readonly virtualHostMatched?: string;
  readonly routeMatched?: string;
  readonly clusterMatched?: string;
}

interface Wire {
  readonly name: string;
  readonly address?: { readonly socket_address?: { readonly port_value?: number } };
  readonly traffic_direction?: string;
  readonly filter_chains?: readonly Chain[];
  readonly default_filter_chain?: Chain;
  readonly listener_filters?: readonly {
    readonly name: string;
    readonly filter_disabled?: Predicate;
  }[];
}

interface Predicate {
  readonly destination_port_range?: { readonly start: number; readonly end: number };
  readonly not_match?: Predicate;
  readonly or_match?: { readonly rules: readonly Predicate[] };
}

interface Chain {
  readonly name?: string;
  readonly filter_chain_match?: {
    readonly destination_port?: number;
    readonly server_names?: readonly string[];
    readonly transport_protocol?: string;
    readonly application_protocols?: readonly string[];
  };
  readonly filters: readonly { readonly name: string; readonly typed_config: Filter }[];
  readonly transport_socket?: { readonly typed_config: { readonly require_client_certificate?: boolean } };
}

interface Filter {
  readonly '@type': string;
  readonly cluster?: string;
  readonly weighted_clusters?: { readonly clusters: readonly { readonly name: string }[] };
  readonly rds?: { readonly route_config_name: string };
  readonly route_config?: Table;
}

interface Table {
  readonly name: string;
  readonly virtual_hosts?: readonly VirtualHost[];
}

interface VirtualHost {
  readonly name: string;
  readonly domains: readonly string[];
  readonly require_tls?: string;
  readonly routes?: readonly Route[];
}

interface Route {
  readonly name?: string;
  readonly match: {
    readonly prefix?: string;
    readonly path?: string;
    readonly path_separated_prefix?: string;
    readonly safe_regex?: { readonly regex: string };
  };
  readonly route?: {
    readonly cluster?: string;
    readonly weighted_clusters?: { readonly clusters: readonly { readonly name: string }[] };
  };
}

/** Resources in Envoy's JSON are what these interfaces say, as far as they say anything. */
const readable = <T>(values: readonly unknown[]) => values as readonly T[];

/** Follows a call through listener, filter chain, route table, virtual host and route. */
export function simulateCall({ listeners, routes }: CompiledJson, given: SimulatedCall): SimulatedResult {
  const { port, tls = 'plaintext' } = given;
  const isTls = tls.toLowerCase() !== 'plaintext';
  const found = listenerOf(readable<Wire>(listeners), given);
  if (found === undefined) return { error: 'no listener matched' };
  const listenerMatched = found.name;
  const chains = matching(found.filter_chains ?? [], { port, ...inspected(found, given) });
  if (chains.length > 1) return { listenerMatched, error: 'multiple filter chains matched' };
  const chain = chains[0] ?? found.default_filter_chain;
  if (chain === undefined) return { listenerMatched, error: 'no filter chains matched' };
  const socket = chain.transport_socket?.typed_config;
  if (socket !== undefined && !isTls) return { listenerMatched, error: 'invalid TLS' };
  if (socket?.require_client_certificate === true && tls.toLowerCase() !== 'mtls')
    return { listenerMatched, error: 'invalid mTLS' };
  const last = chain.filters.at(-1)?.typed_config;
  if (last?.['@type'].endsWith('.TcpProxy')) {
    const cluster = last.cluster ?? last.weighted_clusters?.clusters[0]?.name ?? '';
    return { listenerMatched, ...named(chain), clusterMatched: cluster };
  }
  const isHttp = (given.protocol ?? 'HTTP').toUpperCase().startsWith('HTTP');
  if ((isTls && socket === undefined) || !isHttp) return { listenerMatched, error: 'protocol error' };
  const table =
    last?.route_config ?? readable<Table>(routes).find(({ name }) => name === last?.rds?.route_config_name);
  const routeConfigMatched = last?.rds?.route_config_name;
  return { listenerMatched, ...named(chain), routeConfigMatched, ...inTable(table, given, isTls) };
}

function named({ name = '' }: Chain): Pick<SimulatedResult, 'filterChainMatched'> {
  return name === '' ? {} : { filterChainMatched: name };
}

/** A call to an application comes to a socket of that port, else to the one that all of them are captured to. */
function listenerOf(all: readonly Wire[], { port, callMode }: SimulatedCall): Wire | undefined {
  const isInbound = callMode === 'inbound';
  const at = all.find(
    ({ address, traffic_direction: direction }) =>
      address?.socket_address?.port_value === port && (!isInbound || direction === 'INBOUND'),
  );
  return at ?? (isInbound ? all.find(({ name }) => name === CAPTURED) : undefined);
}

const CAPTURED = 'virtualInbound';

/** What the listener finds out of the first bytes: nothing where it does not look. Servers of the SDK always do. */
function inspected(found: Wire, given: SimulatedCall): Omit<Hello, 'port'> {
  const { port, tls = 'plaintext', hostHeader = '', alpn = '' } = given;
  const protocol = (given.protocol ?? 'HTTP').toUpperCase();
  const isTls = tls.toLowerCase() !== 'plaintext';
  const looks = (filter: string) => {
    const inspector = found.listener_filters?.find(({ name }) => name.endsWith(filter));
    return inspector !== undefined && !holds(inspector.filter_disabled, port);
  };
  const isCaptured = found.name === CAPTURED;
  if (isTls && (!isCaptured || looks('tls_inspector'))) {
    const sni = given.sni ?? (tls.toLowerCase() === 'tls' ? hostHeader : '');
    return { isTls, sni, alpn: alpn.split(',').filter((name) => name !== '') };
  }
  const isHttp = !isTls && protocol.startsWith('HTTP') && isCaptured && looks('http_inspector');
  return { isTls: false, sni: '', alpn: isHttp ? [protocol === 'HTTP2' ? 'h2c' : 'http/1.1'] : [] };
}

function holds(predicate: Predicate | undefined, port: number): boolean {
  const { destination_port_range: range, not_match: other, or_match: any } = predicate ?? {};
  if (range !== undefined) return range.start <= port && port < range.end;
  if (other !== undefined) return !holds(other, port);
  return any?.rules.some((rule) => holds(rule, port)) ?? false;
}

function inTable(
  table: Table | undefined,
  { hostHeader = '', path = '/' }: SimulatedCall,
  isTls: boolean,
): SimulatedResult {
  const virtualHost = virtualHostOf(table?.virtual_hosts ?? [], hostHeader);
  if (virtualHost === undefined) return { error: 'no virtual host matched' };
  const virtualHostMatched = virtualHost.name;
  if (virtualHost.require_tls === 'ALL' && !isTls)
    return { virtualHostMatched, error: 'tls required, sending 301' };
  const route = (virtualHost.routes ?? []).find(({ match }) => matchesPath(match, path));
  if (route === undefined) return { virtualHostMatched, error: 'no route matched' };
  const routeMatched = route.name ?? '';
  const cluster = route.route?.cluster ?? route.route?.weighted_clusters?.clusters[0]?.name;
  return { virtualHostMatched, routeMatched, ...(cluster !== undefined && { clusterMatched: cluster }) };
}

interface Hello {
  readonly port: number;
  readonly isTls: boolean;
  readonly sni: string;
  readonly alpn: readonly string[];
}

/** Envoy: at each step chains that ask for something go before those that do not, and nobody comes back. */
function matching(chains: readonly Chain[], { port, isTls, sni, alpn }: Hello): readonly Chain[] {
  const step = (
    left: readonly Chain[],
    field: keyof NonNullable<Chain['filter_chain_match']>,
    fits: (value: string) => number,
  ): readonly Chain[] => {
    const ranked = left.map((chain) => {
      const asked = [chain.filter_chain_match?.[field] ?? []].flat().map(String);
      return { chain, rank: asked.length === 0 ? 1 : Math.max(0, ...asked.map(fits)) };
    });
    const best = Math.max(0, ...ranked.map(({ rank }) => rank));
    return best === 0 ? [] : ranked.filter(({ rank }) => rank === best).map(({ chain }) => chain);
  };
  const byPort = step(chains, 'destination_port', (value) => (value === String(port) ? 2 : 0));
  const byName = step(byPort, 'server_names', (name) => {
    if (name === sni) return 1e6;
    return name.startsWith('*') && sni.endsWith(name.slice(1)) ? 1 + name.length : 0;
  });
  const byTransport = step(byName, 'transport_protocol', (name) =>
    name === (isTls ? 'tls' : 'raw_buffer') ? 2 : 0,
  );
  // Envoy: the first of the client's names that a chain has.
  return step(byTransport, 'application_protocols', (name) => {
    const at = alpn.indexOf(name);
    return at < 0 ? 0 : 2 + alpn.length - at;
  });
}

/** Envoy: the exact name, the longest suffix, the longest prefix, everything. */
function virtualHostOf(all: readonly VirtualHost[], host: string): VirtualHost | undefined {
  let best: VirtualHost | undefined;
  let rank = 0;
  for (const one of all) {
    for (const domain of one.domains) {
      const fit = domainRank(domain, host);
      if (fit > rank) [best, rank] = [one, fit];
    }
  }
  return best;
}

function domainRank(domain: string, host: string): number {
  if (domain === host) return 3e6;
  if (domain === '*') return 1;
  if (domain.startsWith('*'))
    return host.length >= domain.length && host.endsWith(domain.slice(1)) ? 2e6 + domain.length : 0;
  if (!domain.endsWith('*')) return 0;
  return host.length >= domain.length && host.startsWith(domain.slice(0, -1)) ? 1e6 + domain.length : 0;
}

function matchesPath(match: Route['match'], path: string): boolean {
  const { prefix, path: exact, path_separated_prefix: segments, safe_regex: regex } = match;
  if (prefix !== undefined) return path.startsWith(prefix);
  if (exact !== undefined) return path === exact;
  if (segments !== undefined) return path === segments || path.startsWith(`${segments}/`);
  return regex !== undefined && new RegExp(`^(?:${regex.regex})$`).test(path);
}
