import type { HeaderAddition, HeaderMutations } from './header-mutation.js';
import type { StringMatcher } from './matcher.js';

/** Envoy HealthCheck: how the hosts of a cluster are asked for their health. Durations in milliseconds. */
export interface HealthCheck {
  /** How long an answer may take. */
  readonly timeoutMs: number;
  /** Wait between the end of a check and the next one of a healthy host. */
  readonly intervalMs: number;
  /** The first check of a host waits up to this long. Default 0. */
  readonly initialJitterMs: number;
  /** Each wait is up to this much longer. Default 0. */
  readonly intervalJitterMs: number;
  /** Each wait is up to so many percent longer. Default 0. */
  readonly intervalJitterPercent: number;
  /** Failures in a row that take a host out; a wrong answer (not a network failure) takes it out at once. */
  readonly unhealthyThreshold: number;
  /** Passes in a row that put a host back; the first check ever needs one only. */
  readonly healthyThreshold: number;
  /** Wait while the cluster never had traffic. Default 60 s. */
  readonly noTrafficIntervalMs: number;
  /** The same for a healthy host. Default `noTrafficIntervalMs`. */
  readonly noTrafficHealthyIntervalMs: number;
  /** Wait after a failed check. Default `intervalMs`. */
  readonly unhealthyIntervalMs: number;
  /** Wait after a failed check that did not reach the threshold yet. Default `unhealthyIntervalMs`. */
  readonly unhealthyEdgeIntervalMs: number;
  /** Wait after a passed check that did not reach the threshold yet. Default `intervalMs`. */
  readonly healthyEdgeIntervalMs: number;
  /** Whether checks of a host share a connection. Default true. */
  readonly reuseConnection: boolean;
  /** Tells of every failure, not of changes only. Default false. */
  readonly alwaysLogFailures: boolean;
  /** Tells of every success, not of changes only. Default false. */
  readonly alwaysLogSuccess: boolean;
  /** ALPN of the checks' connections in place of the cluster's; empty = the cluster's. */
  readonly alpn: readonly string[];
  /** Chooses among the cluster's `transportSocketMatches` in place of the endpoint's labels. */
  readonly transportSocketMatch: Readonly<Record<string, string>> | undefined;
  readonly checker: HealthChecker;
}

/** What is sent, and which answer passes. A new kind of check adds its type to this union. */
export type HealthChecker = HttpHealthChecker | TcpHealthChecker | GrpcHealthChecker;

/** Envoy TcpHealthCheck: a connection, and what is said on it. */
export interface TcpHealthChecker {
  readonly kind: 'tcp';
  /** In hex; undefined = nothing is sent. */
  readonly send: string | undefined;
  /** Texts, in hex, that must come one after the other; empty = that the connection stands is enough. */
  readonly receive: readonly string[];
}

/** Envoy GrpcHealthCheck: `grpc.health.v1.Health/Check` over HTTP/2; only SERVING passes. */
export interface GrpcHealthChecker {
  readonly kind: 'grpc';
  /** Empty = the server as a whole. */
  readonly serviceName: string;
  /** Empty = the endpoint's name for checks, else the name of the cluster. */
  readonly authority: string;
  readonly metadata: readonly HeaderAddition[];
}

/** Envoy HttpHealthCheck. */
export interface HttpHealthChecker {
  readonly kind: 'http';
  /** Host header; empty = the endpoint's name for checks, else the name of the cluster. */
  readonly host: string;
  readonly path: string;
  /** Default GET. */
  readonly method: string;
  /** Body to send, in hex; undefined = none. */
  readonly send: string | undefined;
  /** Texts, in hex, that the body must contain one after the other; empty = any body will do. */
  readonly receive: readonly string[];
  /** Bytes of the body that are looked at; 0 = all. Default 1024. */
  readonly responseBufferBytes: number;
  readonly headers: HeaderMutations;
  /** Half-open; default 200 only. */
  readonly expectedStatuses: readonly StatusRange[];
  /** Statuses that count towards `unhealthyThreshold`, as network failures do. */
  readonly retriableStatuses: readonly StatusRange[];
  /** Must match `x-envoy-upstream-healthchecked-cluster` of the answer. */
  readonly serviceName: StringMatcher | undefined;
  /** Whether checks are spoken in HTTP/2, whatever the cluster's requests are. Default false. */
  readonly http2?: boolean | undefined;
}

/** Statuses from `start` up to, but without, `end`. */
export interface StatusRange {
  readonly start: number;
  readonly end: number;
}

/** Envoy Endpoint.HealthCheckConfig: how one endpoint is checked in another way than the rest. */
export interface EndpointHealthCheck {
  /** 0 = the endpoint's port. */
  readonly port: number;
  /** Where to check; undefined = the endpoint's address. */
  readonly address: { readonly address: string; readonly port: number } | undefined;
  /** Host header of checks; empty = as the check says. */
  readonly hostname: string;
  /** The endpoint is not checked, and healthy as far as checks go. */
  readonly isDisabled: boolean;
}
