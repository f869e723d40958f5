import { create } from '@bufbuild/protobuf';
import { type BreakerThresholds, type CircuitBreakers, DEFAULT_THRESHOLDS } from '../model/cluster.js';
import type { RoutePriority } from '../model/route.js';
import { cluster, type } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';
import { decodePercent } from './percent.js';
import { decodePriority, encodePriority } from './route-action.js';

/** Envoy: a budget without numbers allows 20 % of the active requests, and three always. */
const DEFAULT_BUDGET_PERCENT = 20;
const DEFAULT_MIN_RETRIES = 3;

const breakersFields = onlyFields(() => cluster.CircuitBreakersSchema, { enforced: ['thresholds'] });

const thresholdsFields = onlyFields(() => cluster.CircuitBreakers_ThresholdsSchema, {
  enforced: [
    'priority',
    'max_connections',
    'max_pending_requests',
    'max_requests',
    'max_retries',
    'retry_budget',
  ],
  // Publishes gauges of what is left.
  ignored: ['track_remaining'],
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
  };
}

function decodeThresholds(message: cluster.CircuitBreakers_Thresholds, path: Path): BreakerThresholds {
  const { retryBudget } = message;
  return {
    maxConnections: message.maxConnections ?? DEFAULT_THRESHOLDS.maxConnections,
    maxPendingRequests: message.maxPendingRequests ?? DEFAULT_THRESHOLDS.maxPendingRequests,
    maxRequests: message.maxRequests ?? DEFAULT_THRESHOLDS.maxRequests,
    maxRetries: message.maxRetries ?? DEFAULT_THRESHOLDS.maxRetries,
    retryBudget: retryBudget && decodeBudget(retryBudget, at(path, 'retry_budget')),
  };
}

function decodeBudget(
  budget: cluster.CircuitBreakers_Thresholds_RetryBudget,
  path: Path,
): BreakerThresholds['retryBudget'] {
  return {
    budgetPercent: decodePercent(budget.budgetPercent, DEFAULT_BUDGET_PERCENT, at(path, 'budget_percent')),
    minRetryConcurrency: budget.minRetryConcurrency ?? DEFAULT_MIN_RETRIES,
  };
}

/** The thresholds of both priorities as a message, written in full. */
export function encodeCircuitBreakers(breakers: CircuitBreakers): cluster.CircuitBreakers {
  return create(cluster.CircuitBreakersSchema, {
    thresholds: [encodeThresholds('default', breakers.default), encodeThresholds('high', breakers.high)],
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
  });
  if (retryBudget !== undefined) {
    message.retryBudget = create(cluster.CircuitBreakers_Thresholds_RetryBudgetSchema, {
      budgetPercent: create(type.PercentSchema, { value: retryBudget.budgetPercent }),
      minRetryConcurrency: retryBudget.minRetryConcurrency,
    });
  }
  return message;
}
