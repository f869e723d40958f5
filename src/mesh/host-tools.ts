import type { ClusterTools } from '../cluster/cluster.js';
import type { Clock } from '../runtime/clock.js';
import { createProbes } from './health/open-probe.js';
import { reportStreams } from './orca/open-report-stream.js';
import { readLoad } from './orca/read-load.js';

/** How clusters ask hosts for their health, and hear of their load. */
export function hostTools(clock: Clock): Pick<ClusterTools, 'probe' | 'readLoad' | 'openReportStream'> {
  return { probe: createProbes(clock), readLoad, openReportStream: reportStreams(clock) };
}
