import type { HealthCheck } from '../../model/health-check.js';
import { type Random, remainderOf } from '../../runtime/random.js';
import type { Transition } from './state.js';

/** The result that the next wait depends on. */
export interface LastCheck {
  readonly passed: boolean;
  readonly transition: Transition;
  /** Whether the cluster ever sent a request. */
  readonly hasTraffic: boolean;
}

/** Envoy: how long to wait until the next check. The base goes by the result of the last one, not by the host's state. */
export function nextInterval(check: HealthCheck, last: LastCheck, random: Random): number {
  return withJitter(baseInterval(check, last), check.intervalJitterMs, check, random);
}

/** Envoy: how long the first check of a host waits. */
export function initialDelay(check: HealthCheck, random: Random): number {
  return check.initialJitterMs === 0 ? 0 : withJitter(0, check.initialJitterMs, check, random);
}

function baseInterval(check: HealthCheck, { passed, transition, hasTraffic }: LastCheck): number {
  const isPending = transition === 'pending';
  if (!hasTraffic) return passed && !isPending ? check.noTrafficHealthyIntervalMs : check.noTrafficIntervalMs;
  if (passed) return isPending ? check.healthyEdgeIntervalMs : check.intervalMs;
  return isPending ? check.unhealthyEdgeIntervalMs : check.unhealthyIntervalMs;
}

function withJitter(
  baseMs: number,
  jitterMs: number,
  { intervalJitterPercent }: HealthCheck,
  random: Random,
): number {
  const percentMs = Math.floor((intervalJitterPercent * baseMs) / 100);
  let delayMs = baseMs;
  if (percentMs > 0) delayMs += remainderOf(random(), percentMs);
  if (jitterMs >= 1) delayMs += remainderOf(random(), Math.floor(jitterMs));
  // Envoy: never 0, or checks would follow each other without end.
  return Math.max(1, delayMs);
}
