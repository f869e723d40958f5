import type { Host } from '../host.js';
import type { Membership } from '../host-set.js';

/**
 * Envoy: a host that discovery dropped stays for as long as it passes its checks, so that a control plane gone wrong
 * takes nobody away who works. Gives the membership with those that stay, and those that really leave.
 */
export function keepPassing(
  membership: Membership,
  removed: readonly Host[],
): { readonly membership: Membership; readonly removed: readonly Host[] } {
  for (const { check } of membership.hosts.values()) if (check !== undefined) check.pendingRemoval = false;
  const kept = removed.filter((host) => stays(host) && !membership.hosts.has(host.address));
  if (kept.length === 0) return { membership, removed };
  for (const { check } of kept) if (check !== undefined) check.pendingRemoval = true;
  return { membership: withHosts(membership, kept), removed: removed.filter((host) => !kept.includes(host)) };
}

function stays({ check, endpoint }: Host): boolean {
  return (
    check?.failed === false &&
    (endpoint.health === 'unknown' || endpoint.health === 'healthy' || endpoint.health === 'degraded')
  );
}

/** Without a host that is only there because it passed its checks, and does no more. */
export function withoutHost(membership: Membership, gone: Host): Membership {
  const hosts = new Map(membership.hosts);
  hosts.delete(gone.address);
  const priorities = membership.priorities.map((groups) =>
    groups.map((group) => ({ ...group, hosts: group.hosts.filter((host) => host !== gone) })),
  );
  return { ...membership, hosts, priorities };
}

/** Each in the group of its locality; a locality that is gone as a whole has no weight any more. */
function withHosts(membership: Membership, kept: readonly Host[]): Membership {
  const hosts = new Map(membership.hosts);
  const priorities = membership.priorities.map((groups) =>
    groups.map((group) => ({ ...group, hosts: [...group.hosts] })),
  );
  for (const host of kept) {
    hosts.set(host.address, host);
    while (priorities.length <= host.priority) priorities.push([]);
    const groups = priorities[host.priority] ?? [];
    const group = groups.find(({ hosts: [first] }) => first !== undefined && isSameLocality(first, host));
    if (group === undefined) groups.push({ locality: host.locality, weight: 0, hosts: [host] });
    else group.hosts.push(host);
  }
  return { ...membership, hosts, priorities };
}

function isSameLocality({ locality: a }: Host, { locality: b }: Host): boolean {
  return a.region === b.region && a.zone === b.zone && a.subZone === b.subZone;
}
