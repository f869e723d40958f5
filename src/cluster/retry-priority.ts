import type { Host } from './host.js';
import { type PriorityLoad, type PriorityShares, spread } from './priority.js';

/**
 * How the load of a retry is spread when priorities that were tried are left out (Envoy `previous_priorities`). Every
 * `updateFrequency` tries those tried so far are added; when nothing would be left, it begins anew.
 */
export function avoidPriorities(
  tried: readonly Host[],
  updateFrequency: number,
): (load: PriorityLoad) => PriorityShares {
  return (load) => {
    const excluded = triedPriorities(tried, updateFrequency, load.available);
    return excluded.size === 0 ? load : (loadWithout(excluded, load.available) ?? load);
  };
}

function triedPriorities(
  tried: readonly Host[],
  updateFrequency: number,
  available: PriorityShares,
): ReadonlySet<number> {
  const excluded = new Set<number>();
  let since: Host[] = [];
  for (const host of tried) {
    since.push(host);
    if (since.length % updateFrequency !== 0) continue;
    for (const { priority } of since) excluded.add(priority);
    if (total(without(excluded, available)) > 0) continue;
    excluded.clear();
    since = [];
  }
  return excluded;
}

/** Undefined when nothing is available at all: Envoy keeps the original load then. */
function loadWithout(excluded: ReadonlySet<number>, available: PriorityShares): PriorityShares | undefined {
  const { healthy, degraded } = without(excluded, available);
  const sum = total({ healthy, degraded });
  return sum === 0 ? undefined : spread(healthy, degraded, Math.min(100, sum));
}

function without(excluded: ReadonlySet<number>, { healthy, degraded }: PriorityShares): PriorityShares {
  const keep = (available: number, priority: number) => (excluded.has(priority) ? 0 : available);
  return { healthy: healthy.map(keep), degraded: degraded.map(keep) };
}

function total({ healthy, degraded }: PriorityShares): number {
  return [...healthy, ...degraded].reduce((sum, one) => sum + one, 0);
}
