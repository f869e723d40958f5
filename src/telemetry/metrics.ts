import type { Observer } from '../service/observer.js';
import type { Request } from '../service/service.js';
import { Histogram, ISTIO_BUCKETS } from './histogram.js';

/** Who reports: the workload that this process is. */
export interface MetricsSource {
  readonly workload: string;
  readonly namespace: string;
  readonly version: string;
  readonly principal: () => string | undefined;
}

/** Istio's standard metrics, kept in this process. */
export interface Metrics extends Observer {
  /** The metrics in Prometheus' text format. */
  render(): string;
}

interface Series {
  readonly labels: string;
  requests: number;
  readonly durations: Histogram;
}

/** Label sets that are kept; what comes after shares one series, so that hostile input can't fill the memory. */
const MAX_SERIES = 2_000;

/**
 * Records `istio_requests_total` and `istio_request_duration_milliseconds` with Istio's labels.
 * The hot path is two map look-ups and a few additions; text is made only when somebody scrapes.
 */
export function createMetrics(source: MetricsSource): Metrics {
  const byCluster = new Map<string, Map<string, Series>>();
  const attempts = new Map<string, number>();
  let size = 0;

  const seriesOf = (request: Request, status: number): Series => {
    const { direction, clusterName = '', flags, peerId } = request.context;
    const outer = direction === 'outbound' ? clusterName : '\0inbound';
    let group = byCluster.get(outer);
    if (group === undefined) {
      group = new Map();
      byCluster.set(outer, group);
    }
    const peer = direction === 'inbound' ? (peerId ?? '') : '';
    const key = flags.length === 0 && peer === '' ? String(status) : `${status} ${flags.join(',')} ${peer}`;
    let series = group.get(key);
    if (series === undefined) {
      if (size >= MAX_SERIES) return overflow;
      size++;
      series = { labels: labelsOf(source, request, status), requests: 0, durations: new Histogram() };
      group.set(key, series);
    }
    return series;
  };
  const overflow: Series = { labels: 'overflow="true"', requests: 0, durations: new Histogram() };

  return {
    exchange(request, end) {
      const series = seriesOf(request, end.status);
      series.requests++;
      series.durations.record(end.durationMs);
    },
    attempt(_request, _attempt, clusterName) {
      attempts.set(clusterName, (attempts.get(clusterName) ?? 0) + 1);
    },
    render() {
      const all = [...byCluster.values()].flatMap((group) => [...group.values()]);
      if (overflow.requests > 0) all.push(overflow);
      return renderText(all, attempts);
    },
  };
}

function labelsOf(source: MetricsSource, request: Request, status: number): string {
  const { context } = request;
  const outbound = context.direction === 'outbound';
  const target = outbound
    ? destinationOf(context.clusterName ?? '')
    : { service: source.workload, namespace: source.namespace };
  const own = source.principal() ?? 'unknown';
  const peer = context.peerId ?? 'unknown';
  return Object.entries({
    reporter: outbound ? 'source' : 'destination',
    source_workload: outbound ? source.workload : 'unknown',
    source_workload_namespace: outbound ? source.namespace : 'unknown',
    source_version: outbound ? source.version : 'unknown',
    source_principal: outbound ? own : peer,
    destination_service: target.service,
    destination_service_name: target.service.split('.')[0] ?? '',
    destination_service_namespace: target.namespace,
    destination_principal: outbound ? peer : own,
    request_protocol: request.headers.get('content-type')?.startsWith('application/grpc') ? 'grpc' : 'http',
    response_code: String(status),
    response_flags: context.flags.length === 0 ? '-' : context.flags.join(','),
    // Istio: only the destination knows how the connection was secured.
    connection_security_policy: outbound ? 'unknown' : context.peerId === undefined ? 'none' : 'mutual_tls',
  })
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
    .join(',');
}

/** Istio's cluster names: `outbound|port|subset|host`. */
function destinationOf(clusterName: string): { service: string; namespace: string } {
  const host = clusterName.split('|')[3] ?? clusterName;
  return { service: host, namespace: host.split('.')[1] ?? '' };
}

function renderText(series: readonly Series[], attempts: ReadonlyMap<string, number>): string {
  const lines: string[] = ['# TYPE istio_requests_total counter'];
  for (const one of series) lines.push(`istio_requests_total{${one.labels}} ${one.requests}`);
  const name = 'istio_request_duration_milliseconds';
  lines.push(`# TYPE ${name} histogram`);
  for (const { labels, durations } of series) {
    let cumulative = 0;
    ISTIO_BUCKETS.forEach((bound, at) => {
      cumulative += durations.counts[at] ?? 0;
      lines.push(`${name}_bucket{${labels},le="${bound}"} ${cumulative}`);
    });
    lines.push(`${name}_bucket{${labels},le="+Inf"} ${durations.count}`);
    lines.push(`${name}_sum{${labels}} ${durations.sum}`, `${name}_count{${labels}} ${durations.count}`);
  }
  lines.push('# TYPE envoy_cluster_upstream_rq_total counter');
  for (const [cluster, count] of attempts) {
    lines.push(`envoy_cluster_upstream_rq_total{envoy_cluster_name="${escapeLabel(cluster)}"} ${count}`);
  }
  return `${lines.join('\n')}\n`;
}

function escapeLabel(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
}
