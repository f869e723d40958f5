import type { ClusterStats } from '../cluster/cluster-stats.js';

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
