import { formatAddress } from '../model/address.js';
import type { ClusterLoadAssignment, Endpoint, Locality } from '../model/endpoint.js';
import { isEqual } from '../runtime/equal.js';
import { Host, type OpenTransport } from './host.js';

/** The hosts of one locality in one priority. */
interface Group {
  readonly locality: Locality;
  /** 0 = none was given. */
  readonly weight: number;
  readonly hosts: readonly Host[];
}

/** Who belongs to a cluster, whatever their health. */
export interface Membership {
  /** By `address:port`. */
  readonly hosts: ReadonlyMap<string, Host>;
  /** Index = priority; a priority that nobody uses is empty. */
  readonly priorities: readonly (readonly Group[])[];
  readonly overprovisioningFactor: number;
  /** Whether weights of hosts, not their number, decide what a priority can take. */
  readonly weightedPriorityHealth: boolean;
}

export const NO_MEMBERS: Membership = {
  hosts: new Map(),
  priorities: [],
  overprovisioningFactor: 140,
  weightedPriorityHealth: false,
};

/** The membership of hosts whose assignment is not at hand: by priority, without locality weights. */
export function membershipOf(hosts: ReadonlyMap<string, Host>): Membership {
  const priorities: Group[][] = [];
  for (const host of hosts.values()) {
    while (priorities.length <= host.priority) priorities.push([]);
    priorities[host.priority]?.push({ locality: host.locality, weight: 0, hosts: [host] });
  }
  return { ...NO_MEMBERS, hosts, priorities };
}

/** Hosts by what may be done with them now. */
export interface Eligibility {
  readonly hosts: readonly Host[];
  readonly healthy: readonly Host[];
  readonly degraded: readonly Host[];
  /** Number of hosts that do not count in totals. */
  readonly excluded: number;
}

export interface LocalityHosts extends Eligibility {
  readonly locality: Locality;
  readonly weight: number;
}

/** One priority level of a cluster. */
export interface HostSet extends Eligibility {
  readonly localities: readonly LocalityHosts[];
  readonly overprovisioningFactor: number;
  readonly weightedPriorityHealth: boolean;
  /** Envoy: subsets may know nothing of the weights of localities, which is not the same as weights of 0. */
  readonly isWeightless?: true | undefined;
}

/**
 * Applies an assignment: hosts are the same objects as before when their address and what chooses their transport are
 * unchanged; the rest is made new. Of equal addresses the first counts.
 */
export function reconcileHosts(
  known: ReadonlyMap<string, Host>,
  assignment: ClusterLoadAssignment | undefined,
  open: OpenTransport,
): { readonly membership: Membership; readonly removed: readonly Host[] } {
  if (assignment === undefined) return { membership: NO_MEMBERS, removed: [...known.values()] };
  const hosts = new Map<string, Host>();
  const priorities: Group[][] = [];
  const unchanged = followUnchanged(known);
  for (const { locality, priority, weight, endpoints } of assignment.localities) {
    while (priorities.length <= priority) priorities.push([]);
    const group: Host[] = [];
    for (const endpoint of endpoints) {
      const same = unchanged(endpoint);
      const address = same?.address ?? formatAddress(endpoint.address);
      if (hosts.has(address)) continue;
      const place = { endpoint, locality, priority };
      const old = same ?? known.get(address);
      const host = old !== undefined && isReusable(old, endpoint) ? old : new Host(place, open, address);
      host.move(place);
      hosts.set(address, host);
      group.push(host);
    }
    priorities[priority]?.push({ locality, weight: weight ?? 0, hosts: group });
  }
  const removed = [...known.values()].filter((host) => hosts.get(host.address) !== host);
  const { overprovisioningFactor, weightedPriorityHealth } = assignment;
  return { membership: { hosts, priorities, overprovisioningFactor, weightedPriorityHealth }, removed };
}

/** Finds the host of an endpoint that is the same object as before, where it is at its place or one further on. */
function followUnchanged(known: ReadonlyMap<string, Host>): (endpoint: Endpoint) => Host | undefined {
  const list = [...known.values()];
  let next = 0;
  return (endpoint) => {
    for (let at = next; at <= next + 1; at++) {
      const host = list[at];
      if (host?.endpoint !== endpoint) continue;
      next = at + 1;
      return host;
    }
    return undefined;
  };
}

function isReusable(host: Host, endpoint: Endpoint): boolean {
  if (host.isRetired) return false;
  if (!isEqual(host.endpoint.transportSocketMatch, endpoint.transportSocketMatch)) return false;
  if (!isEqual(host.endpoint.additionalAddresses, endpoint.additionalAddresses)) return false;
  return host.check === undefined || isCheckedAlike(host.endpoint, endpoint);
}

/** Envoy: a host that is checked at another address is another host. */
function isCheckedAlike({ healthCheck: a }: Endpoint, { healthCheck: b }: Endpoint): boolean {
  return (a?.port ?? 0) === (b?.port ?? 0) && isEqual(a?.address, b?.address);
}

/** Sorts the members by their present health. */
export function partition(membership: Membership): HostSet[] {
  const { priorities, overprovisioningFactor, weightedPriorityHealth } = membership;
  return priorities.map((groups) => {
    const localities = groups.map(({ hosts, ...group }) => ({ ...group, ...eligibility(hosts) }));
    return { ...union(localities), localities, overprovisioningFactor, weightedPriorityHealth };
  });
}

/** Sorts hosts by their present health. */
export function eligibility(hosts: readonly Host[]): Eligibility {
  const healthy: Host[] = [];
  const degraded: Host[] = [];
  let excluded = 0;
  for (const host of hosts) {
    const { health } = host;
    if (health === 'healthy') healthy.push(host);
    else if (health === 'degraded') degraded.push(host);
    if (host.isExcluded) excluded++;
  }
  // Mostly all are healthy: then one list will do.
  return { hosts, healthy: healthy.length === hosts.length ? hosts : healthy, degraded, excluded };
}

function union(parts: readonly Eligibility[]): Eligibility {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) {
    const { hosts, healthy, degraded, excluded } = first;
    return { hosts, healthy, degraded, excluded };
  }
  return {
    hosts: parts.flatMap(({ hosts }) => hosts),
    healthy: parts.flatMap(({ healthy }) => healthy),
    degraded: parts.flatMap(({ degraded }) => degraded),
    excluded: parts.reduce((sum, { excluded }) => sum + excluded, 0),
  };
}
