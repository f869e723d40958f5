import type { ClusterRuntime } from '../cluster/cluster.js';
import type { Service } from '../service/service.js';
import { type AttemptTools, attempt } from './upstream.js';

/**
 * How filters ask a service (ext_authz, rate limit, JWKS): one attempt at a cluster, without the stack of a route. It is
 * looked up per call, because clusters come and go; each cluster's service is made once.
 */
export function callOut(
  cluster: (name: string) => ClusterRuntime | undefined,
  tools: AttemptTools,
): (clusterName: string) => Service | undefined {
  const services = new WeakMap<ClusterRuntime, Service>();
  return (name) => {
    const runtime = cluster(name);
    if (runtime === undefined) return undefined;
    let service = services.get(runtime);
    if (service === undefined) {
      service = attempt(runtime, ONCE, tools);
      services.set(runtime, service);
    }
    return service;
  };
}

const ONCE = {
  priority: 'default',
  avoidPreviousHosts: false,
  hostSelectionAttempts: 0,
  sendAttemptCount: false,
} as const;
