import type { OpenProbe } from '../../cluster/health/probe.js';
import type { Clock } from '../../runtime/clock.js';
import { HttpProbe } from './http-probe.js';

/** How the hosts of clusters are checked: one line per kind of check. */
export function createProbes(clock: Clock): OpenProbe {
  return (target) => {
    const { checker } = target.check;
    return new HttpProbe(target, checker, clock);
  };
}
