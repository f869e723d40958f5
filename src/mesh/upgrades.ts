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
  const terminates = route?.some(
    ({ type, terminates }) => terminates === true && type.toLowerCase() === 'connect',
  );
  return (request) => {
    const { upgrade } = request.context;
    if (upgrade === undefined) return next(request);
    if (!(rules.get(upgrade) ?? others)) return refuse(request);
    request.context.endsConnect = terminates === true && upgrade === 'connect';
    return next(request);
  };
}

const refuse: Service = async (request) =>
  localReply(request, {
    status: 403,
    body: '',
    details: 'upgrade_failed',
    reason: 'INMESH_UPGRADE_REFUSED',
  });
