import type { LoadReport } from '../../../model/load-report.js';
import { MeshError } from '../../../runtime/errors.js';
import type { MeasuredLoad } from './load-meter.js';

/** What an application says of its load, in a response or over a stream (ORCA); what it leaves out is measured where that can be. */
export interface ReportedLoad {
  /** What the application holds for its utilization: 1 is its limit. Measured: the event loop's. */
  readonly applicationUtilization?: number;
  readonly cpuUtilization?: number;
  readonly memUtilization?: number;
  /** Requests per second. */
  readonly rps?: number;
  /** Failed requests per second. */
  readonly eps?: number;
  /** Utilization of further resources, by name. */
  readonly utilization?: Readonly<Record<string, number>>;
  /** Whatever else a load balancer may go by, such as the length of a queue. */
  readonly namedMetrics?: Readonly<Record<string, number>>;
}

const NAME = /^[\w.\-/]+$/;

/**
 * Refuses what no client would read.
 * @throws MeshError `INMESH_OPTION_INVALID`
 */
export function checkLoad(load: ReportedLoad): void {
  loadText(load, undefined);
}

/** Both together; where both say something, the second counts. */
export function mergeLoads(base: ReportedLoad, over: ReportedLoad): ReportedLoad {
  return {
    ...base,
    ...over,
    utilization: { ...base.utilization, ...over.utilization },
    namedMetrics: { ...base.namedMetrics, ...over.namedMetrics },
  };
}

/**
 * The value of the header `endpoint-load-metrics`.
 * @throws MeshError `INMESH_OPTION_INVALID` for what no client would read.
 */
export function loadText(reported: ReportedLoad, measured: MeasuredLoad | undefined): string | undefined {
  const all = { ...measured, ...reported };
  const entries: string[] = [];
  const add = (name: string, value: number | undefined) => {
    if (value === undefined) return;
    if (!Number.isFinite(value) || value < 0 || !NAME.test(name)) {
      throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(name)}=${value} is no report of load`, {
        hint: 'Values are finite and not negative; names have letters, digits and _ . - /',
      });
    }
    entries.push(`${name}=${Number(value.toPrecision(6))}`);
  };
  add('application_utilization', all.applicationUtilization);
  add('cpu_utilization', all.cpuUtilization);
  add('mem_utilization', all.memUtilization);
  add('rps_fractional', all.rps);
  add('eps', all.eps);
  for (const [name, value] of Object.entries(all.utilization ?? {})) add(`utilization.${name}`, value);
  for (const [name, value] of Object.entries(all.namedMetrics ?? {})) add(`named_metrics.${name}`, value);
  return entries.length === 0 ? undefined : `TEXT ${entries.join(',')}`;
}

/** The same as a report. */
export function loadReport(reported: ReportedLoad, measured: MeasuredLoad | undefined): LoadReport {
  const { applicationUtilization = 0, cpuUtilization = 0, rps = 0, eps = 0 } = { ...measured, ...reported };
  return {
    applicationUtilization,
    cpuUtilization,
    rps,
    eps,
    memUtilization: reported.memUtilization ?? 0,
    utilization: new Map(Object.entries(reported.utilization ?? {})),
    requestCost: new Map(),
    namedMetrics: new Map(Object.entries(reported.namedMetrics ?? {})),
  };
}
