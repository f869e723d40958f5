import type { CustomFilterConfig, CustomFilterTypes, FilterDirection } from '../model/custom-filter.js';
import type { DnsCacheConfig } from '../model/dns-cache.js';
import type { FilterConfig, HttpFilter } from '../model/filter-config.js';
import type { HeaderMatcher } from '../model/matcher.js';
import type { Abort } from '../runtime/abort.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import type { Exchange } from '../service/context.js';
import type { Filter, RequestHead, Service } from '../service/service.js';
import type { FilterMemory } from './filter-memory.js';
import type { RouteRateLimits } from './route-rate-limits.js';

/** What a filter may use besides its own configuration. */
export interface FilterTools {
  readonly clock: Clock;
  readonly random: Random;
  /** Compiles header matchers once, when the stack is built. */
  readonly headerPredicate: (matchers: readonly HeaderMatcher[]) => (head: RequestHead) => boolean;
  /** The cluster that the stack sends to, when it is known. */
  readonly clusterName: string | undefined;
  /** What filters keep while stacks come and go. */
  readonly memory: FilterMemory;
  /** The filters that the application defined. */
  readonly custom: CustomFilters;
  /** The rate limits of the stack's route and its virtual host. */
  readonly rateLimits: RouteRateLimits;
  readonly direction: FilterDirection;
  /** Hears of what a policy wants audited; undefined = nobody does. */
  readonly audited?: Audited | undefined;
  /** What stands below filters that may have the route chosen anew; undefined = there are none. */
  readonly turnouts?: { below(index: number): Filter } | undefined;
  /** How many hosts the cluster has that this process belongs to; undefined = it is not known. */
  readonly localMembers?: (() => number) | undefined;
  /** Who this process is towards the mesh (Envoy `node`). */
  readonly node: LocalNode;
  /**
   * One attempt at a cluster, for filters that ask a service (ext_authz, rate limit, JWKS); undefined when there is no
   * such cluster. Look it up per call: clusters come and go.
   */
  readonly upstream: (clusterName: string) => Service | undefined;
  /** The same as a dynamic forward proxy; undefined when there is no such cluster, or it is of another kind. */
  readonly forwardProxy?: ((clusterName: string) => ForwardProxy | undefined) | undefined;
}

/** Hears that a policy of action AUDIT matched: which one, what was asked for, and in which exchange. */
export type Audited = (policy: string, what: string, context: Exchange) => void;

/** What comes of a name. */
type ForwardedName =
  | { readonly kind: 'resolved'; readonly addresses: readonly string[] }
  | { readonly kind: 'failed'; readonly details: string }
  | { readonly kind: 'full' | 'overflow' };

/** A cluster whose hosts are the names that requests ask for, once they are resolved. */
export interface ForwardProxy {
  readonly cache: DnsCacheConfig;
  /** Rejects when the request is given up. */
  resolve(authority: string, abort: Abort): ForwardedName | Promise<ForwardedName>;
}

/** For filters that read every level: what stands in the list of filters, and all overrides, most specific first. */
export interface OwnConfig {
  readonly base: FilterConfig;
  readonly layers: readonly FilterConfig[];
}

/** Who this process is: Envoy's node id and service cluster. */
export interface LocalNode {
  readonly id: string;
  readonly cluster: string;
}

/** Makes the filter of one configuration; undefined when the configuration does nothing. */
export type FilterFactory<C extends FilterConfig> = (config: C, tools: FilterTools) => Filter | undefined;

/** The filters that the application defined and uses. */
export interface CustomFilters extends CustomFilterTypes {
  /** The clusters that filters used in code ask. */
  readonly clusters: readonly string[];
  /** The filters of a connection manager with those that code adds. */
  arrange(listed: readonly HttpFilter[], direction: FilterDirection): readonly HttpFilter[];
  create(base: CustomFilterConfig, own: OwnConfig, tools: FilterTools): Filter | undefined;
}
