import type { Cluster } from './cluster.js';
import type { ClusterLoadAssignment } from './endpoint.js';
import type { InboundListener, OutboundListener, OutboundTcpListener } from './listener.js';
import type { RouteConfiguration } from './route.js';
import type { Runtime } from './runtime.js';
import type { Secret } from './secret.js';

/**
 * A complete, consistent, immutable configuration. What is referenced but known not to exist is left out: routes
 * to it answer locally.
 */
export interface Snapshot {
  readonly outbound: ReadonlyMap<string, ResolvedOutbound>;
  /** Outbound listeners for connections of any protocol; undefined = none. */
  readonly tcp?: ReadonlyMap<string, OutboundTcpListener> | undefined;
  readonly inbound: ReadonlyMap<string, InboundListener>;
  readonly clusters: ReadonlyMap<string, ResolvedCluster>;
  /** Secrets that clusters and inbound listeners need; undefined = none. */
  readonly secrets?: ReadonlyMap<string, Secret> | undefined;
  /** The values that keys of the configuration stand for; they are filled in already. Undefined = none. */
  readonly runtime?: Runtime | undefined;
}

/** An outbound listener with its route table; without `routes` the table does not exist (404 NR). */
export interface ResolvedOutbound {
  readonly listener: OutboundListener;
  readonly routes: RouteConfiguration | undefined;
}

/** A cluster with its endpoints; without `assignment` none were ever sent (no healthy upstream). */
export interface ResolvedCluster {
  readonly cluster: Cluster;
  readonly assignment: ClusterLoadAssignment | undefined;
}

export const EMPTY_SNAPSHOT: Snapshot = { outbound: new Map(), inbound: new Map(), clusters: new Map() };
