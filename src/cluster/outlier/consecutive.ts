import type { OutlierDetection } from '../../model/cluster.js';
import type { OutlierState } from '../host.js';

/** Envoy's names of the detectors. */
export type DetectorType = 'Consecutive5xx' | 'ConsecutiveGatewayFailure' | 'ConsecutiveLocalOriginFailure';

/** The counter of each detector, which is also the name of its configuration: a new detector is a line here. */
export const COUNTERS = {
  Consecutive5xx: 'consecutive5xx',
  ConsecutiveGatewayFailure: 'consecutiveGatewayFailure',
  ConsecutiveLocalOriginFailure: 'consecutiveLocalOriginFailure',
} as const satisfies Readonly<Record<DetectorType, keyof OutlierState & keyof OutlierDetection>>;

/** Counts one more failure; true when the counter has just become equal to the threshold. */
export function countFailure(state: OutlierState, type: DetectorType, config: OutlierDetection): boolean {
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
