import type { SocketAddress } from '../../model/address.js';
import type { Locality } from '../../model/endpoint.js';
import type { MetricSum } from '../../model/load-stats.js';

/** What went to one host, or to hosts that are gone, and is not reported yet. A plain object: every request counts here. */
export interface LoadCounts {
  /** Whose they are: they end with the cluster's counters. */
  readonly owner: object;
  /** Undefined for hosts that are gone. */
  readonly address: SocketAddress | undefined;
  locality: Locality;
  readonly priority: number;
  successes: number;
  errors: number;
  issued: number;
  /** Under way; never reset. */
  active: number;
  /** By name; made by the first report that has one. */
  metrics: Map<string, { count: number; sum: number }> | undefined;
  /** The host is gone: with its last request these are added to those of its locality. */
  isRetired: boolean;
}

/** Counts at zero. */
export function createLoadCounts(
  owner: object,
  place: Pick<LoadCounts, 'address' | 'locality' | 'priority'>,
): LoadCounts {
  const { address, locality, priority } = place;
  return {
    owner,
    address,
    locality,
    priority,
    successes: 0,
    errors: 0,
    issued: 0,
    active: 0,
    metrics: undefined,
    isRetired: false,
  };
}

/** Adds what is counted in one to another. */
export function addCounts(target: LoadCounts, counts: LoadCounts): void {
  target.successes += counts.successes;
  target.errors += counts.errors;
  target.issued += counts.issued;
  target.active += counts.active;
  for (const [name, { count, sum }] of counts.metrics ?? []) addMetric(target, name, sum, count);
}

/** Counts a figure of a report. */
export function addMetric(target: LoadCounts, name: string, value: number, count = 1): void {
  target.metrics ??= new Map();
  const metric = target.metrics.get(name);
  if (metric === undefined) target.metrics.set(name, { count, sum: value });
  else {
    metric.count += count;
    metric.sum += value;
  }
}

/** Starts over; what is under way still is. */
export function resetCounts(counts: LoadCounts): void {
  counts.successes = 0;
  counts.errors = 0;
  counts.issued = 0;
  counts.metrics = undefined;
}

/** Whether there is anything to report. */
export function isIdle({ successes, errors, issued, active, metrics }: LoadCounts): boolean {
  return successes + errors + issued + active === 0 && metrics === undefined;
}

/** The figures as they are reported. */
export function metricSums({ metrics }: LoadCounts): readonly MetricSum[] {
  return metrics === undefined ? [] : [...metrics].map(([name, metric]) => ({ name, ...metric }));
}
