import type { OutlierDetection } from '../../model/cluster.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import type { Host } from '../host.js';
import { type LocalOriginResult, OutlierDetector, type OutlierTools } from './detector.js';
import type { OutlierStats } from './stats.js';

export interface MonitorTools extends Omit<OutlierTools, 'now'> {
  readonly clock: Clock;
}

/** Outlier detection of a running cluster. */
export interface OutlierMonitor {
  reportStatus(host: Host, status: number): void;
  reportLocalOrigin(host: Host, result: LocalOriginResult): void;
  reportDegraded(host: Host): void;
  reportPassedCheck(host: Host): void;
  stats(): OutlierStats;
  close(): void;
}

/**
 * Runs a detector with one timer for the whole cluster. Ticks fall on multiples of the interval since the start, as
 * Envoy's do, but the timer only runs while there is traffic, or a host is out or cooling down.
 */
export function createOutlierMonitor(config: OutlierDetection, tools: MonitorTools): OutlierMonitor {
  const { clock } = tools;
  const startMs = clock.now();
  let timer: Timer | undefined;
  let isClosed = false;
  const arm = () => {
    if (timer !== undefined || isClosed) return;
    const sinceTickMs = (clock.now() - startMs) % config.intervalMs;
    timer = clock.schedule(config.intervalMs - sinceTickMs, () => {
      timer = undefined;
      if (detector.tick()) arm();
    });
  };
  const detector = new OutlierDetector(config, { ...tools, now: () => clock.now() });
  for (const host of tools.hosts().values()) {
    if (host.ejected || host.outlierDegraded || host.outlier.backoff > 0) arm();
  }
  return {
    reportStatus: (host, status) => {
      if (isClosed) return;
      arm();
      detector.reportStatus(host, status);
    },
    reportLocalOrigin: (host, result) => {
      if (isClosed) return;
      arm();
      detector.reportLocalOrigin(host, result);
    },
    reportDegraded: (host) => {
      if (isClosed) return;
      arm();
      detector.reportDegraded(host);
    },
    reportPassedCheck: (host) => {
      if (!isClosed) detector.reportPassedCheck(host);
    },
    stats: () => detector.stats(),
    close() {
      isClosed = true;
      timer?.cancel();
      timer = undefined;
    },
  };
}
