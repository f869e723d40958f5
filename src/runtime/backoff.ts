import { type Random, remainderOf } from './random.js';

export interface BackoffOptions {
  /** First step in milliseconds. */
  readonly baseMs: number;
  /** Largest step in milliseconds. */
  readonly maxMs: number;
  /** Growth per step, default 2. */
  readonly factor?: number;
  /** Share of the step that is random: 1 = full jitter, 0.2 = plus or minus 20 %. Default 1. */
  readonly jitter?: number;
}

/** Growing waits between attempts; `reset` after a success. */
export interface Backoff {
  /** The next wait in milliseconds. */
  next(): number;
  reset(): void;
}

/**
 * Exponential back-off. With jitter below 1 it is gRPC's connection back-off (wait = step * (1 +- jitter));
 * with full jitter each wait is uniform in [0, step).
 */
export function createBackoff(options: BackoffOptions, random: Random): Backoff {
  const { baseMs, maxMs, factor = 2, jitter = 1 } = options;
  let step = baseMs;
  return {
    next() {
      const current = step;
      step = Math.min(maxMs, step * factor);
      return jitter >= 1 ? random() * current : current * (1 + (random() * 2 - 1) * jitter);
    },
    reset() {
      step = baseMs;
    },
  };
}

/**
 * Envoy's retry back-off (`JitteredExponentialBackOffStrategy`): the wait is `random % step`; the step starts at
 * base, doubles while it is below half of the maximum, and is the maximum after that.
 */
export function createRetryBackoff(baseMs: number, maxMs: number, random: Random): Backoff {
  const base = Math.max(1, baseMs);
  let step = base;
  return {
    next() {
      const wait = remainderOf(random(), Math.max(1, Math.floor(step)));
      step = step < maxMs / 2 ? step * 2 : maxMs;
      return wait;
    },
    reset() {
      step = base;
    },
  };
}

/**
 * Envoy's back-off for a wait that the upstream asked for (`JitteredLowerBoundBackOffStrategy`): at least that long, and
 * up to half as long again.
 */
export function lowerBoundWait(minMs: number, random: Random): number {
  return minMs + remainderOf(random(), Math.max(1, Math.floor(minMs / 2)));
}
