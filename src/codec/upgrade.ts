import { create, type Message } from '@bufbuild/protobuf';
import type { UpgradeRule } from '../model/upgrade.js';
import { httpConnectionManager as hcm, route } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

const listenerFields = onlyFields(() => hcm.HttpConnectionManager_UpgradeConfigSchema, {
  enforced: ['upgrade_type', 'enabled'],
});

const routeFields = onlyFields(() => route.RouteAction_UpgradeConfigSchema, {
  enforced: ['upgrade_type', 'enabled'],
});

/** What a listener or a route says of an upgrade. */
interface UpgradeConfig extends Message {
  readonly upgradeType: string;
  readonly enabled?: boolean | undefined;
}

/** The upgrades of a connection manager; undefined when it lists none. */
export function decodeListenerUpgrades(
  messages: readonly hcm.HttpConnectionManager_UpgradeConfig[],
  path: Path,
): readonly UpgradeRule[] | undefined {
  for (const [index, message] of messages.entries())
    listenerFields(message, at(path, 'upgrade_configs', index));
  return decodeRules(messages, path);
}

/** The upgrades of a route; undefined when it lists none. */
export function decodeRouteUpgrades(
  messages: readonly route.RouteAction_UpgradeConfig[],
  path: Path,
): readonly UpgradeRule[] | undefined {
  for (const [index, message] of messages.entries()) routeFields(message, at(path, 'upgrade_configs', index));
  return decodeRules(messages, path);
}

function decodeRules(messages: readonly UpgradeConfig[], path: Path): readonly UpgradeRule[] | undefined {
  if (messages.length === 0) return undefined;
  const seen = new Set<string>();
  return messages.map(({ upgradeType: type, enabled = true }, index) => {
    const typePath = at(at(path, 'upgrade_configs', index), 'upgrade_type');
    if (type === '') refuse(typePath, 'must not be empty');
    // Envoy refuses a second entry for one protocol.
    if (seen.has(type.toLowerCase())) refuse(typePath, `${JSON.stringify(type)} is listed twice`);
    seen.add(type.toLowerCase());
    return { type, enabled };
  });
}

/** The upgrades of a connection manager as messages. */
export function encodeListenerUpgrades(
  rules: readonly UpgradeRule[] | undefined,
): hcm.HttpConnectionManager_UpgradeConfig[] {
  return (rules ?? []).map(({ type, enabled }) =>
    create(hcm.HttpConnectionManager_UpgradeConfigSchema, {
      upgradeType: type,
      ...(enabled ? {} : { enabled }),
    }),
  );
}

/** The upgrades of a route as messages. */
export function encodeRouteUpgrades(
  rules: readonly UpgradeRule[] | undefined,
): route.RouteAction_UpgradeConfig[] {
  return (rules ?? []).map(({ type, enabled }) =>
    create(route.RouteAction_UpgradeConfigSchema, { upgradeType: type, ...(enabled ? {} : { enabled }) }),
  );
}
