import type { Cluster } from '../../../model/cluster.js';
import type { DnsCacheConfig } from '../../../model/dns-cache.js';
import type { HttpFilter } from '../../../model/filter-config.js';
import type { VirtualHost } from '../../../model/route.js';
import { DEFAULT_MESH_CONFIG } from '../../mesh/mesh-config.js';
import { catchAllForward } from '../catch-all-host.js';
import { effectivePolicy, policyFields } from '../traffic-policy.js';

// Where no address is known beforehand, an Envoy that takes requests as a proxy dials the host that they name.

/** Istio's name of the cluster for hosts that the mesh does not know. */
const PASSTHROUGH = 'PassthroughCluster';

/** Envoy's defaults, and IPv4 where there is any. */
const CACHE: DnsCacheConfig = {
  name: 'inmesh',
  lookupFamily: 'v4-preferred',
  refreshRateMs: 60_000,
  minRefreshRateMs: 5000,
  failureRefresh: undefined,
  hostTtlMs: 300_000,
  maxHosts: 1024,
  maxPendingRequests: 1024,
  preresolve: [],
  queryTimeoutMs: 5000,
};

/** Resolves the host of each request that goes to one of these clusters. */
export const FORWARD_PROXY_FILTER: HttpFilter = {
  name: 'envoy.filters.http.dynamic_forward_proxy',
  config: { kind: 'forward-proxy', cache: CACHE, saveUpstreamAddress: false },
};

/** The same cluster, dialling what a request names rather than where a connection wanted to go. */
export function dialsNamedHost(cluster: Cluster): Cluster {
  // Envoy: the name that a request asks for is the one to prove, where the server proves itself by public roots.
  const provesName = cluster.tls?.mode === 'simple';
  return {
    ...cluster,
    discovery: { kind: 'forward-proxy', cache: CACHE, allowInsecure: !provesName },
    lbPolicy: { kind: 'cluster-provided' },
    ...(provesName && { autoSni: true, autoSanValidation: true }),
  };
}

/** Where requests for hosts go that the mesh does not know. */
export const PASSTHROUGH_CLUSTER: Cluster = dialsNamedHost({
  name: PASSTHROUGH,
  discovery: { kind: 'eds', serviceName: PASSTHROUGH },
  ...policyFields(
    effectivePolicy(undefined, undefined, { port: 0, mesh: DEFAULT_MESH_CONFIG }),
    undefined,
    DEFAULT_MESH_CONFIG,
  ),
  tls: undefined,
  transportSocketMatches: [],
  metadata: {},
});

/** Istio's ALLOW_ANY: takes every host that no other virtual host does. */
export const ALLOW_ANY: VirtualHost = catchAllForward('allow_any', PASSTHROUGH);
