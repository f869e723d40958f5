import type { NetworkRbac } from '../model/network-rbac.js';
import { compileRbac, NETWORK_RBAC, noteDecision } from '../routing/rbac.js';
import type { Audited } from './filter.js';
import type { FilterMemory } from './filter-memory.js';
import type { JudgeConnection } from './judge-connection.js';

/** Role-based access control of connections (Envoy `envoy.filters.network.rbac`). */
export function networkRbac(guard: NetworkRbac, memory: FilterMemory, audited?: Audited): JudgeConnection {
  const { statPrefix, rules, shadowRules, shadowRulesStatPrefix: prefix } = guard;
  const enforced = rules && compileRbac(rules);
  const shadow = shadowRules && compileRbac(shadowRules);
  const counter = (name: string) => memory.counter(`${statPrefix}rbac.${name}`);
  const [allowed, denied] = [counter('allowed'), counter('denied')];
  const [shadowAllowed, shadowDenied] = [
    counter(`${prefix}shadow_allowed`),
    counter(`${prefix}shadow_denied`),
  ];
  return (request) => {
    const { context } = request;
    if (shadow !== undefined) {
      const decision = shadow(request);
      (decision.allowed ? shadowAllowed : shadowDenied).value++;
      noteDecision(request, decision, { namespace: NETWORK_RBAC, prefix: `${prefix}shadow_` });
    }
    if (enforced === undefined) return true;
    const decision = enforced(request);
    (decision.allowed ? allowed : denied).value++;
    if (rules?.action === 'log' && decision.policy !== undefined) {
      audited?.(decision.policy, 'a connection', context);
    }
    if (decision.allowed) return true;
    const { policy = 'none' } = decision;
    context.details = `rbac_access_denied_matched_policy[${policy.replaceAll(/\s/g, '_')}]`;
    return false;
  };
}
