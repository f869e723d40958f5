import type { BreakerThresholds, CircuitBreakers } from '../model/cluster.js';
import type { RoutePriority } from '../model/route.js';
import type { Clock } from '../runtime/clock.js';
import { retryLimit } from './budget.js';
import { RequestWindow } from './request-window.js';

/** A counted resource with a limit. */
export interface Permits {
  /** Permits in use. */
  readonly active: number;
  /** How many may be in use now. */
  readonly limit: number;
  /** How often none was left. */
  readonly overflows: number;
  /** Takes a permit; false when the limit is reached. */
  tryAcquire(): boolean;
  /** Gives one back. */
  release(): void;
}

/** Envoy's circuit breaker of one cluster and priority. */
export interface Breaker {
  readonly requests: Permits;
  readonly retries: Permits;
}

export type Breakers = Readonly<Record<RoutePriority, Breaker>>;

/** The circuit breakers of a cluster, one per route priority. */
export function createBreakers(config: CircuitBreakers, tools: BreakerTools): Breakers {
  return { default: createBreaker(config.default, tools), high: createBreaker(config.high, tools) };
}

export interface BreakerTools {
  readonly clock: Clock;
  /** Whether one connection carries many requests at once. */
  readonly multiplexes: boolean;
}

/** The circuit breaker of one priority. */
export function createBreaker(thresholds: BreakerThresholds, { clock, multiplexes }: BreakerTools): Breaker {
  const limit = multiplexes ? thresholds.maxRequests : ownConnectionLimit(thresholds);
  const intervalMs = thresholds.retryBudget?.intervalMs ?? 0;
  if (intervalMs === 0) {
    const requests = new CountedPermits(() => limit);
    return { requests, retries: new CountedPermits(() => retryLimit(thresholds, requests.active)) };
  }
  const recent = new RequestWindow(intervalMs, clock);
  return {
    requests: new CountedPermits(() => limit, recent),
    retries: new CountedPermits(() => retryLimit(thresholds, recent.count())),
  };
}

/**
 * Envoy, HTTP/1: a request needs a connection of its own or a place among the pending ones, so no more than
 * connections plus pending run at once, whatever `max_requests` allows.
 */
function ownConnectionLimit({ maxRequests, maxConnections, maxPendingRequests }: BreakerThresholds): number {
  return Math.min(maxRequests, maxConnections + maxPendingRequests);
}

/** A class, as clusters have four of them: closures would take some hundred bytes each. */
class CountedPermits implements Permits {
  active = 0;
  overflows = 0;
  readonly #limit: () => number;
  /** Hears of each permit that is taken. */
  readonly #recent: RequestWindow | undefined;

  constructor(limit: () => number, recent?: RequestWindow) {
    this.#limit = limit;
    this.#recent = recent;
  }

  get limit(): number {
    return this.#limit();
  }

  tryAcquire(): boolean {
    if (this.active >= this.#limit()) {
      this.overflows++;
      return false;
    }
    this.active++;
    this.#recent?.add();
    return true;
  }

  release(): void {
    this.active--;
  }
}
