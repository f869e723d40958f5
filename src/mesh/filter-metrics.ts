import { CUSTOM_COUNTERS } from '../filters/custom-filters.js';
import type { FilterCounter } from '../filters/filter-memory.js';
import { quoteLabel, renderCounter, renderGauge, type Sample } from '../telemetry/prometheus.js';

interface Place {
  readonly name: string;
  readonly labels: string;
}

/** Envoy's stats of filters that also fall. */
const GAUGES = /(^|[._])(active_faults|concurrency_limit|min_rtt_msecs|burst_queue_size|sample_rtt_msecs)$/;

/**
 * The figures of filters in Prometheus' text format, by the names that Envoy gives them: `http.<prefix>.` before a filter's
 * name is left out, as one stack has no listener's prefix of its own; what Envoy makes a label is one. Read when somebody
 * scrapes.
 */
export function renderFilters(counters: ReadonlyMap<string, FilterCounter>): string {
  const families = new Map<string, Sample<number>[]>();
  for (const [stat, { value }] of counters) {
    const { name, labels } = placeOf(stat);
    const samples = families.get(name);
    if (samples === undefined) families.set(name, [[labels, value]]);
    else samples.push([labels, value]);
  }
  return [...families]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, samples]) =>
      GAUGES.test(name) ? renderGauge(name, samples) : renderCounter(name, samples),
    )
    .join('');
}

function placeOf(stat: string): Place {
  if (stat.startsWith(CUSTOM_COUNTERS)) return ownPlace(stat.slice(CUSTOM_COUNTERS.length));
  // Envoy: the tag `local_http_ratelimit_prefix` of `<prefix>.http_local_rate_limit.**`.
  const limit = /^(.*)\.(http_local_rate_limit\..*)$/s.exec(stat);
  if (limit !== null) {
    return {
      name: envoyName(limit[2] ?? ''),
      labels: `envoy_local_http_ratelimit_prefix=${quoteLabel(limit[1] ?? '')}`,
    };
  }
  return placeOfRule(stat);
}

/** A figure of a filter of the application: `<filter>/<figure>`. */
function ownPlace(stat: string): Place {
  const slash = stat.indexOf('/');
  return {
    name: `inmesh_filter_${stat.slice(slash + 1).replaceAll(/\W/g, '_')}`,
    labels: `inmesh_filter=${quoteLabel(stat.slice(0, slash))}`,
  };
}

/** `rbac.[<rules_stat_prefix>][policy.<policy>.][shadow_]<allowed or denied>`, `cluster.<name>.**`, or plain. */
function placeOfRule(stat: string): Place {
  const cluster = /^cluster\.(.*)\.(ratelimit\..*|ext_authz\..*)$/s.exec(stat);
  if (cluster !== null) {
    return {
      name: envoyName(`cluster.${cluster[2] ?? ''}`),
      labels: `envoy_cluster_name=${quoteLabel(cluster[1] ?? '')}`,
    };
  }
  const rbac = /^rbac\.(.*?)(?:policy\.(.*)\.)?((?:shadow_)?(?:allowed|denied))$/s.exec(stat);
  if (rbac === null) return { name: envoyName(`http.${stat}`), labels: '' };
  const [, prefix = '', policy, figure = ''] = rbac;
  const labels = [
    ...(prefix === '' ? [] : [`envoy_rbac_http_prefix=${quoteLabel(prefix.replace(/\.$/, ''))}`]),
    ...(policy === undefined ? [] : [`envoy_rbac_policy_name=${quoteLabel(policy)}`]),
  ];
  return {
    name: envoyName(`http.rbac.${policy === undefined ? '' : 'policy.'}${figure}`),
    labels: labels.join(','),
  };
}

/** Envoy: a prefix, and `_` for what Prometheus does not take. */
function envoyName(stat: string): string {
  return `envoy_${stat.replaceAll(/\W/g, '_')}`;
}
