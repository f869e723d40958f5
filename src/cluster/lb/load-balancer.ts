import type { MetadataStruct } from '../../model/metadata.js';
import type { RoutePriority } from '../../model/route.js';
import type { Request } from '../../service/service.js';
import type { Host } from '../host.js';

/** What is known about the attempt that a host is picked for. */
export interface PickContext {
  readonly priority: RoutePriority;
  /** Hosts that were tried already. */
  readonly avoid: readonly Host[] | undefined;
  /** How often another host is asked for when an avoided one comes up, before it is taken anyway. */
  readonly selectionAttempts: number;
  /** The request; undefined outside a request, e.g. in a health check. */
  readonly request?: Request | undefined;
  /** The route's compiled hash policy; undefined when it has none. */
  readonly hash?: ((request: Request) => bigint | undefined) | undefined;
  /** What the route asks of a host's `envoy.lb` metadata (subset load balancing). */
  readonly metadataMatch?: MetadataStruct | undefined;
}

/** Chooses a host, synchronously; undefined when there is none. */
export type Picker = (context: PickContext) => Host | undefined;

/**
 * Makes the picker of a fixed list of hosts. It is called again on each change of the list; `source` names the list
 * (priority, health, locality), so that a policy may carry its place over.
 */
export type LoadBalancer = (hosts: readonly Host[], source: string) => Picker;

/** Whether all hosts have the same weight, as then no schedule is needed. */
export function haveEqualWeights(hosts: readonly Host[]): boolean {
  const weight = hosts[0]?.weight;
  return hosts.every((host) => host.weight === weight);
}
