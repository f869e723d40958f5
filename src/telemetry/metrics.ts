import type { Attempt } from '../service/context.js';
import { isGrpc } from '../service/local-reply.js';
import type { ConnectionEvent, ExchangeEnd, Observer } from '../service/observer.js';
import type { Request } from '../service/service.js';
import type { WorkloadInfo } from '../service/workload.js';
import { Histogram } from './histogram.js';
import { labelsOf, type MetricsSource, type Outcome, renderLabels } from './istio-labels.js';
import { quoteLabel, renderCounter, renderHistogram } from './prometheus.js';
import { TcpMetrics } from './tcp-metrics.js';

/** Istio's standard metrics, kept in this process. */
export interface Metrics extends Observer {
  /** The metrics in Prometheus' text format. */
  render(): string;
}

/** What is counted under one set of labels. */
class Series {
  readonly labels: string;
  requests = 0;
  /** Of gRPC calls only. */
  requestMessages: number | undefined;
  responseMessages = 0;
  readonly durations = new Histogram();
  readonly requestBytes = new Histogram();
  readonly responseBytes = new Histogram();

  constructor(labels: string) {
    this.labels = labels;
  }
}

/** The series of one cluster and workload; the usual outcome has a field of its own. */
class Group {
  ok: Series | undefined;
  readonly others = new Map<string, Series>();
}

type Groups = Map<WorkloadInfo | undefined, Group>;

/** Label sets that are kept; what comes after shares one series, so that hostile input can't fill the memory. */
const MAX_SERIES = 2_000;

/**
 * Records `istio_requests_total`, `istio_request_duration_milliseconds`, `istio_request_bytes`, `istio_response_bytes` and,
 * of gRPC calls, `istio_request_messages_total` and `istio_response_messages_total` with Istio's labels and buckets, and Envoy's count of attempts per cluster. The hot path is two map look-ups and a few additions; text is
 * made only when somebody scrapes.
 */
export function createMetrics(source: MetricsSource): Metrics {
  return new IstioMetrics(source);
}

class IstioMetrics implements Metrics {
  readonly #source: MetricsSource;
  readonly #outbound = new Map<string, Groups>();
  readonly #inbound = new Map<string, Groups>();
  readonly #overflow = new Series('overflow="true"');
  readonly #attempts = new Map<string, { count: number }>();
  readonly #all: Series[] = [];
  readonly #tcp: TcpMetrics;

  constructor(source: MetricsSource) {
    this.#source = source;
    this.#tcp = new TcpMetrics(source);
  }

  exchange(request: Request, end: ExchangeEnd): void {
    const { requestBytes, responseBytes, grpcMessages } = request.context;
    const series = this.#seriesOf(request, end);
    series.requests++;
    series.durations.record(end.durationMs);
    series.requestBytes.record(requestBytes);
    series.responseBytes.record(responseBytes);
    if (grpcMessages === undefined) return;
    series.requestMessages = (series.requestMessages ?? 0) + grpcMessages.request.count;
    series.responseMessages += grpcMessages.response.count;
  }

  attempt(_request: Request, _attempt: Attempt, clusterName: string): void {
    const known = this.#attempts.get(clusterName);
    if (known === undefined) this.#attempts.set(clusterName, { count: 1 });
    else known.count++;
  }

  connection(event: ConnectionEvent): void {
    this.#tcp.connection(event);
  }

  render(): string {
    const all = this.#overflow.requests > 0 ? [...this.#all, this.#overflow] : this.#all;
    const histogram = (name: string, pick: (series: Series) => Histogram) =>
      renderHistogram(
        name,
        all.map((series) => [series.labels, pick(series)]),
      );
    const calls = all.filter(({ requestMessages }) => requestMessages !== undefined);
    const messages = (name: string, pick: (series: Series) => number) =>
      renderCounter(
        name,
        calls.map((series) => [series.labels, pick(series)]),
      );
    return [
      ...renderCounter(
        'istio_requests_total',
        all.map(({ labels, requests }) => [labels, requests]),
      ),
      ...histogram('istio_request_duration_milliseconds', ({ durations }) => durations),
      ...histogram('istio_request_bytes', ({ requestBytes }) => requestBytes),
      ...histogram('istio_response_bytes', ({ responseBytes }) => responseBytes),
      ...messages('istio_request_messages_total', ({ requestMessages = 0 }) => requestMessages),
      ...messages('istio_response_messages_total', ({ responseMessages }) => responseMessages),
      ...renderCounter(
        'envoy_cluster_upstream_rq_total',
        [...this.#attempts].map(([name, { count }]) => [`envoy_cluster_name=${quoteLabel(name)}`, count]),
      ),
      ...this.#tcp.render(),
    ].join('');
  }

  #seriesOf(request: Request, end: ExchangeEnd): Series {
    const { direction, clusterName = '', flags, peerId = '', peer } = request.context;
    const [table, key] = direction === 'outbound' ? [this.#outbound, clusterName] : [this.#inbound, peerId];
    const group = this.#groupOf(table, key, peer);
    if (group === undefined) return this.#overflow;
    const grpcStatus = grpcStatusOf(request, end);
    if (end.status === 200 && flags.length === 0 && grpcStatus === undefined) {
      group.ok ??= this.#create(request, { status: 200, grpcStatus });
      return group.ok;
    }
    const outcome = `${end.status} ${grpcStatus ?? ''} ${flags.join(',')}`;
    let series = group.others.get(outcome);
    if (series === undefined) {
      series = this.#create(request, { status: end.status, grpcStatus });
      if (series !== this.#overflow) group.others.set(outcome, series);
    }
    return series;
  }

  /** Undefined when there is none and no room for its series: callers say who they are themselves, without limit. */
  #groupOf(table: Map<string, Groups>, key: string, peer: WorkloadInfo | undefined): Group | undefined {
    const found = table.get(key)?.get(peer);
    if (found !== undefined || this.#all.length >= MAX_SERIES) return found;
    const groups: Groups = table.get(key) ?? new Map();
    const group = new Group();
    groups.set(peer, group);
    table.set(key, groups);
    return group;
  }

  #create(request: Request, outcome: Outcome): Series {
    if (this.#all.length >= MAX_SERIES) return this.#overflow;
    const series = new Series(renderLabels(labelsOf(this.#source, request, outcome)));
    this.#all.push(series);
    return series;
  }
}

/** The status of a gRPC call: from the trailers, or from the headers of a response that has nothing else. */
function grpcStatusOf(request: Request, { response }: ExchangeEnd): string | undefined {
  // gRPC is POST; everything else need not be looked at.
  if (request.method !== 'POST' || !isGrpc(request)) return undefined;
  const trailers = response?.completion.end?.trailers;
  return trailers?.get('grpc-status') ?? response?.headers.get('grpc-status') ?? '';
}
