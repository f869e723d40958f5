import { splitHostPort } from '../../model/address.js';
import type { OutboundListener, OutboundTcpListener, TcpFilterChain } from '../../model/listener.js';
import type { TcpProxy } from '../../model/tcp-proxy.js';
import { compileFilterChains } from '../../routing/filter-chains.js';
import { HostPorts } from '../../routing/host-ports.js';
import { MeshError } from '../../runtime/errors.js';
import { remainderOf } from '../../runtime/random.js';
import { documentsFor } from './documents.js';
import { explainRequest, nothingYet } from './explain.js';
import type { RequestExplanation } from './explanation.js';
import { withDestination } from './forward.js';
import type { ExplainedRequest } from './request.js';
import type { ExplainWorld } from './world.js';

/** A connection that one asks about. */
export interface ExplainedConnection {
  readonly scheme: 'tcp' | 'tls';
  readonly host: string;
  readonly port: number;
  readonly draw: number | undefined;
}

/**
 * The connection that a URL stands for; undefined = it is a request.
 * @throws MeshError `INMESH_OPTION_INVALID` for one without a port.
 */
export function connectionOf({ url, draw }: ExplainedRequest): ExplainedConnection | undefined {
  const [, scheme = '', authority = ''] = /^(tcp|tls):\/\/([^/?#\s]*)\/?$/i.exec(url.trim()) ?? [];
  if (scheme === '') return undefined;
  const { host, port } = splitHostPort(authority.toLowerCase());
  const isTls = scheme.toLowerCase() === 'tls';
  const meant = port ?? (isTls ? 443 : undefined);
  if (host === '' || meant === undefined) {
    throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(url)} names no host with a port`, {
      hint: 'Write it as tcp://db:5432',
    });
  }
  return { scheme: isTls ? 'tls' : 'tcp', host, port: meant, draw };
}

/** What the mesh would do with a connection: by host and port, and of TLS by the name that it asks for. */
export async function explainConnection(
  asked: ExplainedConnection,
  world: ExplainWorld,
): Promise<RequestExplanation> {
  const { scheme, host, port } = asked;
  const { set, caller } = world;
  const authority = `${host}:${port}`;
  const empty = nothingYet({ method: '', scheme, authority, path: '', headers: [] }, caller);
  if (world.gatewayPort !== undefined) {
    throw new MeshError('INMESH_OPTION_INVALID', 'connections at gateways cannot be explained', {
      hint: 'Ask about a request by http:// or https://, or leave the gateway out',
    });
  }
  const found = listenersOf(world).lookup(host, port);
  if (found?.kind === 'outbound-tcp')
    return onListener({ ...empty, listener: found.name }, found, asked, world);
  if (found !== undefined) return throughHttp(empty, asked, world);
  const isClosed = [...set.listeners.keys()].some((name) => splitHostPort(name).host === '*');
  return isClosed
    ? { ...empty, reason: `the mesh lets nothing out that it does not name, and ${authority} is not named` }
    : {
        ...empty,
        outcome: 'passed-through',
        reason: `${authority} is none of the mesh's for this caller: the connection goes its usual way`,
      };
}

type Outbound = OutboundListener | OutboundTcpListener;

function listenersOf({ set, caller }: ExplainWorld): HostPorts<Outbound> {
  const found = new HostPorts<Outbound>(caller.namespace);
  const all = [...set.listeners.values()];
  for (const listener of all) {
    if (listener.kind !== 'outbound-tcp') continue;
    const { host, port } = splitHostPort(listener.name.replace(/^tcp:\/\//, ''));
    found.add(host, port, listener);
    if (listener.address !== undefined) found.add(listener.address.address, listener.address.port, listener);
  }
  for (const listener of all) {
    if (listener.kind !== 'outbound') continue;
    const { host, port = 80 } = splitHostPort(listener.name);
    if (host !== '*') found.add(host, port, listener);
  }
  return found;
}

/** A port of HTTP only: connections go where a request for `/` would. */
async function throughHttp(
  { request }: RequestExplanation,
  { host, port, draw }: ExplainedConnection,
  world: ExplainWorld,
): Promise<RequestExplanation> {
  const one = await explainRequest({ method: 'GET', url: `http://${host}:${port}/`, draw }, world);
  if (one.outcome === 'forwarded') return { ...one, request, rewritten: null, timeouts: null, retries: null };
  const reason = 'no route for every path leads to a cluster, so that the connection is refused';
  return { ...one, request, outcome: 'refused', reason, response: null, rewritten: null };
}

function onListener(
  before: RequestExplanation,
  listener: OutboundTcpListener,
  { scheme, host, port, draw }: ExplainedConnection,
  world: ExplainWorld,
): RequestExplanation {
  const address = listener.address?.address;
  const chain = compileFilterChains(
    listener.filterChains,
    listener.defaultChain,
  )({
    destinationPort: port,
    destinationIp: address,
    // Without inspection nobody sees the name.
    serverName: scheme === 'tls' && listener.inspection !== undefined ? host : '',
    transportProtocol: scheme === 'tls' && listener.inspection !== undefined ? 'tls' : 'raw_buffer',
    applicationProtocols: [],
    directSourceIp: '127.0.0.1',
    sourceIp: '127.0.0.1',
    sourcePort: 0,
  });
  if (chain === undefined)
    return { ...before, reason: 'no filter chain of the listener takes the connection (NR)' };
  const { name, all } = chooseTarget(chain.tcp, draw);
  const cluster = world.set.clusters.get(name);
  const forwarded: RequestExplanation = {
    ...before,
    outcome: 'forwarded',
    route: { name: chain.name, index: listener.filterChains.indexOf(chain), match: matchOf(chain) },
    cluster: name,
    clusters: all,
    timeouts: {
      requestMs: chain.tcp.maxDurationMs ?? 0,
      perTryMs: null,
      idleMs: chain.tcp.idleTimeoutMs,
      connectMs: cluster?.connectTimeoutMs ?? null,
    },
    documents: documentsFor(listener.name.replace(/^tcp:\/\//, ''), 'tcp', { cluster: name }, world),
  };
  if (cluster === undefined)
    return { ...forwarded, outcome: 'refused', reason: `there is no cluster ${name} (NC)` };
  const matched = `filter chain ${chain.name || (forwarded.route?.index ?? 0)} of ${listener.name} matched`;
  return withDestination(forwarded, { cluster, head: before.request, matched }, world);
}

/** What a filter chain asks of connections. */
function matchOf({ match }: TcpFilterChain): object {
  const { serverNames, destinationRanges } = match;
  return {
    ...(serverNames.length > 0 && { server_names: serverNames }),
    ...(destinationRanges.length > 0 && {
      prefix_ranges: destinationRanges.map(({ address, bits }) => `${address}/${bits}`),
    }),
  };
}

/** The cluster of a connection; without a draw of its own the heaviest of weighted ones. */
function chooseTarget(
  { cluster }: TcpProxy,
  draw: number | undefined,
): { readonly name: string; readonly all: RequestExplanation['clusters'] } {
  if (cluster.kind === 'cluster') {
    const { name } = cluster;
    return { name, all: [{ name, weight: 100, share: 100 }] };
  }
  const { clusters, totalWeight } = cluster;
  const all = clusters.map(({ name, weight }) => ({
    name,
    weight,
    share: Math.round((weight / totalWeight) * 10_000) / 100,
  }));
  const heaviest = [...clusters].sort((a, b) => b.weight - a.weight)[0];
  if (draw === undefined) return { name: heaviest?.name ?? '', all };
  let left = remainderOf(draw, totalWeight);
  const drawn = clusters.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
  return { name: drawn?.name ?? '', all };
}
