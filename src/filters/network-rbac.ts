import type { NetworkRbac } from '../model/network-rbac.js';
import { compileRbac, type RbacDecision, setMetadata } from '../routing/rbac.js';
import { Abort } from '../runtime/abort.js';
import { EMPTY_BODY } from '../service/body.js';
import type { Exchange } from '../service/context.js';
import { HeaderMap } from '../service/headers.js';
import type { Request } from '../service/service.js';
import type { Audited } from './filter.js';
import type { FilterMemory } from './filter-memory.js';

/** Decides whether a connection is let in; what it decided stands in the exchange. */
export type AdmitConnection = (context: Exchange) => boolean;

const NAMESPACE = 'envoy.filters.network.rbac';

/** Role-based access control of connections (Envoy `envoy.filters.network.rbac`): all of them have to let one in. */
export function networkRbac(
  guards: readonly NetworkRbac[],
  memory: FilterMemory,
  audited?: Audited,
): AdmitConnection | undefined {
  const tests = guards.map((guard) => compileGuard(guard, memory, audited));
  return tests.length === 0 ? undefined : (context) => tests.every((test) => test(context));
}

function compileGuard(
  guard: NetworkRbac,
  memory: FilterMemory,
  audited: Audited | undefined,
): AdmitConnection {
  const { statPrefix, rules, shadowRules, shadowRulesStatPrefix: prefix } = guard;
  const enforced = rules && compileRbac(rules);
  const shadow = shadowRules && compileRbac(shadowRules);
  const counter = (name: string) => memory.counter(`${statPrefix}rbac.${name}`);
  const [allowed, denied] = [counter('allowed'), counter('denied')];
  const [shadowAllowed, shadowDenied] = [
    counter(`${prefix}shadow_allowed`),
    counter(`${prefix}shadow_denied`),
  ];
  return (context) => {
    const request = bareRequest(context);
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

/** Envoy: rules that ask for headers or a path see none. */
function bareRequest(context: Exchange): Request {
  const head = { method: '', scheme: '', authority: '', path: '', headers: HeaderMap.empty() };
  return { ...head, body: EMPTY_BODY, abort: new Abort(), context };
}
