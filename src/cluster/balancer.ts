import type { Host } from './host.js';
import type { PickContext, Picker } from './lb/load-balancer.js';

/** Picks until a host comes up that was not tried yet, as often as the policy allows; then takes the last one. */
export function pickAvoiding(picker: Picker, context: PickContext): Host | undefined {
  const { avoid } = context;
  let host = picker(context, 0);
  if (avoid === undefined || avoid.length === 0) return host;
  for (let i = 1; i <= context.selectionAttempts && host !== undefined && avoid.includes(host); i++) {
    host = picker(context, i);
  }
  return host;
}
