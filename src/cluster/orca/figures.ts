import type { LoadReport } from '../../model/load-report.js';

/** The figures of a report that stand alone, by their names in the proto. */
export const FIGURES: Readonly<Record<string, (report: LoadReport) => number>> = {
  cpu_utilization: (report) => report.cpuUtilization,
  mem_utilization: (report) => report.memUtilization,
  application_utilization: (report) => report.applicationUtilization,
  rps_fractional: (report) => report.rps,
  eps: (report) => report.eps,
};

/** Those that have keys. */
export const FIGURE_MAPS: Readonly<Record<string, (report: LoadReport) => ReadonlyMap<string, number>>> = {
  named_metrics: (report) => report.namedMetrics,
  utilization: (report) => report.utilization,
  request_cost: (report) => report.requestCost,
};
