import type { UpgradeRule } from '../model/upgrade.js';
import { localReply } from '../service/local-reply.js';
import type { Service } from '../service/service.js';

/**
 * Lets through what may switch its protocol and answers the rest (Envoy: 403, `upgrade_failed`). What the route says goes
 * before what the listener says. A listener that lists nothing leaves upgrades alone: control planes that speak gRPC's
 * dialect of xDS never list any.
 */
export function gateUpgrades(
  listener: readonly UpgradeRule[] | undefined,
  route: readonly UpgradeRule[] | undefined,
  next: Service,
): Service {
  if (listener === undefined && route === undefined) return next;
  const rules = new Map<string, boolean>();
  for (const { type, enabled } of [...(listener ?? []), ...(route ?? [])])
    rules.set(type.toLowerCase(), enabled);
  const others = listener === undefined;
  return (request) => {
    const { upgrade } = request.context;
    return upgrade === undefined || (rules.get(upgrade) ?? others) ? next(request) : refuse(request);
  };
}

const refuse: Service = async (request) =>
  localReply(request, {
    status: 403,
    body: '',
    details: 'upgrade_failed',
    reason: 'INMESH_UPGRADE_REFUSED',
  });
