import type { Host } from './host.js';
import type { PickContext, Picker } from './lb/load-balancer.js';

/** Picks until a host comes up that was not tried yet, as often as the policy allows; then takes the last one. */
export function pickAvoiding(picker: Picker, context: PickContext): Host | undefined {
  let host = picker(context, 0);
  if (context.avoid === undefined && context.rejects === undefined) return host;
  for (let i = 1; i <= context.selectionAttempts && host !== undefined && isAvoided(host, context); i++) {
    host = picker(context, i);
  }
  return host;
}

/** Whether any predicate on hosts rejects one. */
export function isAvoided(host: Host, { avoid, rejects }: PickContext): boolean {
  return avoid?.includes(host) === true || rejects?.(host) === true;
}

/**
 * Envoy would take the host that was tried before. But a dead host has nothing to do, so least request prefers it: of
 * two hosts one dead, every 30th request would use up its retries on it. As long as there is a usable host that was not
 * tried, it is taken.
 */
export function untried(host: Host, hosts: ReadonlyMap<string, Host>, context: PickContext): Host {
  for (const other of hosts.values()) {
    const isUsable = other.health === 'healthy' && !other.isExcluded && other.priority === host.priority;
    if (isUsable && !isAvoided(other, context)) return other;
  }
  return host;
}
