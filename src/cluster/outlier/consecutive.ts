import type { OutlierDetection } from '../../model/cluster.js';
import type { OutlierState } from './state.js';
import type { DetectorType } from './stats.js';

/** The detectors that count failures in a row. */
export type ConsecutiveType = Extract<DetectorType, `Consecutive${string}`>;

/** The counter of each such detector, which is also the name of its configuration. */
export const COUNTERS = {
  Consecutive5xx: 'consecutive5xx',
  ConsecutiveGatewayFailure: 'consecutiveGatewayFailure',
  ConsecutiveLocalOriginFailure: 'consecutiveLocalOriginFailure',
} as const satisfies Readonly<Record<ConsecutiveType, keyof OutlierState & keyof OutlierDetection>>;

/** Counts one more failure; true when the counter has just become equal to the threshold. */
export function countFailure(state: OutlierState, type: ConsecutiveType, config: OutlierDetection): boolean {
  const counter = COUNTERS[type];
  state[counter]++;
  return state[counter] === config[counter].threshold;
}

/** Starts all counters anew. */
export function resetCounters(state: OutlierState): void {
  state.consecutive5xx = 0;
  state.consecutiveGatewayFailure = 0;
  state.consecutiveLocalOriginFailure = 0;
}
