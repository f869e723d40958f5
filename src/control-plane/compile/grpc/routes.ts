import type { FaultConfig, FilterOverrides } from '../../../model/filter-config.js';
import { NO_OVERRIDES } from '../../../model/filter-config.js';
import type { HashPolicy } from '../../../model/hash-policy.js';
import { ALWAYS } from '../../../model/percent.js';
import type { RetryCondition, RetryPolicy } from '../../../model/retry.js';
import type {
  ClusterSpecifier,
  Route,
  RouteAction,
  RouteConfiguration,
  VirtualHost,
} from '../../../model/route.js';
import { FAULT, NO_FAULT } from '../fault.js';
import { grpcMatches } from './route-matches.js';

/** Istio's name of the cluster that leads nowhere. */
export const BLACK_HOLE = 'BlackHoleCluster';

/** What gRPC can retry on (gRFC A44). */
const GRPC_CONDITIONS: ReadonlySet<RetryCondition> = new Set<RetryCondition>([
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);

/** gRPC's name of a hash that is the same for all calls of a channel (gRFC A42). */
const CHANNEL_ID = 'io.grpc.channel_id';

/** A route table as gRPC clients take it: nothing they would refuse, nothing that they would read in another way. */
export function grpcRoutes({ name, virtualHosts }: RouteConfiguration): RouteConfiguration {
  return { name, virtualHosts: virtualHosts.map(grpcVirtualHost) };
}

function grpcVirtualHost({ name, domains, routes }: VirtualHost): VirtualHost {
  const authorities = domains.filter((domain) => !domain.includes('*'));
  return {
    name,
    domains,
    routes: routes.flatMap((route) => grpcRoute(route, authorities)),
    retryPolicy: undefined,
    filterOverrides: NO_OVERRIDES,
    includeRequestAttemptCount: false,
  };
}

function grpcRoute({ name, match, action, filterOverrides }: Route, authorities: readonly string[]): Route[] {
  const effect = effectOf(action, filterOverrides);
  return grpcMatches(match, authorities).map((one) => ({ name, match: one, ...effect }));
}

/**
 * gRPC clients know forwarding only. Some refuse tables with other actions, others fail the calls (gRFC A28); an answer
 * from here becomes a fault with the status that it stands for in gRPC (A33).
 */
function effectOf(
  action: Route['action'],
  overrides: FilterOverrides,
): Pick<Route, 'action' | 'filterOverrides'> {
  switch (action.kind) {
    case 'forward':
      return { action: grpcAction(action), filterOverrides: faultOnly(overrides) };
    case 'redirect':
    case 'direct-response':
      return { action: TO_NOWHERE, filterOverrides: new Map([[FAULT, answer(action.status)]]) };
    case 'non-forwarding':
      return { action: TO_NOWHERE, filterOverrides: NO_OVERRIDES };
  }
}

const TO_NOWHERE: RouteAction = {
  kind: 'forward',
  cluster: { kind: 'cluster', name: BLACK_HOLE },
  timeoutMs: 0,
  retryPolicy: undefined,
  maxStreamDurationMs: undefined,
  priority: 'default',
};

function answer(code: number): FaultConfig {
  return { ...NO_FAULT, abort: { status: { kind: 'http', code }, percentage: ALWAYS } };
}

/** Filters that a client does not know make it refuse the table (gRFC A39). */
function faultOnly(overrides: FilterOverrides): FilterOverrides {
  const fault = overrides.get(FAULT);
  return fault === undefined ? NO_OVERRIDES : new Map([[FAULT, fault]]);
}

function grpcAction(action: RouteAction): RouteAction {
  const { cluster, retryPolicy, maxStreamDurationMs, hashPolicies } = action;
  return {
    ...TO_NOWHERE,
    cluster: grpcSpecifier(cluster),
    // gRFC A31: the only timeout of a route that gRPC reads.
    maxStreamDurationMs,
    retryPolicy: retryPolicy && grpcRetry(retryPolicy),
    hashPolicies: hashPolicies && grpcHash(hashPolicies),
  };
}

function grpcSpecifier(specifier: ClusterSpecifier): ClusterSpecifier {
  if (specifier.kind !== 'weighted') return specifier;
  const { totalWeight } = specifier;
  // gRFC A28: a sum of 0 is refused.
  if (totalWeight === 0) return TO_NOWHERE.cluster;
  const clusters = specifier.clusters.map(({ name, weight, filterOverrides }) => ({
    name,
    weight,
    filterOverrides: faultOnly(filterOverrides),
  }));
  return { kind: 'weighted', clusters, totalWeight };
}

/** gRFC A44: conditions on the status alone; the rest is not read. */
function grpcRetry(policy: RetryPolicy): RetryPolicy | undefined {
  const retryOn = policy.retryOn.filter((condition) => GRPC_CONDITIONS.has(condition));
  if (retryOn.length === 0) return undefined;
  const { numRetries, baseIntervalMs, maxIntervalMs } = policy;
  return {
    retryOn,
    numRetries,
    baseIntervalMs,
    maxIntervalMs,
    perTryTimeoutMs: undefined,
    retriableStatusCodes: [],
    avoidPreviousHosts: false,
    hostSelectionAttempts: 1,
  };
}

/**
 * gRFC A42: headers and the channel's own number. All calls of a client come from one address, so a hash of that is a hash
 * of the channel.
 */
function grpcHash(policies: readonly HashPolicy[]): readonly HashPolicy[] | undefined {
  const known = policies.flatMap((policy): HashPolicy[] => {
    const { source } = policy;
    if (source.kind === 'source-ip')
      return [{ ...policy, source: { kind: 'filter-state', key: CHANNEL_ID } }];
    return source.kind === 'header' || (source.kind === 'filter-state' && source.key === CHANNEL_ID)
      ? [policy]
      : [];
  });
  return known.length === 0 ? undefined : known;
}

/** The clusters that a table names. */
export function clustersOf({ virtualHosts }: RouteConfiguration): readonly string[] {
  return virtualHosts.flatMap(({ routes }) =>
    routes.flatMap(({ action }) => {
      if (action.kind !== 'forward') return [];
      const { cluster } = action;
      if (cluster.kind === 'cluster') return [cluster.name];
      return cluster.kind === 'weighted' ? cluster.clusters.map(({ name }) => name) : [];
    }),
  );
}
