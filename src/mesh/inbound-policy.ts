import { buildFilters } from '../filters/builtin.js';
import type { InboundListener } from '../model/listener.js';
import { compileHeaderMatchers } from '../routing/match.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import { type InboundPolicy, inboundPolicy } from './inbound.js';

/**
 * The policy of an inbound listener with the built-in filters. Without a listener only mTLS is let in: a workload
 * that has not heard its policy yet must not be more open than it.
 */
export function inboundPolicyOf(
  listener: InboundListener | undefined,
  tools: { readonly clock: Clock; readonly random: Random },
): InboundPolicy {
  const filterTools = {
    clock: tools.clock,
    random: tools.random,
    headerPredicate: compileHeaderMatchers,
    clusterName: undefined,
  };
  return inboundPolicy(listener, {
    buildFilters: ({ filters }, overrides) => buildFilters(filters, overrides, filterTools),
    unconfigured: 'strict',
  });
}
