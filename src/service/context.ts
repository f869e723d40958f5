import type { CallRetry } from './call-retry.js';
import type { Completion } from './completion.js';
import type { ConnectionInfo, SocketEnd, TlsInfo } from './connection.js';
import type { GrpcMessages } from './grpc-messages.js';
import type { HeadChange } from './head-change.js';
import type { HeaderMap } from './headers.js';
import type { RetryWishes, TimeLimits } from './time-limits.js';
import type { TransportFailure } from './transport-error.js';
import type { ServiceInfo, WorkloadInfo } from './workload.js';

/** The span of an exchange, as far as others have to do with it. The core never names OpenTelemetry. */
export interface ExchangeTrace {
  /** Begins the span of an attempt; undefined when attempts have none. */
  readonly attempt: AttemptTrace | undefined;
}

/** Begins the span of an attempt, whose headers then name it; what it gives ends it. */
export type AttemptTrace = (headers: HeaderMap, attempt: Attempt, clusterName: string) => EndAttempt;

/** The attempt is over: its body is through, or it failed. */
export type EndAttempt = (attempt: Attempt, error: unknown) => void;

/** Values of filters by namespace (Envoy dynamic metadata). */
export type DynamicMetadata = Map<string, Record<string, unknown>>;

/** Envoy's short response flags, as they appear in access logs. */
export type ResponseFlag =
  | 'UH'
  | 'UF'
  | 'UO'
  | 'UT'
  | 'UC'
  | 'UR'
  | 'URX'
  | 'NR'
  | 'NC'
  | 'LR'
  | 'DI'
  | 'FI'
  | 'RL'
  | 'DC'
  | 'DPE'
  | 'UPE'
  | 'UAEX'
  | 'RLSE'
  | 'SI'
  | 'IH'
  | 'UMSDR'
  | 'DT'
  | 'DF'
  | 'OM'
  | 'LH'
  | 'DO'
  | 'UDO'
  | 'DR'
  | 'NFCF'
  | 'RFCF';

/** One try of an exchange upstream, filled in while it runs. */
export interface Attempt {
  /** 1 for the first. */
  readonly number: number;
  /** The endpoint chosen, `address:port`; undefined when none could be. */
  readonly host: string | undefined;
  /** The load-balancing policy that chose it, or what overruled it. */
  readonly chosenBy: string;
  readonly startMs: number;
  /** Status of the response, when there was one. */
  status: number | undefined;
  /** Why there was none. */
  error: unknown;
  durationMs: number | undefined;
}

/** The endpoint of an attempt, as formats read it. A host of a cluster is one. */
export interface UpstreamInfo {
  /** `address:port`. */
  readonly address: string;
  readonly hostname?: string | undefined;
  /** Envoy metadata of the endpoint, by namespace. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Envoy metadata of its cluster, by namespace. */
  readonly clusterMetadata?: Readonly<Record<string, unknown>> | undefined;
  readonly local?: SocketEnd | undefined;
  readonly tls?: TlsInfo | undefined;
  /** `HTTP/1.1`, `HTTP/2`. */
  readonly protocol?: string | undefined;
}

/** A cookie that was made here. */
export interface GivenCookie {
  readonly name: string;
  readonly value: string;
  /** The value of its `set-cookie` header. */
  readonly line: string;
}

/** Moments of an exchange, monotonic milliseconds. */
export interface ExchangeTiming {
  /** The last byte of the request was read. */
  requestEndMs: number | undefined;
  /** The last attempt began. */
  attemptStartMs: number | undefined;
  /** The response head of the last attempt was there. */
  responseStartMs: number | undefined;
}

/** Bytes of a connection so far. */
export interface ByteCounts {
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/**
 * What is known about one request and its response. The filters fill it in; observers read it.
 * One plain object per request: nothing here is computed unless somebody asks.
 */
export interface Exchange {
  readonly direction: 'outbound' | 'inbound';
  /** Monotonic start, milliseconds. */
  readonly startMs: number;
  /** The one random draw of this exchange in [0, 1), shared by runtime fractions and weighted clusters (as Envoy's stream id). */
  readonly random: number;
  /** Envoy response flags, in the order they were set. */
  flags: ResponseFlag[];
  /** Envoy's RESPONSE_CODE_DETAILS; undefined means `via_upstream`. */
  details: string | undefined;
  /** Name of the virtual host of the matched route. */
  virtualHostName: string | undefined;
  /** Envoy: name of the virtual cluster that the request counts to. */
  virtualClusterName: string | undefined;
  /** Name of the matched route; empty when it has none. */
  routeName: string | undefined;
  /** Name of the chosen cluster. */
  clusterName: string | undefined;
  /** `address:port` of the endpoint that answered, or was tried last. */
  upstreamHost: string | undefined;
  /** Host and, when it was given, port that the application dialled, whatever its Host header says. */
  destination: string | undefined;
  /** Port that the application dialled, when it gave none and it is not the scheme's. */
  destinationPort: number | undefined;
  /** IP address that the application dialled; connections only. Undefined = a name. */
  destinationIp: string | undefined;
  /** Number of attempts sent upstream so far. */
  attemptCount: number;
  /** The SPIFFE ID that the other side proved, when the connection is mTLS. */
  peerId: string | undefined;
  /** Hosts that were tried, for retry host predicates. Made by the first attempt that may be retried. */
  triedHosts: object[] | undefined;
  /** Set by whoever keeps time: the transport settles it when a connection takes the request. */
  requestStarted: Completion | undefined;
  /**
   * Set by whoever waits for the request's last byte (Envoy's timeouts start there): the transport settles it then,
   * or when the attempt ends before.
   */
  requestSent: Completion | undefined;
  /** What the calling library gave along with the request; a transport of the same library may read it. */
  callerOptions: unknown;
  /** The connection that the request came in on; inbound only. */
  connection: ConnectionInfo | undefined;
  /** Envoy dynamic metadata: what filters tell each other, matchers and logs. Made on first use. */
  dynamicMetadata: DynamicMetadata | undefined;
  /** Envoy filter state: objects by key. Made on first use. */
  filterState: Map<string, unknown> | undefined;
  /**
   * Protocol that the caller wants to switch to, in lower case: `websocket`; `connect` for CONNECT, `post` for a connection
   * that a POST carries.
   */
  upgrade: string | undefined;
  /** A CONNECT ends here: its bytes go to the endpoint as they are. */
  endsConnect: boolean;
  /** What ran through the connection after the peer agreed to that, and before; set by the transport. */
  tunnel: ByteCounts | undefined;
  /** Host that a filter asks for (Envoy override host, e.g. stateful session): `address:port`, and whether no other will do. */
  overrideHost: { readonly address: string; readonly strict: boolean } | undefined;
  /** Monotonic time by which the exchange must be over (deadline of the caller); undefined = none. */
  deadlineMs: number | undefined;
  /** Set by the route's stack; undefined = none. */
  limits: TimeLimits | undefined;
  /** When the request was complete, monotonic milliseconds: time limits begin there. Set by whoever keeps them. */
  completeMs: number | undefined;
  /** Set by the route's stack when the request's headers ask for anything; undefined = nothing. */
  retryWishes: RetryWishes | undefined;
  /** What the service config of a gRPC client says of its attempts; undefined = nothing. */
  callRetry: CallRetry | undefined;
  /** Whether the attempt that begins follows one that took too long. */
  followsTimeout: boolean;
  /** Every try so far, oldest first. Made by the first attempt. */
  attempts: Attempt[] | undefined;
  /** Bytes of the request's body, as far as they were sent on (of the last attempt; Envoy BYTES_RECEIVED). */
  requestBytes: number;
  /** Bytes of the response's body so far (Envoy BYTES_SENT). */
  responseBytes: number;
  /** Messages of a gRPC call so far (of the last attempt); undefined when it is none. */
  grpcMessages: GrpcMessages | undefined;
  /** The service that the cluster stands for, when the control plane said so. */
  service: ServiceInfo | undefined;
  /** The workload at the other end: of the endpoint that was tried last, or of the caller. */
  peer: WorkloadInfo | undefined;
  /** Protocol of the caller: `HTTP/1.0`, `HTTP/1.1`, `HTTP/2`. */
  protocol: string | undefined;
  /** The endpoint tried last. */
  upstream: UpstreamInfo | undefined;
  /** What was spoken to it: `HTTP/1.1`, `HTTP/2`; undefined while no connection took the request. */
  upstreamProtocol: string | undefined;
  /** Why the connection to it failed, in one line. */
  transportFailure: string | undefined;
  /** What broke the response off after its head; set by the transport. */
  bodyFailure: TransportFailure | undefined;
  /** HTTP/2 error code that the last attempt's peer reset the stream with; set by the transport. */
  resetCode: number | undefined;
  /** gRPC's status of a call that its caller or its deadline ended before its server did; set by the bindings of gRPC. */
  callStatus: number | undefined;
  /** Names the channel of a gRPC client that the call came from (gRFC A42: hashing by channel); undefined = none. */
  channelId: string | undefined;
  /** Made by whoever keeps time. */
  timing: ExchangeTiming | undefined;
  /** Envoy metadata of the matched route, by namespace. */
  routeMetadata: Readonly<Record<string, unknown>> | undefined;
  /** Cookies that the caller is given with the answer, as `set-cookie` writes them. Made on first use. */
  setCookies: GivenCookie[] | undefined;
  /** Changes to the head of the application's response, outermost first; inbound only. See `changeHead`. */
  headChanges: HeadChange[] | undefined;
  /** Whether some of those may change the body. */
  changesBody: boolean;
  /** Keyed values for filters: use a symbol or a namespaced string. Made on first use. */
  values: Map<unknown, unknown> | undefined;
  /** The span of this exchange; undefined = it has none that others have to do with. */
  trace: ExchangeTrace | undefined;
  /** A filter changed what routes go by: the route is chosen anew before the next one. */
  routeIsStale: boolean;
}

/** A fresh exchange. */
export function createExchange(direction: Exchange['direction'], startMs: number, random: number): Exchange {
  return {
    direction,
    startMs,
    random,
    flags: [],
    details: undefined,
    virtualHostName: undefined,
    virtualClusterName: undefined,
    routeName: undefined,
    clusterName: undefined,
    upstreamHost: undefined,
    destination: undefined,
    destinationPort: undefined,
    destinationIp: undefined,
    attemptCount: 0,
    peerId: undefined,
    triedHosts: undefined,
    requestStarted: undefined,
    requestSent: undefined,
    callerOptions: undefined,
    connection: undefined,
    dynamicMetadata: undefined,
    filterState: undefined,
    upgrade: undefined,
    endsConnect: false,
    tunnel: undefined,
    overrideHost: undefined,
    deadlineMs: undefined,
    limits: undefined,
    completeMs: undefined,
    retryWishes: undefined,
    callRetry: undefined,
    followsTimeout: false,
    attempts: undefined,
    requestBytes: 0,
    responseBytes: 0,
    grpcMessages: undefined,
    service: undefined,
    peer: undefined,
    protocol: undefined,
    upstream: undefined,
    upstreamProtocol: undefined,
    transportFailure: undefined,
    bodyFailure: undefined,
    resetCode: undefined,
    callStatus: undefined,
    channelId: undefined,
    timing: undefined,
    routeMetadata: undefined,
    setCookies: undefined,
    headChanges: undefined,
    changesBody: false,
    values: undefined,
    trace: undefined,
    routeIsStale: false,
  };
}
