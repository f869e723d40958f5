import type { ClusterTools } from '../cluster/cluster.js';
import type { Clock } from '../runtime/clock.js';
import { createProbes } from './health/open-probe.js';
import { readLoad } from './orca/read-load.js';

/** How clusters ask hosts for their health, and hear of their load. */
export function hostTools(clock: Clock): Pick<ClusterTools, 'probe' | 'readLoad'> {
  return { probe: createProbes(clock), readLoad };
}
