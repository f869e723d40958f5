/**
 * What active health checks hold of a host (Envoy's health flags of the same names). A host without this state is not
 * checked.
 */
export class CheckState {
  /** `FAILED_ACTIVE_HC`. Envoy: a host under a health checker starts failed. */
  failed = true;
  /** `ACTIVE_HC_TIMEOUT`: what failed it last was a timeout. */
  timedOut = false;
  /** `DEGRADED_ACTIVE_HC`. */
  degraded = false;
  /** `PENDING_ACTIVE_HC`: leaves the totals until it was checked once. */
  pending = false;
  /** `EXCLUDED_VIA_IMMEDIATE_HC_FAIL`: it asked to be left alone, so it leaves the totals, too. */
  excluded = false;
  /** `PENDING_DYNAMIC_REMOVAL`: the control plane dropped it; it stays for as long as it passes. */
  pendingRemoval = false;
  /**
   * Taken over from an earlier configuration: what that one knew holds until the first result, which alone decides, as
   * if the host had started failed.
   */
  provisional = false;
  /** No result came yet. */
  isFirst = true;
  /** Passes and failures in a row, as far as they count. */
  passes = 0;
  failures = 0;
}

/** Why a check failed (Envoy HealthCheckFailureType). `PASSIVE`: an answer to a request said so. */
export type CheckFailure = 'ACTIVE' | 'PASSIVE' | 'NETWORK' | 'NETWORK_TIMEOUT';

/** What a result did to a host: something changed, something will unless the next checks say otherwise, or nothing. */
export type Transition = 'unchanged' | 'changed' | 'pending';

/** Thresholds of a health check. */
export interface Thresholds {
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
}

/** A check passed (Envoy `handleSuccess`). */
export function pass(state: CheckState, degraded: boolean, { healthyThreshold }: Thresholds): Transition {
  let transition: Transition = 'unchanged';
  state.failures = 0;
  if (state.failed) {
    state.passes++;
    if (state.isFirst || state.passes === healthyThreshold) {
      state.failed = false;
      state.timedOut = false;
      state.excluded = false;
      transition = 'changed';
    } else {
      transition = 'pending';
    }
  }
  transition = endWait(state, transition);
  if (degraded !== state.degraded) {
    state.degraded = degraded;
    if (transition === 'unchanged') transition = 'changed';
  }
  state.isFirst = false;
  state.provisional = false;
  return transition;
}

/**
 * A check failed (Envoy `setUnhealthy`). Envoy: only network failures and retriable statuses are counted up to the
 * threshold; any other answer fails the host at once.
 */
export function fail(
  state: CheckState,
  failure: CheckFailure,
  isRetriable: boolean,
  { unhealthyThreshold }: Thresholds,
): Transition {
  let transition: Transition = 'unchanged';
  state.passes = 0;
  if (!state.failed) {
    const counts = isRetriable || isNetworkFailure(failure);
    if (counts) state.failures++;
    if (!counts || state.provisional || state.failures === unhealthyThreshold) {
      state.failed = true;
      transition = 'changed';
    } else {
      transition = 'pending';
    }
  }
  state.timedOut = failure === 'NETWORK_TIMEOUT' && state.failed;
  transition = endWait(state, transition);
  state.isFirst = false;
  state.provisional = false;
  return transition;
}

/** Whether nothing was heard of the host at all. */
export function isNetworkFailure(failure: CheckFailure): boolean {
  return failure === 'NETWORK' || failure === 'NETWORK_TIMEOUT';
}

/** With its first result a host enters the totals, even when its health is what it was. */
function endWait(state: CheckState, transition: Transition): Transition {
  if (!state.pending) return transition;
  state.pending = false;
  return 'changed';
}
