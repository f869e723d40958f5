import type { HttpFilter } from '../../model/filter-config.js';
import type { RbacConfig, RbacRules } from '../../model/rbac.js';
import { compileStrictRbac, type RbacDecision } from '../../routing/rbac.js';
import type { Request } from '../../service/service.js';
import { httpAuthorization, tcpAuthorization } from '../compile/authorization/filters.js';
import { type EffectivePolicies, effectivePolicies } from '../compile/authorization/select-policies.js';
import { authorizationTools } from '../compile/authorization/workload.js';
import { meshConfigOf } from '../compile/mesh-document.js';
import type { PolicySubject } from '../compile/policy-scope.js';
import { isDryRun } from '../kinds/authorization-policy.js';
import { targetsOf } from '../kinds/policy-target.js';
import type { ConfigView, Document, Origin } from '../kinds/view.js';
import { createMeshConfig, type MeshConfig, type MeshSettings, pathRules } from '../mesh/mesh-config.js';
import { snapshotOf } from '../registry/snapshot.js';
import { type CheckedRequest, requestFor } from './checked-request.js';

/** Files tell of documents alone. */
const NOBODY = snapshotOf([]);

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
  readonly mesh?: MeshSettings | undefined;
  readonly request?: CheckedRequest | undefined;
}

/** The policies of a workload, and what they say of a request, by the engine that decides at run time. */
export function checkAuthorization(
  view: ConfigView,
  query: AuthorizationQuery,
  config: MeshConfig = meshConfigOf(view, createMeshConfig(query.mesh ?? {})),
): AuthorizationCheck {
  const policies = effectivePolicies(view, query, config.rootNamespace);
  const tools = authorizationTools(view, NOBODY, config)(query.namespace);
  const isTcp = query.request?.protocol === 'tcp';
  const http = httpAuthorization(policies, tools);
  const tcp = tcpAuthorization(policies, tools);
  const filters = isTcp ? tcp.guards.filter((guard) => guard.kind === undefined) : http.filters;
  return {
    policies: listed(policies, config.rootNamespace),
    problems: [...new Set([...http.problems, ...tcp.problems])],
    decision: query.request && decisionOf(filters, requestFor(query.request, pathRules(config))),
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

type Rules = Pick<RbacConfig, 'rules' | 'shadowRules'>;

function decisionOf(
  filters: readonly (HttpFilter | Rules)[],
  request: Request | undefined,
): NonNullable<AuthorizationCheck['decision']> {
  if (request === undefined) {
    return { verdict: 'denied', steps: [], reason: 'a path of this form is answered with 400' };
  }
  const steps: AuthorizationStep[] = [];
  for (const filter of filters) {
    const config = 'config' in filter ? filter.config : { kind: 'rbac' as const, ...filter };
    if (config.kind !== 'rbac') continue;
    const isCustom = config.rules === undefined && isOfProvider(config.shadowRules);
    steps.push(...stepsOf(config, isCustom, request));
    // What is denied goes no further.
    if (steps.some(({ result }) => result === 'denied')) return { verdict: 'denied', steps };
  }
  return { verdict: steps.some(({ result }) => result === 'asked') ? 'asked' : 'allowed', steps };
}

/** Rules that tell whether a provider is asked. */
function isOfProvider(rules: RbacRules | undefined): boolean {
  return rules?.policies.some(({ name }) => name.startsWith('istio-ext-authz-')) ?? false;
}

function stepsOf(
  { rules, shadowRules }: Rules,
  isCustom: boolean,
  request: Request,
): readonly AuthorizationStep[] {
  const steps: AuthorizationStep[] = [];
  if (shadowRules !== undefined) {
    const decision = compileStrictRbac(shadowRules)(request);
    const result = isCustom
      ? decision.policy === undefined
        ? 'passed'
        : 'asked'
      : decision.allowed
        ? 'would-pass'
        : 'would-deny';
    steps.push({ action: isCustom ? 'CUSTOM' : actionOf(shadowRules), result, rule: decision.policy });
  }
  if (rules !== undefined) {
    const decision = compileStrictRbac(rules)(request);
    steps.push({ action: actionOf(rules), result: resultOf(rules, decision), rule: decision.policy });
  }
  return steps;
}

const ACTIONS = { allow: 'ALLOW', deny: 'DENY', log: 'AUDIT' } as const;

function actionOf({ action, policies }: RbacRules): AuthorizationStep['action'] {
  const isCustom = policies.some(({ name }) => name.startsWith('istio-ext-authz-'));
  return isCustom ? 'CUSTOM' : ACTIONS[action];
}

function resultOf({ action }: RbacRules, { allowed, policy }: RbacDecision): AuthorizationStep['result'] {
  if (action === 'log') return policy === undefined ? 'passed' : 'recorded';
  return allowed ? 'passed' : 'denied';
}
