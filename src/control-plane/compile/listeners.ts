import { formatAddress, type SocketAddress } from '../../model/address.js';
import { NO_CRITERIA } from '../../model/filter-chain-match.js';
import { type HttpFilter, NO_OVERRIDES } from '../../model/filter-config.js';
import type {
  HttpConnectionManager,
  InboundChainConfig,
  InboundListener,
  OutboundListener,
} from '../../model/listener.js';
import type { NetworkGuard } from '../../model/network-guard.js';
import type { NodeWorkload } from '../../model/node.js';
import type { Route } from '../../model/route.js';
import { DEFAULT_TCP_IDLE_MS, type TcpServer } from '../../model/tcp-proxy.js';
import type { DownstreamTls } from '../../model/tls.js';
import type { UpgradeRule } from '../../model/upgrade.js';
import { inboundClusterName } from '../mesh/names.js';
import { filtersFor } from './cors.js';
import { OUTBOUND_FILTERS } from './fault.js';
import { MESH_ALPN } from './mesh-alpn.js';
import type { MtlsMode } from './peer-authentication.js';
import { MATCH_ALL } from './route-match.js';

/** Istio allows WebSocket on every HTTP listener, and nothing else. */
const UPGRADES: readonly UpgradeRule[] = [{ type: 'websocket', enabled: true }];

/** The listener for a host and port, in gRPC's client-side shape. */
export function outboundListener(
  name: string,
  routeName: string,
  routes: readonly Route[],
  limits: readonly HttpFilter[] = [],
): OutboundListener {
  return {
    kind: 'outbound',
    name,
    http: {
      routes: { kind: 'rds', name: routeName },
      filters: [...limits, ...filtersFor(routes, OUTBOUND_FILTERS)],
      upgrades: UPGRADES,
    },
  };
}

/** Name of the listener of a served address (gRFC A36: `server_listener_resource_name_template`). */
export function inboundListenerName(template: string, { address, port }: SocketAddress): string {
  return template.replaceAll('%s', () => formatAddress({ address, port }));
}

/** What holds for those who call a port. */
export interface InboundRules {
  readonly mode: MtlsMode;
  readonly http: InboundHttpPolicy;
  /** What connections without requests pass. */
  readonly guards: readonly NetworkGuard[];
  /** TLS with certificates of its own; undefined = none. Istio: it holds where the mesh ends no TLS. */
  readonly tls?: Omit<DownstreamTls, 'alpn'> | undefined;
}

/** The listener of a served port: which chains it has is what its mTLS mode means. */
export function inboundListener(
  name: string,
  { address, port, protocol }: SocketAddress & Pick<NodeWorkload, 'protocol'>,
  { mode, http, guards, tls }: InboundRules,
): InboundListener {
  const inner =
    protocol === 'tcp'
      ? { tcp: inboundTcp(port), ...(guards.length > 0 && { guards }) }
      : { http: inboundHttp(port, http) };
  // Istio: on a port of any protocol clients of the mesh are known by what their TLS offers; the rest may be the application's.
  const sharesTls = protocol === 'tcp' && mode === 'PERMISSIVE';
  const mutual: InboundChainConfig = {
    name: 'inbound-mtls',
    // A STRICT port has this chain only, so plaintext finds none and is refused.
    transportProtocol: 'tls',
    ...(sharesTls && { match: { ...NO_CRITERIA, applicationProtocols: MESH_ALPN } }),
    tls: {
      requireClientCertificate: true,
      alpn: protocol === 'tcp' ? ['istio'] : ['h2', 'http/1.1'],
    },
    ...inner,
  };
  const plaintext: InboundChainConfig = {
    name: 'inbound-plaintext',
    // Istio: where TLS is not ended, nobody looks for it.
    transportProtocol: mode === 'DISABLE' ? '' : 'raw_buffer',
    tls: undefined,
    ...inner,
  };
  const through: InboundChainConfig = { ...plaintext, name: 'inbound-tls', transportProtocol: 'tls' };
  const chains = {
    STRICT: [mutual],
    PERMISSIVE: [mutual, ...(sharesTls ? [through] : []), plaintext],
    DISABLE: [plaintext],
  };
  const own: InboundChainConfig | undefined = tls && {
    name: 'inbound-own-tls',
    transportProtocol: 'tls',
    tls: { ...tls, alpn: protocol === 'tcp' ? [] : ['h2', 'http/1.1'] },
    ...inner,
  };
  const filterChains = own !== undefined && mode === 'DISABLE' ? [own] : chains[mode];
  return { kind: 'inbound', name, address: { address, port }, filterChains };
}

function inboundTcp(port: number): TcpServer {
  return { cluster: inboundClusterName(port), idleTimeoutMs: DEFAULT_TCP_IDLE_MS };
}

/** What a workload's policies say of the requests to its ports. */
export type InboundHttpPolicy = Pick<
  HttpConnectionManager,
  'filters' | 'paths' | 'accessLogs' | 'tracing' | 'requestIds'
>;

/** What an inbound port does with requests: they are the application's. */
export function inboundHttp(port: number, policy: InboundHttpPolicy): HttpConnectionManager {
  const name = inboundClusterName(port);
  return {
    routes: {
      kind: 'inline',
      config: {
        name,
        virtualHosts: [
          {
            name,
            domains: ['*'],
            routes: [
              {
                name: 'default',
                match: MATCH_ALL,
                action: { kind: 'non-forwarding' },
                filterOverrides: NO_OVERRIDES,
              },
            ],
            retryPolicy: undefined,
            filterOverrides: NO_OVERRIDES,
            includeRequestAttemptCount: false,
          },
        ],
      },
    },
    ...policy,
    upgrades: UPGRADES,
  };
}
