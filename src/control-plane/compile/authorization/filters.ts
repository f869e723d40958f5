import type { ExtAuthzConfig } from '../../../model/ext-authz.js';
import type { HttpFilter } from '../../../model/filter-config.js';
import type { NetworkExtAuthz, NetworkGuard } from '../../../model/network-guard.js';
import type { NetworkRbac } from '../../../model/network-rbac.js';
import type { RbacConfig, RbacRules } from '../../../model/rbac.js';
import type { Document } from '../../kinds/view.js';
import type { ExtensionProvider } from '../../mesh/extension-provider.js';
import type { Enforcer, RbacAction } from './conditions.js';
import {
  CUSTOM_STAT_PREFIX,
  customPrefix,
  matchedPolicy,
  readyProvider,
  type ServiceLookup,
} from './providers.js';
import { compileRuleSets, type RuleSets } from './rule-sets.js';
import type { EffectivePolicies } from './select-policies.js';
import type { TrustDomains } from './trust-domains.js';

/** What the policies of a workload are compiled with. */
export interface AuthorizationTools {
  readonly trustDomains: TrustDomains;
  readonly providers: readonly ExtensionProvider[];
  /** Whether a workload may have several. */
  readonly severalProviders?: boolean | undefined;
  readonly namespacesOf: ServiceLookup;
}

/** Something that keeps a policy from being carried out as it is; what it is about is refused. */
export type Problem = string;

const RBAC = 'envoy.filters.http.rbac';
const EXT_AUTHZ = 'envoy.filters.http.ext_authz';
/** Istio: names of policies whose provider can't be asked end so. */
const BAD_CUSTOM = '-deny-due-to-bad-CUSTOM-action';
/** Istio's prefix of the figures of filters for TCP. */
const TCP_STAT_PREFIX = 'tcp.';

/** The filters of a workload's policies, in the order in which they decide: CUSTOM, AUDIT, DENY, ALLOW. */
export interface HttpAuthorization {
  readonly filters: readonly HttpFilter[];
  readonly problems: readonly Problem[];
}

/** The policies of a workload as HTTP filters. */
export function httpAuthorization(policies: EffectivePolicies, tools: AuthorizationTools): HttpAuthorization {
  const problems: Problem[] = [];
  const custom = customGroups(policies.custom, 'http', tools).flatMap((group): readonly HttpFilter[] => {
    const { name, rules } = group;
    const ready = group.problem ?? readyProvider(name, tools.providers, tools.namespacesOf);
    const suffix = group.isOnly ? '' : `.${name}`;
    if (ready.kind === 'unusable') {
      problems.push(ready.reason);
      return [rbacFilter(`.CUSTOM${suffix}`, { rules: refused(rules), shadowRules: undefined }, '')];
    }
    const shadow = { rules: undefined, shadowRules: rules };
    return [
      rbacFilter(`.CUSTOM${suffix}`, shadow, CUSTOM_STAT_PREFIX),
      { name: `${EXT_AUTHZ}${suffix}`, config: ready.config },
    ];
  });
  return { filters: [...custom, ...ruleFilters(policies, 'http', tools)], problems };
}

/** The same for gRPC's own servers, which take rules and nothing else; what a provider would be asked about is refused. */
export function grpcAuthorization(
  policies: EffectivePolicies,
  tools: AuthorizationTools,
): readonly HttpFilter[] {
  const custom = customGroups(policies.custom, 'grpc', tools).map(({ name, rules, isOnly }) =>
    rbacFilter(`.CUSTOM${isOnly ? '' : `.${name}`}`, { rules: refused(rules), shadowRules: undefined }, ''),
  );
  return [...custom, ...ruleFilters(policies, 'grpc', tools)].flatMap(({ name, config }) => {
    // gRFC A41: rules that only log are ignored, and there are no shadow rules.
    if (config.kind !== 'rbac' || config.rules === undefined || config.rules.action === 'log') return [];
    return [{ name, config: { ...config, shadowRules: undefined, shadowRulesStatPrefix: '' } }];
  });
}

/** The policies of a workload as guards of connections that bring no requests. */
export function tcpAuthorization(
  policies: EffectivePolicies,
  tools: AuthorizationTools,
): { readonly guards: readonly NetworkGuard[]; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const custom = customGroups(policies.custom, 'tcp', tools).flatMap((group): readonly NetworkGuard[] => {
    const { name, rules } = group;
    const ready = group.problem ?? readyProvider(name, tools.providers, tools.namespacesOf);
    if (ready.kind === 'unusable') {
      problems.push(ready.reason);
      return [guard({ rules: refused(rules), shadowRules: undefined }, '')];
    }
    const asked = connectionAuthz(ready.config, name);
    // Istio: a provider of HTTP has no say about other connections.
    if (asked === undefined) return [];
    return [guard({ rules: undefined, shadowRules: rules }, CUSTOM_STAT_PREFIX), asked];
  });
  const guards = actionsOf(policies, 'tcp', tools).map(({ sets }) => guard(sets, shadowPrefix(sets)));
  return { guards: [...custom, ...guards], problems };
}

interface CustomGroup {
  readonly name: string;
  readonly isOnly: boolean;
  readonly rules: RbacRules;
  readonly problem: { readonly kind: 'unusable'; readonly reason: string } | undefined;
}

/** The policies of action CUSTOM by provider. One that is tried out only asks nobody. */
function customGroups(
  policies: readonly Document<'AuthorizationPolicy'>[],
  enforcer: Enforcer,
  { trustDomains, severalProviders }: AuthorizationTools,
): readonly CustomGroup[] {
  const names = [...new Set(policies.map(({ spec }) => spec.provider?.name ?? ''))].sort();
  const groups = names.flatMap((name) => {
    const own = policies.filter(({ spec }) => (spec.provider?.name ?? '') === name);
    const tools = { action: 'deny' as const, enforcer, trustDomains, prefix: customPrefix(name) };
    const { rules } = compileRuleSets(own, tools);
    return rules === undefined ? [] : [{ name, rules }];
  });
  const isOnly = groups.length === 1;
  const all = groups.map(({ name }) => name).join(', ');
  const reason = `a workload may have one authorization provider, not several (severalAuthorizationProviders): ${all}`;
  return groups.map((group) => ({
    ...group,
    isOnly,
    problem: isOnly || severalProviders ? undefined : { kind: 'unusable', reason },
  }));
}

/** Istio: what a provider would be asked about is refused when it can't be. */
function refused({ policies }: RbacRules): RbacRules {
  return { action: 'deny', policies: policies.map((one) => ({ ...one, name: `${one.name}${BAD_CUSTOM}` })) };
}

interface ActionRules {
  readonly suffix: string;
  readonly sets: RuleSets;
}

/** The rules of each action that has some, in the order in which they decide. */
function actionsOf(
  { audit, deny, allow }: EffectivePolicies,
  enforcer: Enforcer,
  { trustDomains }: AuthorizationTools,
): readonly ActionRules[] {
  const all: readonly [string, RbacAction, EffectivePolicies['allow']][] = [
    ['.AUDIT', 'log', audit],
    ['.DENY', 'deny', deny],
    ['', 'allow', allow],
  ];
  return all.flatMap(([suffix, action, policies]) => {
    if (policies.length === 0) return [];
    return [{ suffix, sets: compileRuleSets(policies, { action, enforcer, trustDomains }) }];
  });
}

function ruleFilters(
  policies: EffectivePolicies,
  enforcer: Enforcer,
  tools: AuthorizationTools,
): readonly HttpFilter[] {
  return actionsOf(policies, enforcer, tools).map(({ suffix, sets }) =>
    rbacFilter(suffix, sets, shadowPrefix(sets)),
  );
}

/** Istio: rules that are not there count as those of ALLOW. */
function shadowPrefix({ shadowRules }: RuleSets): string {
  const action = shadowRules?.action ?? 'allow';
  return action === 'log' ? '' : `istio_dry_run_${action}_`;
}

/** gRFC A39: names of filters are unique in a listener, so all but one have an ending. */
function rbacFilter(
  suffix: string,
  { rules, shadowRules }: RuleSets,
  shadowRulesStatPrefix: string,
): HttpFilter {
  const config: RbacConfig = {
    kind: 'rbac',
    rules,
    shadowRules,
    matcher: undefined,
    shadowMatcher: undefined,
    rulesStatPrefix: '',
    shadowRulesStatPrefix,
    trackPerRuleStats: false,
  };
  return { name: `${RBAC}${suffix}`, config };
}

/** Istio: of the provider's settings those count that connections have. */
function connectionAuthz({ service, failureModeAllow }: ExtAuthzConfig, provider: string) {
  if (service.kind === 'http') return undefined;
  return {
    kind: 'ext-authz',
    statPrefix: TCP_STAT_PREFIX,
    service: service.service,
    failureModeAllow,
    includePeerCertificate: false,
    includeTlsSession: false,
    enabledMetadata: matchedPolicy('envoy.filters.network.rbac', provider),
  } satisfies NetworkExtAuthz;
}

function guard({ rules, shadowRules }: RuleSets, shadowRulesStatPrefix: string): NetworkRbac {
  return { statPrefix: TCP_STAT_PREFIX, rules, shadowRules, shadowRulesStatPrefix };
}
