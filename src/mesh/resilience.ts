import type { ClusterRuntime } from '../cluster/cluster.js';
import type { Host } from '../cluster/host.js';
import { DEFAULT_REPLAY_LIMIT_BYTES, retry } from '../filters/retry.js';
import { hasGrpcConditions } from '../filters/retry-conditions.js';
import { streamLimits } from '../filters/stream-limits.js';
import { timeLimits } from '../filters/time-limits.js';
import type { RouterConfig } from '../model/filter-config.js';
import type { HttpConnectionManager } from '../model/listener.js';
import type { HedgePolicy, RetryPolicy } from '../model/retry.js';
import type { RouteAction } from '../model/route.js';
import type { RoutePlace } from '../routing/route-effects.js';
import { autoHostOf } from '../routing/route-effects.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import type { Filter } from '../service/service.js';
import { compileRejects } from './retry-hosts.js';
import type { AttemptOptions } from './upstream.js';

/**
 * What is retried when no policy says anything: only what the peer can't have processed. Route or virtual host
 * policies replace it whole (Envoy: no merging).
 */
const SAFE_RETRY: RetryPolicy = {
  retryOn: ['connect-failure', 'refused-stream', 'reset-before-request'],
  numRetries: 2,
  perTryTimeoutMs: undefined,
  retriableStatusCodes: [],
  baseIntervalMs: 25,
  maxIntervalMs: 250,
  avoidPreviousHosts: true,
  hostSelectionAttempts: 3,
};

export interface ResilienceTools {
  readonly clock: Clock;
  /** Keeps the time limits on peers: what this process itself loses does not count. By default `clock`. */
  readonly timeouts?: Clock | undefined;
  readonly random: Random;
  /** Whether the server that a resource comes from may rewrite the authority of gRPC calls; by default each may. */
  readonly isTrusted?: ((resource: string) => boolean) | undefined;
}

/** How a route's requests deal with slowness and failure. */
export interface Resilience {
  /** The connection manager's time limits, which cover the HTTP filters; undefined when there are none. */
  readonly stream: Filter | undefined;
  /** The router's time limits: over all attempts and their waits, and noted for each attempt. */
  timeLimits(): Filter;
  /** Each attempt below chooses its host afresh; with hedging several run at once. */
  retry(cluster: ClusterRuntime): Filter;
  readonly attempt: AttemptOptions;
}

/** The resilience of one route, from it, its virtual host, and the router. */
export function resilienceOf(
  place: RoutePlace,
  action: RouteAction,
  http: HttpConnectionManager,
  tools: ResilienceTools,
): Resilience {
  const { route, virtualHost } = place;
  const policy = action.retryPolicy ?? virtualHost.retryPolicy ?? SAFE_RETRY;
  const hedge = action.hedge ?? virtualHost.hedge;
  return {
    stream: streamOf(action, http, tools),
    timeLimits: () => timeLimits({ action, policy, hedge, router: routerOf(http) }, tools),
    retry: (cluster) =>
      retry(policy, {
        ...retryTools(cluster, action, hedge, tools),
        isDefault: policy === SAFE_RETRY,
        replayLimitBytes:
          route.bufferLimitBytes ?? virtualHost.bufferLimitBytes ?? DEFAULT_REPLAY_LIMIT_BYTES,
      }),
    attempt: {
      priority: action.priority,
      avoidPreviousHosts: policy.avoidPreviousHosts,
      hostSelectionAttempts: policy.hostSelectionAttempts,
      rejects: compileRejects(policy),
      previousPriorities: policy.previousPriorities,
      sendAttemptCount: virtualHost.includeRequestAttemptCount,
      countsGrpcAttempts: hasGrpcConditions(policy),
      sendIsTimeoutRetry: virtualHost.includeIsTimeoutRetry,
      autoHost: autoHostOf(place),
      renamesCalls: tools.isTrusted && (() => tools.isTrusted?.(place.origin ?? place.table.name) === true),
    },
  };
}

function streamOf(
  action: RouteAction,
  { streamIdleTimeoutMs, maxStreamDurationMs }: HttpConnectionManager,
  tools: ResilienceTools,
): Filter | undefined {
  const { maxStreamDurationMs: routeDurationMs, grpcTimeoutHeader } = action;
  const limits = {
    idleMs: action.idleTimeoutMs ?? streamIdleTimeoutMs,
    routeDurationMs,
    managerDurationMs: maxStreamDurationMs,
    grpcTimeout:
      grpcTimeoutHeader ??
      (routeDurationMs === undefined ? undefined : { maxMs: undefined, offsetMs: undefined }),
  };
  return streamLimits(limits, tools.clock);
}

function retryTools(
  cluster: ClusterRuntime,
  { priority }: RouteAction,
  hedge: HedgePolicy | undefined,
  { clock, timeouts, random }: ResilienceTools,
) {
  return {
    clock,
    timeouts,
    random,
    permits: cluster.breakers[priority].retries,
    hedge,
    limitsAttempts: (cluster.config.maxStreamDurationMs ?? 0) > 0,
    reportLate: (upstream: object) => {
      // Whatever an attempt notes as its upstream is a host of its cluster.
      cluster.reportTimeout(upstream as Host);
    },
  };
}

/** The router's own configuration: it is the last of the filters. */
export function routerOf({ filters }: HttpConnectionManager): RouterConfig {
  const router = filters.at(-1)?.config;
  return router?.kind === 'router' ? router : { kind: 'router' };
}
