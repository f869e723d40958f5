import type { Host } from '../host.js';

/** Envoy's names of what is held against a host; empty when it is healthy. */
export function healthFlags({ check, ejected, outlierDegraded, endpoint }: Host): readonly string[] {
  const { health } = endpoint;
  const flags: readonly (readonly [boolean, string])[] = [
    [check?.failed === true, 'failed_active_hc'],
    [ejected, 'failed_outlier_check'],
    [health === 'unhealthy' || health === 'timeout' || health === 'draining', 'failed_eds_health'],
    [check?.degraded === true, 'degraded_active_hc'],
    [health === 'degraded', 'degraded_eds_health'],
    [check?.pendingRemoval === true, 'pending_dynamic_removal'],
    [check?.pending === true, 'pending_active_hc'],
    [check?.excluded === true, 'excluded_via_immediate_hc_fail'],
    [check?.timedOut === true, 'active_hc_timeout'],
    [health === 'draining', 'eds_status_draining'],
    [outlierDegraded, 'degraded_outlier_detection'],
  ];
  return flags.filter(([isSet]) => isSet).map(([, name]) => name);
}
