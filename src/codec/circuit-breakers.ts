import { create } from '@bufbuild/protobuf';
import {
  type BreakerThresholds,
  type CircuitBreakers,
  DEFAULT_THRESHOLDS,
  type RetryBudget,
} from '../model/cluster.js';
import type { RoutePriority } from '../model/route.js';
import { cluster, type } from '../proto/xds.js';
import { decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';
import { decodePercent } from './percent.js';
import { decodePriority, encodePriority } from './route-action.js';

/** Envoy: a budget without numbers allows 20 % of the active requests, and three always. */
const DEFAULT_BUDGET_PERCENT = 20;
const DEFAULT_MIN_RETRIES = 3;

const breakersFields = onlyFields(() => cluster.CircuitBreakersSchema, {
  enforced: ['thresholds', 'per_host_thresholds'],
});

const thresholdsFields = onlyFields(() => cluster.CircuitBreakers_ThresholdsSchema, {
  enforced: [
    'priority',
    'max_connections',
    'max_pending_requests',
    'max_requests',
    'max_retries',
    'retry_budget',
    'track_remaining',
  ],
});

/** Envoy: of a single host only the connections are limited. */
const perHostFields = onlyFields(() => cluster.CircuitBreakers_ThresholdsSchema, {
  enforced: ['priority', 'max_connections'],
});

const budgetFields = onlyFields(() => cluster.CircuitBreakers_Thresholds_RetryBudgetSchema, {
  enforced: ['budget_percent', 'min_retry_concurrency', 'budget_interval'],
});

/** The thresholds of both priorities; a priority without an entry has the defaults. */
export function decodeCircuitBreakers(
  message: cluster.CircuitBreakers | undefined,
  path: Path,
): CircuitBreakers {
  const found = new Map<RoutePriority, BreakerThresholds>();
  if (message !== undefined) breakersFields(message, path);
  message?.thresholds.forEach((thresholds, index) => {
    const entryPath = at(path, 'thresholds', index);
    thresholdsFields(thresholds, entryPath);
    const priority = decodePriority(thresholds.priority, at(entryPath, 'priority'));
    if (found.has(priority)) refuse(at(entryPath, 'priority'), `${priority} has two entries`);
    found.set(priority, decodeThresholds(thresholds, entryPath));
  });
  return {
    default: found.get('default') ?? DEFAULT_THRESHOLDS,
    high: found.get('high') ?? DEFAULT_THRESHOLDS,
    perHost: decodePerHost(message?.perHostThresholds ?? [], path),
  };
}

/** Envoy: the hosts' pools do not know priorities, so the entry of the default one counts. */
function decodePerHost(
  messages: readonly cluster.CircuitBreakers_Thresholds[],
  path: Path,
): CircuitBreakers['perHost'] {
  let limit: number | undefined;
  messages.forEach((message, index) => {
    const entryPath = at(path, 'per_host_thresholds', index);
    perHostFields(message, entryPath);
    const priority = decodePriority(message.priority, at(entryPath, 'priority'));
    if (priority === 'default') limit = message.maxConnections;
  });
  return limit === undefined ? undefined : { maxConnections: limit };
}

function decodeThresholds(message: cluster.CircuitBreakers_Thresholds, path: Path): BreakerThresholds {
  const { retryBudget } = message;
  return {
    maxConnections: message.maxConnections ?? DEFAULT_THRESHOLDS.maxConnections,
    maxPendingRequests: message.maxPendingRequests ?? DEFAULT_THRESHOLDS.maxPendingRequests,
    maxRequests: message.maxRequests ?? DEFAULT_THRESHOLDS.maxRequests,
    maxRetries: message.maxRetries ?? DEFAULT_THRESHOLDS.maxRetries,
    retryBudget: retryBudget && decodeBudget(retryBudget, at(path, 'retry_budget')),
    trackRemaining: message.trackRemaining || undefined,
  };
}

function decodeBudget(budget: cluster.CircuitBreakers_Thresholds_RetryBudget, path: Path): RetryBudget {
  budgetFields(budget, path);
  return {
    budgetPercent: decodePercent(budget.budgetPercent, DEFAULT_BUDGET_PERCENT, at(path, 'budget_percent')),
    minRetryConcurrency: budget.minRetryConcurrency ?? DEFAULT_MIN_RETRIES,
    intervalMs: decodeOptionalDuration(budget.budgetInterval, at(path, 'budget_interval')),
  };
}

/** The thresholds of both priorities as a message, written in full. */
export function encodeCircuitBreakers(breakers: CircuitBreakers): cluster.CircuitBreakers {
  const { perHost } = breakers;
  return create(cluster.CircuitBreakersSchema, {
    thresholds: [encodeThresholds('default', breakers.default), encodeThresholds('high', breakers.high)],
    perHostThresholds:
      perHost === undefined
        ? []
        : [create(cluster.CircuitBreakers_ThresholdsSchema, { maxConnections: perHost.maxConnections })],
  });
}

function encodeThresholds(
  priority: RoutePriority,
  model: BreakerThresholds,
): cluster.CircuitBreakers_Thresholds {
  const { maxConnections, maxPendingRequests, maxRequests, maxRetries, retryBudget } = model;
  const message = create(cluster.CircuitBreakers_ThresholdsSchema, {
    priority: encodePriority(priority),
    maxConnections,
    maxPendingRequests,
    maxRequests,
    maxRetries,
    trackRemaining: model.trackRemaining ?? false,
  });
  if (retryBudget !== undefined) {
    message.retryBudget = create(cluster.CircuitBreakers_Thresholds_RetryBudgetSchema, {
      budgetPercent: create(type.PercentSchema, { value: retryBudget.budgetPercent }),
      minRetryConcurrency: retryBudget.minRetryConcurrency,
    });
    if (retryBudget.intervalMs !== undefined)
      message.retryBudget.budgetInterval = encodeDuration(retryBudget.intervalMs);
  }
  return message;
}
