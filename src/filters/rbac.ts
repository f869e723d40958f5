import type { FilterConfig } from '../model/filter-config.js';
import type { RbacConfig } from '../model/rbac.js';
import {
  compileRbacTree,
  compileStrictRbac,
  HTTP_RBAC,
  noteDecision,
  type RbacDecision,
  type RbacEngine,
} from '../routing/rbac.js';
import { localReply } from '../service/local-reply.js';
import type { Filter, Request, Response } from '../service/service.js';
import type { FilterTools } from './filter.js';
import type { FilterMemory } from './filter-memory.js';

/**
 * Role-based access control (Envoy `envoy.filters.http.rbac`): the shadow rules are decided and recorded first, then the
 * rules decide. What is refused gets 403 "RBAC: access denied" with the policy in the details.
 */
export function rbac(
  base: RbacConfig,
  layers: readonly FilterConfig[],
  tools: FilterTools,
): Filter | undefined {
  const override = layers.find((layer) => layer.kind === 'rbac-route');
  const config = override === undefined ? base : override.rbac;
  if (config === undefined) return undefined;
  // Envoy: a matcher goes before rules.
  const shadowEngine = engineOf(config.shadowMatcher, config.shadowRules);
  const engine = engineOf(config.matcher, config.rules);
  const shadow = shadowEngine && recorder(shadowEngine, shadowNames(config), config, tools.memory);
  const enforced = engine && recorder(engine, enforcedNames(config), config, tools.memory);
  const audited = config.rules?.action === 'log' ? tools.audited : undefined;
  if (shadow === undefined && enforced === undefined) return undefined;
  return async (request, next) => {
    shadow?.(request);
    const decision = enforced?.(request);
    if (audited !== undefined && decision?.policy !== undefined) {
      audited(decision.policy, `${request.method} ${request.authority}${request.path}`, request.context);
    }
    return decision === undefined || decision.allowed ? next(request) : deny(request, decision);
  };
}

function engineOf(tree: RbacConfig['matcher'], rules: RbacConfig['rules']): RbacEngine | undefined {
  return tree === undefined ? rules && compileStrictRbac(rules) : compileRbacTree(tree);
}

/** Names of what a decision leaves behind. */
interface Names {
  /** Stands before the names of metadata. */
  readonly prefix: string;
  /** Stands before the names of figures. */
  readonly scope: string;
  readonly figure: '' | 'shadow_';
}

function enforcedNames({ rulesStatPrefix: prefix }: RbacConfig): Names {
  return { prefix: `${prefix}enforced_`, scope: `rbac.${prefix}`, figure: '' };
}

function shadowNames({ shadowRulesStatPrefix: prefix }: RbacConfig): Names {
  return { prefix: `${prefix}shadow_`, scope: `rbac.${prefix}`, figure: 'shadow_' };
}

/** Records what an engine decides: in the figures, and for logs and other filters in the dynamic metadata. */
function recorder(
  decide: (request: Request) => RbacDecision,
  { prefix, scope, figure }: Names,
  { trackPerRuleStats }: RbacConfig,
  memory: FilterMemory,
): (request: Request) => RbacDecision {
  const allowed = memory.counter(`${scope}${figure}allowed`);
  const denied = memory.counter(`${scope}${figure}denied`);
  return (request) => {
    const decision = decide(request);
    const { policy } = decision;
    (decision.allowed ? allowed : denied).value++;
    const result = decision.allowed ? 'allowed' : 'denied';
    if (trackPerRuleStats && policy !== undefined) {
      memory.counter(`${scope}policy.${policy}.${figure}${result}`).value++;
    }
    noteDecision(request, decision, { namespace: HTTP_RBAC, prefix });
    return decision;
  };
}

function deny(request: Request, { policy = 'none' }: RbacDecision): Response {
  return localReply(request, {
    status: 403,
    body: 'RBAC: access denied',
    // Envoy: white space would break the columns of a log.
    details: `rbac_access_denied_matched_policy[${policy.replaceAll(/\s/g, '_')}]`,
    reason: 'INMESH_RBAC_DENIED',
  });
}
