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
