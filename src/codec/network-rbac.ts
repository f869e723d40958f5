import { create } from '@bufbuild/protobuf';
import type { NetworkRbac } from '../model/network-rbac.js';
import { packAny } from '../proto/any.js';
import { listener, networkRbac } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';
import { decodeRules, encodeRules } from './rbac.js';

const NAME = 'envoy.filters.network.rbac';

// Match trees are refused: nobody has given them inputs of connections alone.
const filterFields = onlyFields(() => networkRbac.RBACSchema, {
  enforced: ['rules', 'shadow_rules', 'shadow_rules_stat_prefix', 'stat_prefix'],
  // What decides is the same during a whole connection, so that one decision is as good as many.
  ignored: ['enforcement_type'],
});

/** Who may connect. */
export function decodeNetworkRbac(message: networkRbac.RBAC, path: Path): NetworkRbac {
  filterFields(message, path);
  const { rules, shadowRules, statPrefix } = message;
  if (statPrefix === '') refuse(at(path, 'stat_prefix'), 'must not be empty');
  return {
    statPrefix,
    rules: rules && decodeRules(rules, at(path, 'rules')),
    shadowRules: shadowRules && decodeRules(shadowRules, at(path, 'shadow_rules')),
    shadowRulesStatPrefix: message.shadowRulesStatPrefix,
  };
}

/** The same as a network filter. */
export function encodeNetworkRbac(guard: NetworkRbac): listener.Filter {
  const { statPrefix, shadowRulesStatPrefix, rules, shadowRules } = guard;
  const message = create(networkRbac.RBACSchema, { statPrefix, shadowRulesStatPrefix });
  if (rules !== undefined) message.rules = encodeRules(rules);
  if (shadowRules !== undefined) message.shadowRules = encodeRules(shadowRules);
  return create(listener.FilterSchema, {
    name: NAME,
    configType: { case: 'typedConfig', value: packAny(networkRbac.RBACSchema, message) },
  });
}
