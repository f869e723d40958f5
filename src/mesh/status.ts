import type { ClusterStats } from '../cluster/cluster-stats.js';

/** A server of the control plane as a mesh sees it. */
export interface ControlPlaneServerStatus {
  /** Empty for names of the old style. */
  readonly authority: string;
  readonly target: string;
  readonly state: 'connecting' | 'connected' | 'disconnected';
  /** Whether it is the first of its list, so that no fallback is in force. */
  readonly isPreferred: boolean;
  /** Calendar time in milliseconds at which configuration of the authority was saved that is in use from the disk. */
  readonly savedAtMs: number | undefined;
}

/** State of a mesh, for people and probes. */
export interface MeshStatus {
  readonly service: string;
  readonly namespace: string;
  readonly version: string;
  readonly nodeId: string;
  readonly controlPlane: {
    readonly target: string;
    readonly state: 'connecting' | 'connected' | 'disconnected';
    readonly lastError: string | undefined;
    /** Every server that is connected to, or tried: more than one with authorities (gRFC A47) or in a fallback (A71). */
    readonly servers: readonly ControlPlaneServerStatus[];
  };
  /** Where the configuration in force came from. */
  readonly configuration: 'none' | 'cache' | 'control-plane';
  /** Calendar time at which a cached configuration was saved, in milliseconds. */
  readonly savedAtMs: number | undefined;
  readonly listeners: number;
  readonly clusters: readonly ClusterStats[];
  /** Where it shows what Envoy's admin interface does; undefined = nowhere. */
  readonly admin?: { readonly address: string; readonly port: number } | undefined;
  readonly identity: { readonly spiffeId: string; readonly notAfterMs: number } | undefined;
}
