import type { EndpointHealth } from '../model/endpoint.js';
import type { Host } from './host.js';
import type { PickContext } from './lb/load-balancer.js';

/** Envoy `override_host_status`: by default unknown, healthy and degraded hosts. */
const DEFAULT_STATUSES: readonly EndpointHealth[] = ['unknown', 'healthy', 'degraded'];

/**
 * The host that a filter asked for (Envoy override host), when it may be used; `'none'` when no other will do and this
 * one is not there; undefined when load balancing decides. Retries are balanced: the host had its chance.
 */
export function overrideHost(
  { request }: PickContext,
  hosts: ReadonlyMap<string, Host>,
  statuses = DEFAULT_STATUSES,
): Host | 'none' | undefined {
  const context = request?.context;
  const asked = context?.overrideHost;
  if (asked === undefined || context?.attemptCount !== 0) return undefined;
  const host = hosts.get(asked.address);
  if (host !== undefined && statuses.includes(host.status)) return host;
  return asked.strict ? 'none' : undefined;
}
