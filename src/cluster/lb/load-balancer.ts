import type { MetadataStruct } from '../../model/metadata.js';
import type { RoutePriority } from '../../model/route.js';
import type { Request } from '../../service/service.js';
import type { Host } from '../host.js';
import type { HostSet } from '../host-set.js';
import type { PriorityLoad, PriorityShares } from '../priority.js';

/** What is known about the attempt that a host is picked for. */
export interface PickContext {
  readonly priority: RoutePriority;
  /** Hosts that were tried already. */
  readonly avoid: readonly Host[] | undefined;
  /** Hosts that the policy does not want besides those. */
  readonly rejects?: ((host: Host) => boolean) | undefined;
  /** How often another host is asked for when an avoided one comes up, before it is taken anyway. */
  readonly selectionAttempts: number;
  /** The request; undefined outside a request, e.g. in a health check. */
  readonly request?: Request | undefined;
  /** The route's compiled hash policy; undefined when it has none. */
  readonly hash?: ((request: Request) => bigint | undefined) | undefined;
  /** What the route asks of a host's `envoy.lb` metadata (subset load balancing). */
  readonly metadataMatch?: MetadataStruct | undefined;
  /** Replaces how requests are spread over priorities, for this attempt (Envoy `retry_priority`). */
  readonly priorityLoad?: ((load: PriorityLoad) => PriorityShares) | undefined;
}

/**
 * Chooses a host, synchronously; undefined when there is none. `attempt` counts how often it was asked for this choice
 * before: what a hash decides moves on with it.
 */
export type Picker = (context: PickContext, attempt: number) => Host | undefined;

/** A policy at work in one cluster, or in a part of its hosts. */
export interface Balancer {
  /** The picker of a new state of the hosts; index = priority. It replaces the one before. */
  picker(sets: readonly HostSet[]): Picker;
  /** It leaves the choice to other policies, and so what retries avoid, too. */
  readonly delegates?: true;
  /** No connection to a host could be made. */
  unreachable?(host: Host): void;
  /** State of its subsets; undefined = it makes none. */
  subsets?(): SubsetStats | undefined;
  /** Stops what it does between requests. */
  close?(): void;
}

/** Envoy's `lb_subsets_*` of one cluster. */
export interface SubsetStats {
  /** Subsets that have hosts now. */
  readonly active: number;
  readonly created: number;
  readonly removed: number;
  /** Picks from the subset that was asked for, from that of the fallback policy, and from all hosts in its place. */
  readonly selected: number;
  readonly fallback: number;
  readonly fallbackPanic: number;
  /** Hosts that no subset of a single host took. */
  readonly singleHostDuplicates: number;
}

/** Chooses from a fixed list; undefined when it is empty. */
export type ListPicker = () => Host | undefined;

/**
 * A policy that looks at one list at a time. It is called again on each change of the list; `source` names the list
 * (priority, health, locality), so that a policy may carry its place over.
 */
export type ListPolicy = (hosts: readonly Host[], source: string) => ListPicker;

/** Whether all hosts have the same weight, as then no schedule is needed. */
export function haveEqualWeights(hosts: readonly Host[]): boolean {
  const weight = hosts[0]?.weight;
  for (const host of hosts) if (host.weight !== weight) return false;
  return true;
}
