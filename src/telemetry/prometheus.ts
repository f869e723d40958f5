import { type Histogram, ISTIO_BUCKETS } from './histogram.js';

/** A set of labels as text (without braces) and its value. */
export type Sample<T> = readonly [labels: string, value: T];

/** A label value, quoted as Prometheus' text format wants it. */
export function quoteLabel(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

/** A counter in Prometheus' text format, as lines; nothing when there are no samples. */
export function renderCounter(name: string, samples: readonly Sample<number>[]): string[] {
  return renderValues(name, 'counter', samples);
}

/** A gauge in Prometheus' text format, as lines; nothing when there are no samples. */
export function renderGauge(name: string, samples: readonly Sample<number>[]): string[] {
  return renderValues(name, 'gauge', samples);
}

function renderValues(name: string, type: string, samples: readonly Sample<number>[]): string[] {
  if (samples.length === 0) return [];
  return [
    `# TYPE ${name} ${type}\n`,
    ...samples.map(([labels, value]) => `${name}${labels === '' ? '' : `{${labels}}`} ${value}\n`),
  ];
}

/** A histogram in Prometheus' text format, as lines. */
export function renderHistogram(name: string, samples: readonly Sample<Histogram>[]): string[] {
  if (samples.length === 0) return [];
  const lines = [`# TYPE ${name} histogram\n`];
  for (const [labels, { counts, sum, count }] of samples) {
    let cumulative = 0;
    ISTIO_BUCKETS.forEach((bound, at) => {
      cumulative += counts[at] ?? 0;
      lines.push(`${name}_bucket{${labels},le="${bound}"} ${cumulative}\n`);
    });
    lines.push(
      `${name}_bucket{${labels},le="+Inf"} ${count}\n`,
      `${name}_sum{${labels}} ${sum}\n`,
      `${name}_count{${labels}} ${count}\n`,
    );
  }
  return lines;
}
