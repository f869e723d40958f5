import type { RbacPermission, RbacPolicy, RbacPrincipal } from '../../../model/rbac.js';
import type { AuthorizationRule } from '../../kinds/types.js';
import { type Condition, type Enforcer, matchersOf, type RbacAction } from './conditions.js';
import { isGiven, operationConditions, whenPermission } from './permissions.js';
import { type PrincipalScope, sourceConditions, whenPrincipal } from './principals.js';

/** For whom a rule is compiled, and what it does. */
export interface RuleTarget {
  readonly action: RbacAction;
  readonly enforcer: Enforcer;
}

/** The conditions of a rule: each entry is one alternative, whose conditions all have to hold. */
export interface RuleConditions {
  readonly permissions: readonly (readonly Condition<RbacPermission>[])[];
  readonly principals: readonly (readonly Condition<RbacPrincipal>[])[];
}

/** The conditions of a rule: those of `when` belong to every source or operation. */
export function conditionsOf(
  { from, to, when = [] }: AuthorizationRule,
  scope: PrincipalScope,
): RuleConditions {
  const permissions = when.flatMap((one) => whenPermission(one) ?? []).filter(isGiven);
  const principals = when.flatMap((one) => whenPrincipal(one, scope) ?? []).filter(isGiven);
  return {
    permissions: (to?.length ? to : [{}]).map(({ operation }) => [
      ...operationConditions(operation),
      ...permissions,
    ]),
    principals: (from?.length ? from : [{}]).map(({ source }) => [
      ...sourceConditions(source, scope),
      ...principals,
    ]),
  };
}

/** A rule as a policy of RBAC; undefined when it has to be left out (Istio: Model.Generate). */
export function compileRule(
  name: string,
  { permissions, principals }: RuleConditions,
  target: RuleTarget,
): RbacPolicy | undefined {
  const allowed: RbacPermission[] = [];
  for (const conditions of permissions) {
    const of = matchersOf(conditions, (match): RbacPermission => ({ kind: 'not', of: match }), target);
    if (of === undefined) return undefined;
    allowed.push({ kind: 'and', of: of.length > 0 ? of : [ANYTHING] });
  }
  const known: RbacPrincipal[] = [];
  for (const conditions of principals) {
    const of = matchersOf(conditions, (match): RbacPrincipal => ({ kind: 'not', of: match }), target);
    if (of === undefined) return undefined;
    known.push({ kind: 'and', of: of.length > 0 ? of : [ANYTHING] });
  }
  return { name, permissions: allowed, principals: known };
}

const ANYTHING = { kind: 'any' } as const;

/** A policy that nothing matches: without it an ALLOW would not be there at all. */
export function neverMatching(name: string): RbacPolicy {
  const nothing = { kind: 'not', of: ANYTHING } as const;
  return { name, permissions: [nothing], principals: [nothing] };
}
