import { create, type Message } from '@bufbuild/protobuf';
import type { UpgradeRule } from '../model/upgrade.js';
import { httpConnectionManager as hcm, route } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

const listenerFields = onlyFields(() => hcm.HttpConnectionManager_UpgradeConfigSchema, {
  enforced: ['upgrade_type', 'enabled'],
});

const routeFields = onlyFields(() => route.RouteAction_UpgradeConfigSchema, {
  enforced: ['upgrade_type', 'enabled', 'connect_config'],
});

const connectFields = onlyFields(() => route.RouteAction_UpgradeConfig_ConnectConfigSchema, { enforced: [] });

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
  for (const [index, message] of messages.entries()) checkRoute(message, at(path, 'upgrade_configs', index));
  const rules = decodeRules(messages, path);
  return rules?.map((rule, index) =>
    messages[index]?.connectConfig === undefined ? rule : { ...rule, terminates: true },
  );
}

function checkRoute(message: route.RouteAction_UpgradeConfig, path: Path): void {
  routeFields(message, path);
  const { connectConfig, upgradeType } = message;
  if (connectConfig === undefined) return;
  const connectPath = at(path, 'connect_config');
  // Envoy: what else there is ends nowhere but at the endpoint.
  if (upgradeType.toUpperCase() !== 'CONNECT') refuse(connectPath, 'is for upgrade_type CONNECT only');
  connectFields(connectConfig, connectPath);
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
  return (rules ?? []).map(({ type, enabled, terminates }) => {
    const message = create(route.RouteAction_UpgradeConfigSchema, { upgradeType: type });
    if (!enabled) message.enabled = false;
    if (terminates === true) {
      message.connectConfig = create(route.RouteAction_UpgradeConfig_ConnectConfigSchema);
    }
    return message;
  });
}
