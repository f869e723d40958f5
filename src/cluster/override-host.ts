import type { Host } from './host.js';
import type { PickContext } from './lb/load-balancer.js';

/**
 * The host that a filter asked for (Envoy override host), when it may be used; `'none'` when no other will do and this
 * one is not there; undefined when load balancing decides. Retries are balanced: the host had its chance.
 */
export function overrideHost(
  { request }: PickContext,
  hosts: ReadonlyMap<string, Host>,
): Host | 'none' | undefined {
  const context = request?.context;
  const asked = context?.overrideHost;
  if (asked === undefined || context?.attemptCount !== 0) return undefined;
  const host = hosts.get(asked.address);
  // Envoy `override_host_status`: by default unknown, healthy and degraded hosts.
  if (host !== undefined && host.health !== 'unhealthy') return host;
  return asked.strict ? 'none' : undefined;
}
