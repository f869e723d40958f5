import type { RbacPolicy, RbacRules } from '../../../model/rbac.js';
import { isDryRun } from '../../kinds/authorization-policy.js';
import type { Document } from '../../kinds/view.js';
import { compileRule, conditionsOf, neverMatching, type RuleTarget } from './compile-rule.js';
import type { TrustDomains } from './trust-domains.js';

type Policy = Document<'AuthorizationPolicy'>;

/** Rules that hold, and those that are tried out only; undefined = there is no policy of that sort. */
export interface RuleSets {
  readonly rules: RbacRules | undefined;
  readonly shadowRules: RbacRules | undefined;
}

/** How rules are compiled. */
export interface RuleTools extends RuleTarget {
  readonly trustDomains: TrustDomains;
  /** Before the names of policies. Default none. */
  readonly prefix?: string | undefined;
}

/** Policies of one action as rules of RBAC (Istio: Builder.build). */
export function compileRuleSets(policies: readonly Policy[], tools: RuleTools): RuleSets {
  return {
    rules: rulesOf(
      policies.filter((one) => !isDryRun(one)),
      tools,
    ),
    shadowRules: rulesOf(policies.filter(isDryRun), tools),
  };
}

function rulesOf(policies: readonly Policy[], tools: RuleTools): RbacRules | undefined {
  if (policies.length === 0) return undefined;
  const { action } = tools;
  // Envoy: policies are tried in order of their names, byte by byte.
  const compiled = policies.flatMap((policy) => rbacPolicies(policy, tools)).sort(byName);
  return { action, policies: compiled };
}

function byName(a: RbacPolicy, b: RbacPolicy): number {
  return Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
}

function rbacPolicies(policy: Policy, tools: RuleTools): readonly RbacPolicy[] {
  const { rules = [] } = policy.spec;
  const scope = { namespace: policy.namespace, trustDomains: tools.trustDomains };
  if (rules.length === 0) return [neverMatching(ruleName(policy, 0, tools))];
  return rules.flatMap((rule, index) => {
    return compileRule(ruleName(policy, index, tools), conditionsOf(rule, scope), tools) ?? [];
  });
}

/** Istio's name of a rule, which logs and metadata show. */
export function ruleName(
  { namespace, name }: Pick<Document, 'namespace' | 'name'>,
  index: number,
  { prefix = '' }: Pick<RuleTools, 'prefix'>,
): string {
  return `${prefix}ns[${namespace}]-policy[${name}]-rule[${index}]`;
}
