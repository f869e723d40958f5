import type { Exchange } from '../service/context.js';
import type { ConnectionBytes, ConnectionEvent } from '../service/observer.js';
import { connectionLabelsOf, type MetricsSource, renderLabels } from './istio-labels.js';
import { renderCounter } from './prometheus.js';

/** What is counted under one set of labels. */
interface Series {
  readonly labels: string;
  opened: number;
  closed: number;
  sent: number;
  received: number;
}

/** Of an open connection: what was counted of it already. */
interface Counted {
  sent: number;
  received: number;
}

/** Label sets that are kept; what comes after shares one series. */
const MAX_SERIES = 2_000;

/**
 * Istio's metrics of TCP connections. Bytes are counted when somebody scrapes and when a connection is closed, so that they
 * cost nothing while they flow.
 */
export class TcpMetrics {
  readonly #source: MetricsSource;
  readonly #series = new Map<string, Series>();
  readonly #open = new Map<Exchange, { readonly bytes: ConnectionBytes; readonly counted: Counted }>();

  constructor(source: MetricsSource) {
    this.#source = source;
  }

  connection({ kind, context, bytes }: ConnectionEvent): void {
    const series = this.#seriesOf(context);
    if (kind === 'opened') {
      series.opened++;
      this.#open.set(context, { bytes, counted: { sent: 0, received: 0 } });
      return;
    }
    series.closed++;
    const open = this.#open.get(context);
    if (open === undefined) return;
    add(series, open.bytes, open.counted);
    this.#open.delete(context);
  }

  render(): readonly string[] {
    for (const [context, { bytes, counted }] of this.#open) add(this.#seriesOf(context), bytes, counted);
    const all = [...this.#series.values()];
    const counter = (name: string, pick: (series: Series) => number) =>
      renderCounter(
        name,
        all.map((series) => [series.labels, pick(series)]),
      );
    return [
      ...counter('istio_tcp_sent_bytes_total', ({ sent }) => sent),
      ...counter('istio_tcp_received_bytes_total', ({ received }) => received),
      ...counter('istio_tcp_connections_opened_total', ({ opened }) => opened),
      ...counter('istio_tcp_connections_closed_total', ({ closed }) => closed),
    ];
  }

  #seriesOf(context: Exchange): Series {
    const labels = renderLabels(connectionLabelsOf(this.#source, context));
    const known = this.#series.get(labels);
    if (known !== undefined) return known;
    const isFull = this.#series.size >= MAX_SERIES && labels !== OVERFLOW;
    const key = isFull ? OVERFLOW : labels;
    const series = this.#series.get(key) ?? { labels: key, opened: 0, closed: 0, sent: 0, received: 0 };
    this.#series.set(key, series);
    return series;
  }
}

const OVERFLOW = 'overflow="true"';

function add(series: Series, { sent, received }: ConnectionBytes, counted: Counted): void {
  series.sent += sent - counted.sent;
  series.received += received - counted.received;
  counted.sent = sent;
  counted.received = received;
}
