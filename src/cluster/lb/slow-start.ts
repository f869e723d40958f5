import type { SlowStart } from '../../model/lb-policy.js';
import type { Clock } from '../../runtime/clock.js';
import type { Host } from '../host.js';

/** Hosts that are new, or healthy again, get their share of requests little by little. */
export interface SlowStarter {
  /** Notes the hosts that become healthy with this list; says whether any host may be in its slow start. */
  enter(hosts: readonly Host[]): boolean;
  /** What a weight is multiplied with now. */
  factor(host: Host): number;
}

/** Envoy `slow_start_config`; undefined when it is off. */
export function createSlowStart(config: SlowStart | undefined, clock: Clock): SlowStarter | undefined {
  if (config === undefined || config.windowMs <= 0) return undefined;
  const { windowMs, aggression, minWeightPercent } = config;
  const least = minWeightPercent / 100;
  // Envoy: as if a host had been added when the cluster was made.
  let latestMs = clock.now();
  const isActive = () => clock.now() - latestMs <= windowMs;
  return {
    enter(hosts) {
      for (const host of hosts) {
        if (host.health !== 'healthy') continue;
        host.healthySinceMs ??= clock.now();
        if (host.healthySinceMs > latestMs) latestMs = host.healthySinceMs;
      }
      return isActive();
    },
    factor({ health, healthySinceMs }) {
      if (health !== 'healthy' || healthySinceMs === undefined || !isActive()) return 1;
      const ageMs = clock.now() - healthySinceMs;
      if (ageMs >= windowMs) return 1;
      const part = Math.max(1, ageMs) / windowMs;
      return Math.max(aggression === 1 ? part : part ** (1 / aggression), least);
    },
  };
}
