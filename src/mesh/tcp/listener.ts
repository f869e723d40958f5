import type { OutboundTcpListener, TcpFilterChain, TlsInspection } from '../../model/listener.js';
import { type ConnectionFacts, compileFilterChains } from '../../routing/filter-chains.js';
import type { MeshError } from '../../runtime/errors.js';
import type { Request } from '../../service/service.js';
import { refuseConnection } from './errors.js';
import { tcpRoute } from './proxy.js';
import type { ProxyTools, TcpRoute } from './route.js';

/** What the first bytes of a connection say. */
export interface ClientHello {
  /** Lower case; empty = it names none. */
  readonly serverName: string;
  /** ALPN names, best first. */
  readonly applicationProtocols: readonly string[];
}

/** A listener at work: where connections to one host and port go. */
export interface TcpListener {
  /** How the first bytes are looked at before; undefined = they are not. */
  readonly inspection: TlsInspection | undefined;
  /** The way of one connection; `hello` is what inspection found, undefined when it is not TLS. */
  route(request: Request, hello: ClientHello | undefined): TcpRoute | MeshError;
}

const ANY_ADDRESS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Puts a listener to work. */
export function tcpListener(listener: OutboundTcpListener, tools: ProxyTools): TcpListener {
  const routes = new Map<TcpFilterChain, TcpRoute>();
  const { filterChains, defaultChain, inspection, name } = listener;
  for (const chain of [...filterChains, ...(defaultChain === undefined ? [] : [defaultChain])]) {
    routes.set(chain, tcpRoute(chain.tcp, chain.name, tools));
  }
  const find = compileFilterChains(filterChains, defaultChain);
  const ownAddress = listener.address?.address;
  const address = ownAddress === undefined || ANY_ADDRESS.has(ownAddress) ? undefined : ownAddress;
  const { sourceAddress } = tools;
  return {
    inspection,
    route(request, hello) {
      const { context } = request;
      const facts: ConnectionFacts = {
        destinationPort: context.destinationPort ?? 0,
        destinationIp: context.destinationIp ?? address,
        serverName: hello?.serverName ?? '',
        transportProtocol: hello === undefined ? 'raw_buffer' : 'tls',
        applicationProtocols: hello?.applicationProtocols ?? [],
        directSourceIp: sourceAddress,
        sourceIp: sourceAddress,
        sourcePort: 0,
      };
      const chain = find(facts);
      const route = chain && routes.get(chain);
      if (route !== undefined) return route;
      context.details = 'filter_chain_not_found';
      return refuseConnection(context, name, {
        code: 'INMESH_NO_ROUTE',
        flag: 'NR',
        what: `no filter chain of ${name} takes this connection`,
        hint: 'Let a tcp or tls route of its VirtualService match it (port, subnet, SNI)',
      });
    },
  };
}
