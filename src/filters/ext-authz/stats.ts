import type { ExtAuthzConfig } from '../../model/ext-authz.js';
import type { FilterTools } from '../filter.js';
import type { FilterCounter } from '../filter-memory.js';

/** Counts one outcome: of the filter, and of the cluster that requests are for. */
export type CountAuthz = (
  outcome:
    | 'ok'
    | 'denied'
    | 'error'
    | 'disabled'
    | 'failure_mode_allowed'
    | 'invalid'
    | 'ignored_dynamic_metadata',
) => void;

/** Envoy: these are of the filter alone. */
const OWN: ReadonlySet<string> = new Set(['disabled', 'ignored_dynamic_metadata']);

/** The figures of one stack (Envoy `ext_authz.*` and `cluster.<name>.ext_authz.*`). */
export function authzStats({ statPrefix }: ExtAuthzConfig, { memory, clusterName }: FilterTools): CountAuthz {
  const scope = `ext_authz.${statPrefix === '' ? '' : `${statPrefix}.`}`;
  const countersOf = (outcome: string): readonly FilterCounter[] => {
    const own = memory.counter(scope + outcome);
    if (clusterName === undefined || OWN.has(outcome)) return [own];
    return [own, memory.counter(`cluster.${clusterName}.${scope}${outcome}`)];
  };
  const known = new Map<string, readonly FilterCounter[]>();
  return (outcome) => {
    let counters = known.get(outcome);
    if (counters === undefined) {
      counters = countersOf(outcome);
      known.set(outcome, counters);
    }
    for (const counter of counters) counter.value++;
  };
}

/** Envoy: a refusal counts as an answer of the cluster that the request was for. */
export function chargeCluster(
  { chargeCluster: charges }: ExtAuthzConfig,
  { memory, clusterName }: FilterTools,
): (status: number) => void {
  if (!charges || clusterName === undefined) return () => {};
  const count = (name: string) => {
    memory.counter(`cluster.${clusterName}.${name}`).value++;
  };
  return (status) => {
    count('upstream_rq_completed');
    count(`upstream_rq_${Math.floor(status / 100)}xx`);
    count(`upstream_rq_${status}`);
    count(`internal.upstream_rq_${Math.floor(status / 100)}xx`);
    count(`internal.upstream_rq_${status}`);
  };
}
