import type { NetworkRbac } from '../model/network-rbac.js';
import { compileRbac, type RbacDecision, setMetadata } from '../routing/rbac.js';
import type { Audited } from './filter.js';
import type { FilterMemory } from './filter-memory.js';
import type { JudgeConnection } from './judge-connection.js';

const NAMESPACE = 'envoy.filters.network.rbac';

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
      setMetadata(request, NAMESPACE, shadowMetadata(prefix, decision));
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

function shadowMetadata(prefix: string, { allowed, policy }: RbacDecision): Record<string, unknown> {
  return {
    ...(policy !== undefined && { [`${prefix}shadow_effective_policy_id`]: policy }),
    [`${prefix}shadow_engine_result`]: allowed ? 'allowed' : 'denied',
  };
}
