import type { Host } from '../host.js';
import { EdfSchedule } from './edf.js';
import { haveEqualWeights, type ListPolicy } from './load-balancer.js';
import type { SlowStarter } from './slow-start.js';

/** Envoy ROUND_ROBIN: in turn from a random start; by earliest deadline when weights differ. */
export function roundRobin(seed: number, slowStart?: SlowStarter): ListPolicy {
  // Envoy keeps a list's place over updates: frequent changes must not favour the first hosts.
  const places = new Map<string, { next: number }>();
  const weightOf =
    slowStart === undefined
      ? (host: Host) => host.weight
      : (host: Host) => host.weight * slowStart.factor(host);
  return (hosts, source) => {
    const isSlow = slowStart?.enter(hosts) ?? false;
    if (hosts.length <= 1) return () => hosts[0];
    if (isSlow || !haveEqualWeights(hosts)) {
      const schedule = new EdfSchedule(hosts, weightOf, seed);
      return () => schedule.pick();
    }
    const place = places.get(source) ?? { next: seed };
    places.set(source, place);
    return () => hosts[place.next++ % hosts.length];
  };
}
