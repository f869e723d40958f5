import { create } from '@bufbuild/protobuf';
import type {
  RbacAction,
  RbacConfig,
  RbacPermission,
  RbacPolicy,
  RbacPrincipal,
  RbacRouteConfig,
  RbacRules,
} from '../model/rbac.js';
import { packAny } from '../proto/any.js';
import { httpRbac, rbac, xdsCore } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { onlyFields } from './field-guard.js';
import { decodeMatchTree, encodeMatchTree, type TreeCodec } from './match-tree.js';
import { at, atKey, type Path, refuse, required } from './path.js';
import { decodePermission, encodePermission } from './rbac-permission.js';
import { decodePrincipal, encodePrincipal } from './rbac-principal.js';

const filterFields = onlyFields(() => httpRbac.RBACSchema, {
  enforced: [
    'rules',
    'rules_stat_prefix',
    'shadow_rules',
    'shadow_rules_stat_prefix',
    'track_per_rule_stats',
    'matcher',
    'shadow_matcher',
  ],
});
const routeFields = onlyFields(() => httpRbac.RBACPerRouteSchema, { enforced: ['rbac'] });
const rulesFields = onlyFields(() => rbac.RBACSchema, {
  enforced: ['action', 'policies', 'audit_logging_options'],
});
// `condition` and `checked_condition` are refused: nobody here evaluates CEL.
const policyFields = onlyFields(() => rbac.PolicySchema, { enforced: ['permissions', 'principals'] });

/** The RBAC filter's configuration. */
export function decodeRbac(message: httpRbac.RBAC, path: Path): RbacConfig {
  filterFields(message, path);
  return {
    kind: 'rbac',
    rules: message.rules && decodeRules(message.rules, at(path, 'rules')),
    shadowRules: message.shadowRules && decodeRules(message.shadowRules, at(path, 'shadow_rules')),
    matcher: message.matcher && decodeMatchTree(message.matcher, at(path, 'matcher'), RBAC_TREE),
    shadowMatcher:
      message.shadowMatcher && decodeMatchTree(message.shadowMatcher, at(path, 'shadow_matcher'), RBAC_TREE),
    rulesStatPrefix: message.rulesStatPrefix,
    shadowRulesStatPrefix: message.shadowRulesStatPrefix,
    trackPerRuleStats: message.trackPerRuleStats,
  };
}

/** Its configuration for a route. */
export function decodeRbacRoute(message: httpRbac.RBACPerRoute, path: Path): RbacRouteConfig {
  routeFields(message, path);
  return { kind: 'rbac-route', rbac: message.rbac && decodeRbac(message.rbac, at(path, 'rbac')) };
}

/** One set of rules. */
export function decodeRules(message: rbac.RBAC, path: Path): RbacRules {
  rulesFields(message, path);
  checkAudit(message.auditLoggingOptions, at(path, 'audit_logging_options'));
  // Envoy: policies are tried in order of their names, byte by byte.
  const names = Object.keys(message.policies).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return {
    action: decodeAction(message.action, at(path, 'action')),
    policies: names.flatMap((name) => {
      const policy = message.policies[name];
      return policy === undefined ? [] : [decodePolicy(name, policy, atKey(path, 'policies', name))];
    }),
  };
}

/** gRFC A59: loggers that nobody knows are left out where they may be; nobody here writes audit logs. */
function checkAudit(options: rbac.RBAC_AuditLoggingOptions | undefined, path: Path): void {
  if (options === undefined || options.auditCondition === rbac.RBAC_AuditLoggingOptions_AuditCondition.NONE)
    return;
  options.loggerConfigs.forEach(({ isOptional }, index) => {
    if (!isOptional) refuse(at(path, 'logger_configs', index), 'is not supported');
  });
}

function decodeAction(action: rbac.RBAC_Action, path: Path): RbacRules['action'] {
  switch (action) {
    case rbac.RBAC_Action.ALLOW:
      return 'allow';
    case rbac.RBAC_Action.DENY:
      return 'deny';
    case rbac.RBAC_Action.LOG:
      return 'log';
    default:
      return refuse(path, `has no value ${String(action)}`);
  }
}

/** One policy. */
export function decodePolicy(name: string, message: rbac.Policy, path: Path): RbacPolicy {
  policyFields(message, path);
  const { permissions, principals } = message;
  if (permissions.length === 0) refuse(at(path, 'permissions'), 'must not be empty');
  if (principals.length === 0) refuse(at(path, 'principals'), 'must not be empty');
  return {
    name,
    permissions: permissions.map(
      (one, index): RbacPermission => decodePermission(one, at(path, 'permissions', index)),
    ),
    principals: principals.map(
      (one, index): RbacPrincipal => decodePrincipal(one, at(path, 'principals', index)),
    ),
  };
}

/** The RBAC filter's configuration as a message. */
export function encodeRbac(config: RbacConfig): httpRbac.RBAC {
  const message = create(httpRbac.RBACSchema, {
    rulesStatPrefix: config.rulesStatPrefix,
    shadowRulesStatPrefix: config.shadowRulesStatPrefix,
    trackPerRuleStats: config.trackPerRuleStats,
  });
  if (config.rules !== undefined) message.rules = encodeRules(config.rules);
  if (config.shadowRules !== undefined) message.shadowRules = encodeRules(config.shadowRules);
  if (config.matcher !== undefined) message.matcher = encodeMatchTree(config.matcher, RBAC_TREE);
  if (config.shadowMatcher !== undefined)
    message.shadowMatcher = encodeMatchTree(config.shadowMatcher, RBAC_TREE);
  return message;
}

/** Its configuration for a route as a message. */
export function encodeRbacRoute({ rbac: config }: RbacRouteConfig): httpRbac.RBACPerRoute {
  return create(httpRbac.RBACPerRouteSchema, config === undefined ? {} : { rbac: encodeRbac(config) });
}

/** The match trees of RBAC: they find an `Action`. */
export const RBAC_TREE: TreeCodec<RbacAction> = {
  readsConnection: true,
  decodeAction(extension, path) {
    const config = required(extension.typedConfig, at(path, 'typed_config'));
    const where = at(path, 'typed_config');
    const action = decodeAny(rbac.ActionSchema, config, where);
    if (action === undefined)
      return refuse(path, `the action ${JSON.stringify(config.typeUrl)} is not supported`);
    if (action.name === '') refuse(at(where, 'name'), 'must not be empty');
    return { name: action.name, action: decodeAction(action.action, at(where, 'action')) };
  },
  encodeAction({ name, action }) {
    const message = create(rbac.ActionSchema, { name, action: ACTIONS[action] });
    return create(xdsCore.TypedExtensionConfigSchema, {
      name: 'action',
      typedConfig: packAny(rbac.ActionSchema, message),
    });
  },
};

const ACTIONS = { allow: 0, deny: 1, log: 2 } as const;

/** One set of rules as a message. */
export function encodeRules({ action, policies }: RbacRules): rbac.RBAC {
  return create(rbac.RBACSchema, {
    action: ACTIONS[action],
    policies: Object.fromEntries(
      policies.map(({ name, permissions, principals }) => [
        name,
        create(rbac.PolicySchema, {
          permissions: permissions.map(encodePermission),
          principals: principals.map(encodePrincipal),
        }),
      ]),
    ),
  });
}
