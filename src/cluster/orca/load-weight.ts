import type { LoadReport } from '../../model/load-report.js';
import { FIGURE_MAPS, FIGURES } from './figures.js';

/** Reads one number of a report; 0 = it is not there. */
type ReadMetric = (report: LoadReport) => number;

/** Envoy: weights are whole numbers of 32 bits. */
const MAX_WEIGHT = 2 ** 32 - 1;

/** Works out the weight that a report gives its host; undefined when it gives none. */
export type WeighReport = (report: LoadReport) => number | undefined;

/** Envoy (calculateWeightFromOrcaReport): requests per second by utilization, to which failures add. */
export function weighReports(metricNames: readonly string[], errorPenalty: number): WeighReport {
  const metrics = metricNames.map(metricOf);
  return (report) => {
    const { rps, eps } = report;
    if (rps <= 0) return undefined;
    const utilization = utilizationOf(report, metrics) + (errorPenalty * eps) / rps;
    if (utilization <= 0) return undefined;
    return Math.max(1, Math.floor(Math.min(MAX_WEIGHT, rps / utilization)));
  };
}

/** Envoy: the largest of the metrics that are named, else what the application says, else its CPU. */
function utilizationOf(report: LoadReport, metrics: readonly ReadMetric[]): number {
  let largest = 0;
  for (const read of metrics) largest = Math.max(largest, read(report));
  if (largest > 0) return largest;
  return report.applicationUtilization > 0 ? report.applicationUtilization : report.cpuUtilization;
}

/** gRFC A114: a field, or a map with a key (`named_metrics.queue`); Envoy: `*` stands for every key. */
function metricOf(name: string): ReadMetric {
  const dot = name.indexOf('.');
  if (dot < 0) return (Object.hasOwn(FIGURES, name) ? FIGURES[name] : undefined) ?? nothing;
  const field = name.slice(0, dot);
  const key = name.slice(dot + 1);
  const map = Object.hasOwn(FIGURE_MAPS, field) ? FIGURE_MAPS[field] : undefined;
  if (map === undefined) return nothing;
  return key === '*'
    ? (report) => Math.max(0, ...map(report).values())
    : (report) => map(report).get(key) ?? 0;
}

const nothing: ReadMetric = () => 0;
