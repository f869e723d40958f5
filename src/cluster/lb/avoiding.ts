import type { Host } from '../host.js';
import type { HostSet } from '../host-set.js';
import type { Balancer, PickContext, Picker } from './load-balancer.js';

/** The policy, with picks that respect what retries avoid. Envoy: each policy sees to that among its own hosts. */
export function avoiding(balancer: Balancer): Balancer {
  return {
    ...balancer,
    picker(sets) {
      const picker = balancer.picker(sets);
      return (context, attempt) => {
        if (context.avoid === undefined && context.rejects === undefined) return picker(context, attempt);
        const host = pickAvoiding(picker, context);
        return host !== undefined && isAvoided(host, context) ? untried(host, sets, context) : host;
      };
    },
  };
}

/** Picks until a host comes up that was not tried yet, as often as the policy allows; then takes the last one. */
export function pickAvoiding(picker: Picker, context: PickContext): Host | undefined {
  let host = picker(context, 0);
  for (let i = 1; i <= context.selectionAttempts && host !== undefined && isAvoided(host, context); i++) {
    host = picker(context, i);
  }
  return host;
}

/** Whether any predicate on hosts rejects one. */
function isAvoided(host: Host, { avoid, rejects }: PickContext): boolean {
  return avoid?.includes(host) === true || rejects?.(host) === true;
}

/**
 * Envoy would take the host that was tried before. But a dead host has nothing to do, so least request prefers it: of
 * two hosts one dead, every 30th request would use up its retries on it. As long as there is a usable host that was not
 * tried, it is taken.
 */
function untried(host: Host, sets: readonly HostSet[], context: PickContext): Host {
  for (const other of sets[host.priority]?.healthy ?? []) {
    if (other.health === 'healthy' && !other.isExcluded && !isAvoided(other, context)) return other;
  }
  return host;
}
