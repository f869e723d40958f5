import type { OutlierDetection } from '../../model/cluster.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import type { Host } from '../host.js';
import { type LocalOriginResult, OutlierDetector, type OutlierTools } from './detector.js';

export interface MonitorTools extends Omit<OutlierTools, 'now'> {
  readonly clock: Clock;
}

/** Outlier detection of a running cluster. */
export interface OutlierMonitor {
  reportStatus(host: Host, status: number): void;
  reportLocalOrigin(host: Host, result: LocalOriginResult): void;
  close(): void;
}

/**
 * Runs a detector with one timer for the whole cluster. Ticks fall on multiples of the interval since the start, as
 * Envoy's do, but the timer only runs while a host is out or cooling down.
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
  const detector = new OutlierDetector(config, {
    ...tools,
    now: () => clock.now(),
    onChange: () => {
      arm();
      tools.onChange();
    },
  });
  // Hosts taken over from an earlier configuration may be out already.
  for (const host of tools.hosts().values()) if (host.ejected || host.outlier.backoff > 0) arm();
  return {
    reportStatus: (host, status) => {
      if (!isClosed) detector.reportStatus(host, status);
    },
    reportLocalOrigin: (host, result) => {
      if (!isClosed) detector.reportLocalOrigin(host, result);
    },
    close() {
      isClosed = true;
      timer?.cancel();
      timer = undefined;
    },
  };
}
