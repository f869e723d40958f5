import type { HttpFilter } from '../../model/filter-config.js';
import type { NetworkGuard } from '../../model/network-guard.js';
import type { RbacRules } from '../../model/rbac.js';
import {
  compileRbac,
  compileStrictRbac,
  HTTP_RBAC,
  NETWORK_RBAC,
  noteDecision,
  type RbacDecision,
  type RbacEngine,
} from '../../routing/rbac.js';
import type { Request } from '../../service/service.js';
import { httpAuthorization, tcpAuthorization } from '../compile/authorization/filters.js';
import { CUSTOM_PREFIX } from '../compile/authorization/providers.js';
import { type EffectivePolicies, effectivePolicies } from '../compile/authorization/select-policies.js';
import { authorizationTools } from '../compile/authorization/workload.js';
import { INLINE_KEYS } from '../compile/issuer-keys.js';
import { type PolicySubject, servingLabels } from '../compile/policy-scope.js';
import { jwtFilter } from '../compile/request-authentication.js';
import { isDryRun } from '../kinds/authorization-policy.js';
import { targetsOf } from '../kinds/policy-target.js';
import type { ConfigView, Document, Origin } from '../kinds/view.js';
import { type MeshConfig, pathRules } from '../mesh/mesh-config.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import { type CheckedRequest, requestFor } from './checked-request.js';

/** A policy that holds for a workload. */
export interface EffectivePolicy {
  readonly namespace: string;
  readonly name: string;
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';
  /** Whether it is tried out only. */
  readonly dryRun: boolean;
  readonly rules: number;
  /** What it is for. */
  readonly scope: 'mesh' | 'namespace' | 'workload' | 'target';
  readonly origin: Origin;
}

/** What the policies of one action say of a request. */
export interface AuthorizationStep {
  readonly action: 'CUSTOM' | 'AUDIT' | 'DENY' | 'ALLOW';
  /** `asked`: a provider decides; `recorded`: it is marked for logs; `would-deny` is of a dry run. */
  readonly result: 'passed' | 'denied' | 'asked' | 'recorded' | 'would-pass' | 'would-deny';
  /** The rule that matched. */
  readonly rule: string | undefined;
}

/** What the policies of a workload come to. */
export interface AuthorizationCheck {
  readonly policies: readonly EffectivePolicy[];
  /** Why something is refused that would have been decided elsewhere. */
  readonly problems: readonly string[];
  /** What they say of the request; undefined when none was given. */
  readonly decision:
    | {
        /** `asked`: everything else lets it pass. */
        readonly verdict: 'allowed' | 'denied' | 'asked';
        readonly steps: readonly AuthorizationStep[];
        /** Why it is denied without a policy. */
        readonly reason?: string | undefined;
      }
    | undefined;
}

/** What is asked about. */
export interface AuthorizationQuery extends PolicySubject {
  readonly request?: CheckedRequest | undefined;
}

/** What policies are looked up in. */
export interface AuthorizationWorld {
  readonly view: ConfigView;
  readonly registry: RegistrySnapshot;
  readonly config: MeshConfig;
}

/** The policies of a workload, and what they say of a request, by the engine that decides at run time. */
export function checkAuthorization(
  { view, registry, config }: AuthorizationWorld,
  { request, ...target }: AuthorizationQuery,
): AuthorizationCheck {
  const subject = { ...target, labels: servingLabels(target.service, target.labels) };
  const policies = effectivePolicies(view, subject, config.rootNamespace);
  const tools = authorizationTools(view, registry, config)(subject.namespace);
  const http = httpAuthorization(policies, tools);
  const tcp = tcpAuthorization(policies, tools);
  const jwt = jwtFilter(view, subject, { config, keys: INLINE_KEYS, clearRouteCache: false });
  const tokens = [...(jwt?.config.providers.values() ?? [])];
  return {
    policies: listed(policies, config.rootNamespace),
    problems: [...new Set([...http.problems, ...tcp.problems])],
    decision:
      request &&
      decisionOf(
        request.protocol === 'tcp' ? guardsOf(tcp.guards) : filtersOf(http.filters),
        requestFor(request, { paths: pathRules(config), tokens }),
      ),
  };
}

function listed(policies: EffectivePolicies, rootNamespace: string): readonly EffectivePolicy[] {
  const { custom, audit, deny, allow } = policies;
  return [...custom, ...audit, ...deny, ...allow].map((one) => ({
    namespace: one.namespace,
    name: one.name,
    action: one.spec.action ?? 'ALLOW',
    dryRun: isDryRun(one),
    rules: one.spec.rules?.length ?? 0,
    scope: scopeOf(one, rootNamespace),
    origin: one.origin,
  }));
}

function scopeOf({ spec, namespace }: Document<'AuthorizationPolicy'>, rootNamespace: string) {
  if (targetsOf(spec).length > 0) return 'target';
  if (Object.keys(spec.selector?.matchLabels ?? {}).length > 0) return 'workload';
  return namespace === rootNamespace ? 'mesh' : 'namespace';
}

/** The rules of one filter, and where it leaves what it decides. */
interface Judged {
  readonly rules: RbacRules | undefined;
  readonly shadowRules: RbacRules | undefined;
  readonly shadowPrefix: string;
  readonly namespace: string;
  readonly compile: (rules: RbacRules) => RbacEngine;
}

function filtersOf(filters: readonly HttpFilter[]): readonly Judged[] {
  return filters.flatMap(({ config }) => {
    if (config.kind !== 'rbac') return [];
    const { rules, shadowRules, shadowRulesStatPrefix: shadowPrefix } = config;
    return [{ rules, shadowRules, shadowPrefix, namespace: HTTP_RBAC, compile: compileStrictRbac }];
  });
}

function guardsOf(guards: readonly NetworkGuard[]): readonly Judged[] {
  return guards.flatMap((guard) => {
    if (guard.kind !== undefined) return [];
    const { rules, shadowRules, shadowRulesStatPrefix: shadowPrefix } = guard;
    return [{ rules, shadowRules, shadowPrefix, namespace: NETWORK_RBAC, compile: compileRbac }];
  });
}

function decisionOf(
  filters: readonly Judged[],
  request: Request | undefined,
): NonNullable<AuthorizationCheck['decision']> {
  if (request === undefined) {
    return { verdict: 'denied', steps: [], reason: 'a path of this form is answered with 400' };
  }
  const steps: AuthorizationStep[] = [];
  for (const filter of filters) {
    steps.push(...stepsOf(filter, request));
    // What is denied goes no further.
    if (steps.some(({ result }) => result === 'denied')) return { verdict: 'denied', steps };
  }
  return { verdict: steps.some(({ result }) => result === 'asked') ? 'asked' : 'allowed', steps };
}

function stepsOf(
  { rules, shadowRules, shadowPrefix, namespace, compile }: Judged,
  request: Request,
): readonly AuthorizationStep[] {
  const steps: AuthorizationStep[] = [];
  if (shadowRules !== undefined) {
    const decision = compile(shadowRules)(request);
    // Conditions of later policies may look at it.
    noteDecision(request, decision, { namespace, prefix: `${shadowPrefix}shadow_` });
    const action = actionOf(shadowRules);
    const result =
      action === 'CUSTOM'
        ? decision.policy === undefined
          ? 'passed'
          : 'asked'
        : decision.allowed
          ? 'would-pass'
          : 'would-deny';
    steps.push({ action, result, rule: decision.policy });
  }
  if (rules !== undefined) {
    const decision = compile(rules)(request);
    if (namespace === HTTP_RBAC) noteDecision(request, decision, { namespace, prefix: 'enforced_' });
    steps.push({ action: actionOf(rules), result: resultOf(rules, decision), rule: decision.policy });
  }
  return steps;
}

const ACTIONS = { allow: 'ALLOW', deny: 'DENY', log: 'AUDIT' } as const;

function actionOf({ action, policies }: RbacRules): AuthorizationStep['action'] {
  const isCustom = policies.some(({ name }) => name.startsWith(CUSTOM_PREFIX));
  return isCustom ? 'CUSTOM' : ACTIONS[action];
}

function resultOf({ action }: RbacRules, { allowed, policy }: RbacDecision): AuthorizationStep['result'] {
  if (action === 'log') return policy === undefined ? 'passed' : 'recorded';
  return allowed ? 'passed' : 'denied';
}
