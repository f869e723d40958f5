import type { Cluster } from '../../model/cluster.js';
import type { LoadReport } from '../../model/load-report.js';
import type { Host } from '../host.js';
import type { Transport } from '../transport.js';

/** Where reports are to come from. */
export interface ReportTarget {
  readonly cluster: Cluster;
  readonly host: Host;
  readonly transport: Transport;
  /** How often; 0 = as often as the host likes. */
  readonly periodMs: number;
}

/** Hears what comes over a stream of reports. */
export interface ReportListener {
  report(report: LoadReport): void;
  /** The stream is over; called once, and not after it was closed. */
  ended(end: ReportEnd): void;
}

/** How a stream of reports ended. */
export interface ReportEnd {
  /** The host has no such service. */
  readonly isUnimplemented: boolean;
  readonly message: string;
}

/** A stream of reports of one host, on a connection of its own. */
export interface ReportStream {
  close(): void;
}

/** Asks a host for its reports. */
export type OpenReportStream = (target: ReportTarget, listener: ReportListener) => ReportStream;
