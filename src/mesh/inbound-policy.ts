import { randomUUID } from 'node:crypto';
import { buildFilters } from '../filters/builtin.js';
import { NO_CUSTOM_FILTERS } from '../filters/custom-filters.js';
import type { CustomFilters, FilterTools, LocalNode } from '../filters/filter.js';
import { createFilterMemory, type FilterMemory } from '../filters/filter-memory.js';
import { processRequests } from '../filters/request-processing.js';
import { NO_RATE_LIMITS, rateLimitsAt } from '../filters/route-rate-limits.js';
import type { AccessLog } from '../model/access-log.js';
import type { HttpConnectionManager, InboundListener } from '../model/listener.js';
import { compileHeaderMatchers } from '../routing/match.js';
import { routeEffects } from '../routing/route-effects.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import type { ExchangeLogger } from '../service/exchange-logger.js';
import type { Filter, Service } from '../service/service.js';
import { auditLines } from './audit-lines.js';
import { type InboundPolicy, inboundPolicy } from './inbound.js';
import type { TracedPlace } from './tracing.js';

/** What the filters of a server are built with. */
export interface InboundTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly node: LocalNode;
  /** How many hosts the cluster has that this process belongs to; undefined = it is not known. */
  readonly localMembers?: (() => number) | undefined;
  /** One attempt at a cluster, for filters that ask a service. */
  readonly upstream: (clusterName: string) => Service | undefined;
  /** The filters that the application defined; by default none. */
  readonly custom?: CustomFilters | undefined;
  /** What filters keep while policies come and go; by default nothing outlives a policy. */
  readonly filterMemory?: FilterMemory | undefined;
  /** The logger of a chain's access logs; undefined when it has none. */
  readonly accessLog?: ((logs: readonly AccessLog[] | undefined) => ExchangeLogger | undefined) | undefined;
  /** The filter that traces the requests of a route; by default they are not traced. */
  readonly trace?: ((place: TracedPlace) => Filter | undefined) | undefined;
  /** Gets a line for each request that a policy wants audited; by default nobody does. */
  readonly logger?: Logger | undefined;
}

/**
 * The policy of an inbound listener with the built-in filters. Without a listener only mTLS is let in: a workload
 * that has not heard its policy yet must not be more open than it.
 */
export function inboundPolicyOf(listener: InboundListener | undefined, tools: InboundTools): InboundPolicy {
  const { clock, random, node, upstream, localMembers } = tools;
  const filterTools: Omit<FilterTools, 'rateLimits'> = {
    clock,
    random,
    headerPredicate: compileHeaderMatchers,
    clusterName: undefined,
    direction: 'inbound',
    audited: tools.logger && auditLines(tools.logger),
    node,
    localMembers,
    upstream,
    memory: tools.filterMemory ?? createFilterMemory(),
    custom: tools.custom ?? NO_CUSTOM_FILTERS,
  };
  return inboundPolicy(listener, {
    buildFilters: ({ filters }, overrides, { route, virtualHost, turnouts }) =>
      buildFilters(filters, overrides, {
        ...filterTools,
        rateLimits: rateLimitsAt(route, virtualHost),
        turnouts,
      }),
    process: (http) => processing(http, node),
    accessLog: tools.accessLog,
    trace: tools.trace,
    effects: (place) => routeEffects(place, clock),
    unconfigured: 'strict',
    // What code adds holds without a listener, too.
    ownFilters: () => buildFilters([], [], { ...filterTools, rateLimits: NO_RATE_LIMITS }),
  });
}

function processing(
  { processing: rules, routes }: HttpConnectionManager,
  node: LocalNode,
): Filter | undefined {
  if (rules === undefined) return undefined;
  const internalOnlyHeaders = routes.kind === 'inline' ? (routes.config.internalOnlyHeaders ?? []) : [];
  return processRequests(rules, { node, internalOnlyHeaders, uuid: randomUUID });
}
