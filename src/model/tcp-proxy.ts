import type { AccessLog } from './access-log.js';
import type { MetadataStruct } from './metadata.js';

/** Envoy TcpProxy: connections go to one cluster, whatever they carry. */
export interface TcpProxy {
  readonly cluster: TcpCluster;
  /** What is asked of a host's `envoy.lb` metadata. Undefined = nothing. */
  readonly metadataMatch?: MetadataStruct | undefined;
  /** Pause in both directions after which a connection is closed; 0 = never. Default 1 h. */
  readonly idleTimeoutMs: number;
  /** Attempts to connect. Default 1. */
  readonly maxConnectAttempts: number;
  /** Waits before further attempts: random, up to a step that doubles from base to max. Undefined = none. */
  readonly connectBackoff?: { readonly baseMs: number; readonly maxMs: number } | undefined;
  /** What connections are placed by. Undefined = nothing. */
  readonly hash?: TcpHash | undefined;
  /** Longest life of a connection. Undefined = no limit. */
  readonly maxDurationMs?: number | undefined;
  /** How much longer it may live than that, in percent, at random. Undefined = not at all. */
  readonly maxDurationJitterPercent?: number | undefined;
  /** Connections are carried through HTTP to the endpoint, which takes them on. Undefined = they are not. */
  readonly tunnel?: TcpTunnel | undefined;
  /** Undefined = none. */
  readonly accessLogs?: readonly AccessLog[] | undefined;
}

/** Envoy TunnelingConfig: what the endpoint, a proxy of HTTP, is asked for. */
export interface TcpTunnel {
  /** `host:port` that the proxy is to connect to. */
  readonly target: string;
  readonly method: 'CONNECT' | 'POST';
  /** Of a POST. Default `/`. */
  readonly path: string;
}

/** Envoy TcpProxy of an inbound filter chain: connections go to the application in this process. */
export interface TcpServer
  extends Pick<TcpProxy, 'idleTimeoutMs' | 'maxDurationMs' | 'maxDurationJitterPercent' | 'accessLogs'> {
  /** What the control plane calls the application. */
  readonly cluster: string;
}

/** Where connections go. */
export type TcpCluster =
  | { readonly kind: 'cluster'; readonly name: string }
  | {
      readonly kind: 'weighted';
      readonly clusters: readonly TcpClusterWeight[];
      readonly totalWeight: number;
    };

/** One of several clusters. */
export interface TcpClusterWeight {
  readonly name: string;
  /** At least 1. */
  readonly weight: number;
  /** Goes before that of the whole proxy. */
  readonly metadataMatch?: MetadataStruct | undefined;
}

/** Envoy HashPolicy of connections. */
export type TcpHash =
  | { readonly kind: 'source-ip' }
  | { readonly kind: 'filter-state'; readonly key: string };

/** Envoy's default of `idle_timeout`. */
export const DEFAULT_TCP_IDLE_MS = 3_600_000;

/** The clusters that connections may go to. */
export function clustersOfTcp({ cluster }: TcpProxy): readonly string[] {
  return cluster.kind === 'cluster' ? [cluster.name] : cluster.clusters.map(({ name }) => name);
}
