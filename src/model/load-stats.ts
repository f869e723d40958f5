import type { SocketAddress } from './address.js';
import type { Locality } from './endpoint.js';

/** That load is reported to the control plane (Cluster `lrs_server: self`), and what of it. */
export interface LoadReporting {
  /** What of the reports of endpoints (ORCA) is passed on: `cpu_utilization`, `named_metrics.queue`, `named_metrics.*` … */
  readonly metrics: readonly string[];
}

/** What went to a cluster since the last report (Envoy ClusterStats). */
export interface ClusterLoad {
  readonly clusterName: string;
  /** The EDS name; empty when it has none. */
  readonly serviceName: string;
  readonly localities: readonly LocalityLoad[];
  /** Requests that were given up here: by category below, and by circuit breakers. */
  readonly dropped: number;
  readonly drops: readonly { readonly category: string; readonly count: number }[];
  /** Since when these are counted, until now. */
  readonly intervalMs: number;
}

/** Requests by what became of them. */
export interface LoadNumbers {
  readonly successes: number;
  readonly errors: number;
  /** Under way now. */
  readonly inProgress: number;
  readonly issued: number;
  readonly metrics: readonly MetricSum[];
}

/** A figure that endpoints reported with their responses, added up. */
export interface MetricSum {
  readonly name: string;
  /** How many responses had it. */
  readonly count: number;
  readonly sum: number;
}

/** What went to one locality in one priority. */
export interface LocalityLoad extends LoadNumbers {
  readonly locality: Locality;
  readonly priority: number;
  /** Empty unless the control plane wants to know. */
  readonly endpoints: readonly EndpointLoad[];
}

/** What went to one endpoint. */
export interface EndpointLoad extends LoadNumbers {
  readonly address: SocketAddress;
}
